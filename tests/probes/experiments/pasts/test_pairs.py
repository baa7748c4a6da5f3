"""Pairs before suffixes: each kind has its control, and implied emotions are left out of axes."""

import pytest
import torch
from planted_pasts import planted_pasts

from probes.experiments.pasts.pairs import (
    GOOD_BAD,
    NAMES,
    NEUTRAL,
    ORDER,
    PairReading,
    pairs_before,
)
from probes.stimuli.pasts import same_words


def test_every_event_stands_before_every_suffix_and_controls_before_one():
    stimuli = same_words()
    labeled = [it for n in range(len(stimuli.suffixes)) for it in pairs_before(stimuli, n)]
    n_of = {
        kind: sum(it.kind == kind for it in labeled) for kind in (GOOD_BAD, NAMES, ORDER, NEUTRAL)
    }
    n, n_suffixes = len(stimuli.pairs), len(stimuli.suffixes)
    assert n_of == {
        GOOD_BAD: n * n_suffixes,
        NAMES: n,
        ORDER: n,
        NEUTRAL: len(stimuli.neutral) * n_suffixes,
    }


def test_either_order_has_the_same_words():
    for it in pairs_before(same_words(), 0):
        if it.kind == ORDER:
            assert sorted(it.pair.one.split()) == sorted(it.pair.other.split())
            assert it.pair.one != it.pair.other


def _planted(materials, strength):
    """Add the happy vector after good turns and the sad one after bad ones, in residual norms."""
    bundle = materials.vectors
    norm = float(bundle.residual_norm[-1])
    happy, sad = (strength * norm * bundle[name][-1] for name in ("happy", "sad"))
    planted = {}
    for pair in same_words().pairs:
        planted[pair.good.replace("{name}", pair.names[0])] = happy
        planted[pair.bad.replace("{name}", pair.names[0])] = sad
    return planted


def test_what_is_planted_after_good_and_bad_turns_is_read(materials):
    model, at = materials.subject(), len(materials.vectors.layers) - 1
    plain = PairReading(materials, same_words(), lambda _n: None)
    with planted_pasts(model, _planted(materials, 0.5), layer=model.n_layers - 1):
        planted = PairReading(materials, same_words(), lambda _n: None)
    gained = planted.effects(GOOD_BAD)[:, at] - plain.effects(GOOD_BAD)[:, at]
    # What the planted vectors lie along each pair's own axis.
    axes = torch.stack([axis[at] for axis in planted._axes])
    expected = 0.5 * axes @ (materials.vectors["happy"][at] - materials.vectors["sad"][at])
    torch.testing.assert_close(gained.float(), expected, rtol=0.02, atol=1e-3)
    unsigned = planted.effects(NEUTRAL)[:, at] - plain.effects(NEUTRAL)[:, at]
    assert unsigned.abs().max() < 1e-6


def test_tokens_of_all_suffixes_are_averaged(materials):
    reading = PairReading(materials, same_words(), lambda _n: None)
    by_token = reading.by_token()
    assert by_token.shape == (len(materials.vectors.layers), min(reading.n_tokens))
    every_token_weighs_the_same = len(set(reading.n_tokens)) == 1
    if every_token_weighs_the_same:
        mean = reading.effects(GOOD_BAD).mean(dim=0).float()
        torch.testing.assert_close(by_token.mean(dim=1), mean, rtol=1e-3, atol=1e-6)


def test_own_emotions_rise_where_they_are_planted(materials):
    model, bundle = materials.subject(), materials.vectors
    at, norm = len(bundle.layers) - 1, float(bundle.residual_norm[-1])
    planted = {}
    for pair in same_words().pairs:
        for turn, text in (("good", pair.good), ("bad", pair.bad)):
            known = [name for name in pair.implies[turn] if name in materials.emotions]
            if known:
                vector = sum(bundle[name][-1] for name in known) * norm
                planted[text.replace("{name}", pair.names[0])] = vector
    with planted_pasts(model, planted, layer=model.n_layers - 1):
        rises, places = PairReading(materials, same_words(), lambda _n: None).own_emotions(at)
    assert len(rises) == len(places) > 10
    assert sum(places) / len(places) > 0.95
    assert min(rises) > 0
    _, places = PairReading(materials, same_words(), lambda _n: None).own_emotions(at)
    assert sum(places) / len(places) == pytest.approx(0.5, abs=0.2)
