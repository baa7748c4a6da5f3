"""Text stays text for whatever draws it."""

from probes.figures.text import correlation, for_plotly, shorten, visible


def test_characters_without_a_shape_are_written_as_escapes():
    assert visible("a\n\x00\u202e\ud800") == "a\\n\\x00\\u202e\\ud800"
    assert visible("naïve ␣ 悲") == "naïve ␣ 悲"


def test_plotly_reads_no_markup_and_mathjax_no_formula():
    assert for_plotly('<b>$x$</b> "q"\n') == '&lt;b&gt;&#36;x&#36;&lt;/b&gt; "q"\\n'


def test_a_long_label_ends_in_an_ellipsis():
    assert shorten("a" * 32) == "a" * 32
    assert shorten("a" * 33) == "a" * 31 + "…"


def test_numbers_are_written_as_papers_write_them():
    assert [correlation(value) for value in (0.5, -0.254, 1.0, 0.001)] == [
        ".50",
        "-.25",
        "1.00",
        ".00",
    ]
