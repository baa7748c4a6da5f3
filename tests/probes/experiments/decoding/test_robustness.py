"""The headline statistics: the run's own choice gives what the other experiments report."""

from dataclasses import replace

import pytest

from probes.experiments import find_experiment
from probes.experiments.decoding.robustness import Headline, choice_of_run, sample_of
from probes.experiments.folds import TopicFolds
from probes.experiments.geometry.human_ratings import SHIPPED


@pytest.fixture(scope="module")
def headline_of():
    """``headline_of(materials)``: the headline of the analyzed layer."""

    def make(materials):
        folds = TopicFolds(materials, materials.config.validation.n_folds)
        return Headline(materials, sample_of(materials, folds, materials.layer, ["document"]))

    return make


def test_the_own_choice_is_what_the_other_experiments_report(planted, headline_of):
    run = planted(strength=[0.0, 0.0, 0.0, 0.3], noise=0.2, topic_strength=0.3)
    headline = headline_of(run)
    own = headline.statistics(headline.outcome(choice_of_run(run)))
    held_out = find_experiment("held-out-topics").measure(run)
    reported = held_out.nearest[3].top_1
    assert own.accuracy.value == reported.value
    assert own.accuracy.ends == pytest.approx(reported.ends)
    valence = find_experiment("human-ratings").measure(run).norms[SHIPPED].valence
    reported = (valence.r, valence.low, valence.high)
    assert (own.valence.value, *own.valence.ends) == pytest.approx(reported, abs=1e-4)


def test_the_own_choice_of_a_real_run_with_neutral_components_is_the_reported_one(
    real, headline_of
):
    own = headline_of(real).outcome(choice_of_run(real))
    held_out = find_experiment("held-out-topics").measure(real)
    # Random weights leave near ties, which rounding may decide either way: one story is allowed.
    assert float(own.hits.mean()) == pytest.approx(
        held_out.here.top_1.value, abs=1.01 / held_out.n_rows
    )


def test_readouts_leave_valence_and_unit_norm_leaves_accuracy(planted, headline_of):
    run = planted(strength=[0.0, 0.0, 0.0, 1.0], shared=30.0, noise=0.3)
    headline, own = headline_of(run), choice_of_run(run)
    before = headline.statistics(headline.outcome(own))
    for readout in ("cosine", "dot", "z"):
        after = headline.statistics(headline.outcome(replace(own, readout=readout)))
        assert after.valence == before.valence
    other = headline.outcome(replace(own, unit_norm=not own.unit_norm))
    assert headline.statistics(other).accuracy == before.accuracy


def test_components_that_the_run_took_are_those_of_its_samples(real):
    folds = TopicFolds(real, 3)
    sample = sample_of(real, folds, real.layer, ["document"])
    own = choice_of_run(real)
    taken, fitted = (
        Headline(real, each).outcome(own) for each in (sample, replace(sample, basis=None))
    )
    assert (taken.hits == fitted.hits).all()
    assert taken.clusters is None or taken.clusters[0] == fitted.clusters[0]


def test_a_choice_whose_samples_are_missing_is_an_error(real):
    folds = TopicFolds(real, 3)
    headline = Headline(real, sample_of(real, folds, real.layer))
    with pytest.raises(KeyError, match="token"):
        headline.outcome(replace(choice_of_run(real), neutral="token"))
