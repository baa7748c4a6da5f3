"""Effects on words summed up: the diagonal, the rest, and controls beside them."""

import pytest
import torch

from probes.experiments.steering.effects import WordEffects, beside_controls, layer_dose
from probes.experiments.steering.nulls import Resampling

NAMES = ["calm", "sad", "tense"]
DRAWN = Resampling(200, 0)


@pytest.fixture
def effects() -> WordEffects:
    """Own words rise by 2, 3 and 4 after one carrier and by 4, 5 and 6 after the other."""
    first = torch.diag(torch.tensor([2.0, 3.0, 4.0])) - 0.5 * (1 - torch.eye(3))
    return WordEffects(torch.stack([first, first + 2 * torch.eye(3)]), kl=0.2)


def test_own_words_are_the_diagonal_and_others_the_rest(effects):
    at = layer_dose(0.1, effects, ["He feels", "I feel"], DRAWN)
    assert at.matching.value == pytest.approx(4.0)
    assert at.other.value == pytest.approx(-0.5)
    assert at.by_carrier["He feels"].matching.value == pytest.approx(3.0)
    assert at.top_3 == 1.0
    assert at.kl == 0.2
    low, high = at.matching.ends
    assert 3.0 <= low < 4.0 < high <= 5.0


def test_every_control_that_was_tried_is_named(effects):
    at = layer_dose(0.1, effects, ["He feels", "I feel"], DRAWN)
    null = WordEffects(torch.zeros(2, 4, 3), kl=0.1)
    bare = beside_controls(at, effects, {"random": null}, {}, NAMES, DRAWN)
    assert [control.name for control in bare.controls()] == [
        "isotropic random directions",
        "other emotions' vectors",
    ]
    nulls = {"random": null, "matched": null, "shuffled": null}
    dose = beside_controls(at, effects, nulls, {"calm": 1.0, "sad": 9.0}, NAMES, DRAWN)
    assert len(dose.controls()) == 5
    assert dose.valence is not None and dose.valence.beats == ["calm"]
    assert dose.beats_all_others == NAMES
    assert dose.other_vectors.rival == pytest.approx(-0.5)
