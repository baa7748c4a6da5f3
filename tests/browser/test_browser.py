"""The browser that the other tests of this folder look through."""

import browsing
import pytest


def test_a_page_runs_its_scripts_at_the_width_and_in_the_colors_asked_for(open_page, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("<title>x</title><p id=p></p><script>p.textContent = innerWidth</script>")
    page = open_page(path, width=390, color_scheme="dark")
    assert page.inner_text("#p") == "390"
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("console.error('broken')", "broken"),
        ("missing()", "exception: missing is not defined"),
        ("fetch('http://192.0.2.1/x').catch(() => 0)", "wanted http://192.0.2.1/x"),
    ],
)
def test_what_goes_wrong_on_a_page_is_noticed(chromium, tmp_path, script, problem):
    path = tmp_path / "page.html"
    path.write_text(f"<title>x</title><script>{script}</script>")
    with pytest.raises(AssertionError) as caught, browsing.pages(chromium) as open_page:
        open_page(path).wait_for_timeout(100)
    assert problem in str(caught.value)
