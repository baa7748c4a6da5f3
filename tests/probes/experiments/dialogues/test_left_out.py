"""Left-out settings: what is planted is named, and nothing where nothing is."""

import pytest
import torch
from planted_dialogues import deflection_crossing, plant, speakers_crossing

from probes.experiments.dialogues.left_out import (
    OWN_DIRECTIONS,
    Learned,
    centered,
    name_left_out,
)
from probes.experiments.dialogues.reading import MODEL, gram_of

OWN, OTHER = 0, 1


def different(crossing):
    return crossing.levels[OWN] != crossing.levels[OTHER]


def named(planted, factor, *, given=None, words=None, rows=None):
    learned = Learned.of(planted.crossing, factor, rows, n_refits=8, n_dealt=60, seed=0)
    readers = {MODEL: gram_of(planted.rows)}
    if words is not None:
        readers["words"] = gram_of(words.rows)
    return name_left_out(readers, planted.crossing, factor, learned, given)


def test_what_both_factors_add_is_named_in_settings_that_were_left_out():
    planted = plant(speakers_crossing(), d_model=96)
    namings = [
        named(planted, OWN),
        named(planted, OTHER, rows=different(planted.crossing)),
        named(planted, OTHER, rows=different(planted.crossing), given=OWN),
    ]
    for naming in namings:
        assert naming.share.value > 0.95
        assert naming.verdict == "shown" and naming.p <= 1 / 61
    assert [naming.n for naming in namings] == [288, 264, 264]


@pytest.mark.parametrize("seed", range(2))
def test_the_others_emotion_is_at_chance_where_only_the_speakers_own_is_there(seed):
    """Plain means would say which emotion the speaker's own never met: below chance, or above."""
    planted = plant(speakers_crossing(), first=2.0, second=0.0, noise=1.0, seed=seed)
    for given in (None, OWN):
        naming = named(planted, OTHER, rows=different(planted.crossing), given=given)
        assert naming.share.value == pytest.approx(naming.chance, abs=0.05)
        assert naming.verdict == "not shown"


@pytest.mark.parametrize("seed", range(3))
def test_a_hidden_emotion_is_at_chance_where_only_the_shown_one_is_there(seed):
    planted = plant(deflection_crossing(), first=0.0, second=2.0, noise=1.0, seed=seed)
    naming = named(planted, 0)
    assert naming.p > 0.02
    assert naming.share.value < 0.2
    assert named(planted, 1).share.value > 0.9


def test_what_words_name_as_well_is_shown_in_part():
    planted = plant(speakers_crossing(), noise=1.0)
    same, nothing = planted, plant(speakers_crossing(), first=0.0, noise=1.0, seed=3)
    by_words = named(planted, OWN, words=same)
    assert by_words.verdict == "shown in part"
    assert by_words.excess["words"].value == 0
    alone = named(planted, OWN, words=nothing)
    assert alone.verdict == "shown"
    assert alone.excess["words"].value == pytest.approx(
        alone.share.value - alone.others["words"].value
    )
    assert alone.control.name == "words"


@pytest.mark.parametrize("alike", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(2))
def test_directions_of_own_emotions_name_the_others_only_where_they_are_the_same(alike, seed):
    planted = plant(speakers_crossing(), alike=alike, noise=2.0, seed=seed, d_model=96)
    naming = named(planted, OTHER, rows=different(planted.crossing), given=OWN)
    assert naming.n_levels == 11 and naming.chance == 1 / 11
    assert naming.share.value > 0.4
    by_own = naming.others[OWN_DIRECTIONS].value
    if alike:
        assert by_own > naming.share.value - 0.1
        assert naming.verdict == "shown in part"
    else:
        assert by_own < 0.2
        assert naming.verdict == "shown"


def test_the_emotion_that_the_speaker_feels_is_never_named_as_the_others():
    planted = plant(speakers_crossing(), second=0.0)
    everything = named(planted, OTHER, given=OWN)
    apart = named(planted, OTHER, given=OWN, rows=different(planted.crossing))
    # The 24 readings in which both feel the same are all wrong.
    assert everything.share.value * 288 < apart.share.value * 264 + 20


def test_rows_are_read_less_the_mean_of_their_block():
    rows = torch.tensor([[1.0, 2.0], [10.0, 0.0], [3.0, 4.0], [20.0, 2.0]])
    expected = torch.tensor([[-1.0, -1.0], [-5.0, -1.0], [1.0, 1.0], [5.0, 1.0]])
    assert torch.equal(centered(rows, torch.tensor([7, 2, 7, 2])), expected)


def test_a_finding_says_share_chance_and_reader():
    planted = plant(speakers_crossing(), noise=1.0)
    naming = named(planted, OWN, words=plant(speakers_crossing(), first=0.0, seed=3))
    finding = naming.finding("own", "a note")
    assert f"{naming.share:.1%} of 12 named" in finding.line
    assert "words" in finding.line and "a note" in finding.line
    assert naming.by_others() == f"{naming.others['words'].value:.1%} by words"
    assert naming.by_others("words") == ""
