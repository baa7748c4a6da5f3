"""Tokens and stories per emotion."""

from probes.report.corpus_figures import logit_lens_table, stories_written


def test_tokens_show_spaces_at_their_ends_and_ranks_start_at_one(analysis):
    figure = logit_lens_table(analysis["lens"])
    assert figure.rows[0].up[0] == ("␣sobbing", 3.1)
    assert figure.rows[0].remark == "1"
    assert figure.rows[4].remark == "no such token"
    assert "62% of emotions (4% with shuffled names)" in figure.subtitle


def test_stories_are_stacked_by_outcome_with_unused_reasons_left_out(analysis):
    figure = stories_written(analysis["counts"])
    names = [part.name for part in figure.parts]
    assert names == ["accepted", "rejected: leak", "rejected: truncated", "missing"]
    accepted = figure.parts[0].values
    assert list(accepted) == sorted(accepted, reverse=True)
    worst = analysis["counts"]["emotions"][figure.categories[-1]]
    assert accepted[-1] == worst["accepted"]
    assert figure.parts[1].values[-1] == worst["rejected"]["leak"]
