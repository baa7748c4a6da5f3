"""The judged dose, and how ours stands to the paper's."""

import pytest

from probes.experiments.steering.doses import (
    PAPER_DOSE,
    compare_with_paper,
    judged_dose,
    papers_layers,
)


@pytest.mark.parametrize(
    ("doses", "judged"),
    [([0.05, 0.1, 0.2], 0.1), ([0.1, 0.2, 0.5], 0.1), ([0.2, 0.3, 0.5], 0.3), ([0.4], 0.4)],
)
def test_the_promised_dose_is_judged_where_it_was_tried_else_the_middle_one(doses, judged):
    assert judged_dose(doses) == judged


@pytest.mark.parametrize(
    ("n_layers", "kept", "layers"),
    [
        (18, range(18), list(range(9, 15))),
        (60, range(0, 60, 10), [30, 40]),
        (60, [5], []),
        (4, range(4), [2]),
        (1, range(1), [0]),
    ],
)
def test_the_paper_steers_from_half_to_five_sixths_of_the_depth(n_layers, kept, layers):
    assert papers_layers(n_layers, list(kept)) == layers


def test_a_dose_that_is_not_the_papers_is_said_and_is_not_comparable():
    assert compare_with_paper(PAPER_DOSE, "our words") == ("our words", True)
    note, comparable = compare_with_paper(0.1, "our words")
    assert note == "ours at dose 0.1, the paper's at 0.5; our words"
    assert not comparable
