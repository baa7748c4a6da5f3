"""Effects on words summed up: the diagonal, the rest, and controls beside them."""

import pytest
import torch

from probes.experiments.steering.effects import WordEffects, beside_controls, layer_dose

NAMES = ["calm", "sad", "tense"]


@pytest.fixture
def effects() -> WordEffects:
    """Own words rise by 2, 3 and 4 after one carrier and by 4, 5 and 6 after the other."""
    first = torch.diag(torch.tensor([2.0, 3.0, 4.0])) - 0.5 * (1 - torch.eye(3))
    return WordEffects(torch.stack([first, first + 2 * torch.eye(3)]), kl=0.2)


def test_own_words_are_the_diagonal_and_others_the_rest(effects):
    at = layer_dose(0.1, effects, ["He feels", "I feel"])
    assert at.matching.value == pytest.approx(4.0)
    assert at.other.value == pytest.approx(-0.5)
    assert at.by_carrier["He feels"].matching.value == pytest.approx(3.0)
    assert at.top_3 == 1.0
    assert at.kl == 0.2
    low, high = at.matching.ends
    assert low < 4.0 < high


def test_every_control_that_was_tried_is_named(effects):
    at = layer_dose(0.1, effects, ["He feels", "I feel"])
    null = WordEffects(torch.zeros(2, 4, 3), kl=0.1)
    bare = beside_controls(at, effects, {"random": null}, {}, {}, NAMES)
    assert [control.name for control in bare.controls()] == [
        "isotropic random directions",
        "other emotions' vectors",
    ]
    each = {"calm": 1.0, "sad": 9.0}
    rivals = {"valence": each, "plane": each, "nearest": each}
    nulls = {"random": null, "matched": null, "shuffled": null}
    dose = beside_controls(at, effects, nulls, rivals, {"calm": 1.0, "sad": 2.0}, NAMES)
    assert len(dose.controls()) == 7
    assert dose.valence is not None and dose.valence.beats == ["calm"]
    assert dose.beats_all_others == NAMES
    assert dose.other_vectors.rival == pytest.approx(-0.5)
    assert dose.off_plane is not None and dose.off_plane.value == 1.5
    assert set(dose.q_random) == set(NAMES)
    assert dose.within_side is None, "one of them is pleasant"


def test_vectors_that_know_only_their_side_are_not_first_within_it():
    names = ["happy", "proud", "calm", "sad", "angry", "afraid"]
    side = torch.tensor([1.0, 1, 1, -1, -1, -1])
    noise = 0.1 * torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    by_side = torch.outer(side, side) + noise
    null = {"random": WordEffects(torch.zeros(1, 4, 6), kl=0.0)}

    def within(matrix):
        effects = WordEffects(matrix[None], kl=0.0)
        at = layer_dose(0.1, effects, ["He feels"])
        return beside_controls(at, effects, null, {}, {}, names).within_side

    nothing, own = within(by_side), within(by_side + 2 * torch.eye(6))
    assert nothing is not None and own is not None
    assert nothing.p > 0.05
    assert nothing.others.excess_interval[0] < 0
    # Six orders of three on either side: 1/36 at best, as often as it is drawn.
    assert own.p < 0.05
    assert own.others.excess == pytest.approx(2.0, abs=0.3)
    assert own.first == names
