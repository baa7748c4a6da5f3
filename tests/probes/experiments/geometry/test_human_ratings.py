"""Human ratings: a planted axis of valence is found with its layer; noise is not."""

import math
from dataclasses import replace

import pytest
import torch
from planted_runs import D_MODEL, N_LAYERS

from probes.analysis.describe import match_scales
from probes.analysis.geometry import principal_components
from probes.config import Config
from probes.config.sections import AnalysisSettings
from probes.experiments import find_experiment, to_json
from probes.experiments.geometry.human_ratings import (
    MIN_PERMUTATIONS,
    SHIPPED,
    Compared,
    predict_left_out,
)
from probes.runs.folder import Run
from probes.stimuli import human_ratings

EXPERIMENT = find_experiment("human-ratings")


def valence_row(text, generator):
    """Valence along one direction at the layers 2 and 3, noise elsewhere."""
    value = 0.05 * torch.randn(N_LAYERS, D_MODEL, generator=generator)
    if text.emotion is not None:
        value[2:, 0] += human_ratings()[text.emotion].pleasure
    return value


@pytest.fixture(scope="module")
def run(planted):
    return planted(row=valence_row)


def test_the_planted_axis_is_found_and_turned_to_rise_with_valence(run):
    valence = EXPERIMENT.measure(run).norms[SHIPPED].valence
    assert valence.component == 0
    assert valence.r > 0.95
    # Eight words in 2,000 orders: a few are as good.
    assert 1 / 2001 <= valence.p_corrected < 0.005
    assert valence.left_out.r > 0.9
    assert valence.everywhere.layer in (2, 3)
    assert valence.everywhere.n_searched == N_LAYERS * 5


def test_row_and_paragraph_name_the_same_correlation_and_p(run):
    measured = EXPERIMENT.measure(run)
    [valence, _] = measured.findings()
    match = measured.norms[SHIPPED].valence
    assert valence.verdict == "shown"
    for text in (valence.line, measured.paragraph()):
        assert f"{match.r:.2f} [{match.low:.2f}, {match.high:.2f}]" in text
        assert valence.p_value in text
        assert "8 words" in text.replace("8 of the words", "8 words")


@pytest.mark.parametrize(
    ("low", "p", "verdict"),
    [(0.1, 0.01, "shown"), (0.1, 0.06, "not shown"), (0.0, 0.01, "not shown")],
)
def test_a_rating_is_shown_when_p_and_interval_clear_chance(run, low, p, verdict):
    measured = EXPERIMENT.measure(run)
    match = replace(measured.norms[SHIPPED].valence, low=low, p_corrected=p)
    norms = {SHIPPED: replace(measured.norms[SHIPPED], valence=match, arousal=None)}
    [finding] = replace(measured, norms=norms).findings()
    assert finding.verdict == verdict


def test_too_few_rated_words_are_said_and_a_limit(run):
    norms = {SHIPPED: Compared(words=["sad"], n=1)}
    content = to_json(replace(EXPERIMENT.measure(run), norms=norms))
    assert "1 of the emotions are rated" in content["rows"][0][1]
    assert any("not measured" in limit for limit in content["limits"])
    assert EXPERIMENT.read(content).figures() == {}


def test_the_headline_prints_the_same_component_correlation_interval_and_p(run):
    assert run.config.validation.n_permutations < MIN_PERMUTATIONS
    components = principal_components(run.vectors.at(run.layer), 5, run.config.analysis.unit_norm)
    headline = match_scales(
        components.coordinates,
        run.emotions,
        n_permutations=AnalysisSettings().n_permutations,
        seed=run.seed,
    )
    for scale, match in EXPERIMENT.measure(run).norms[SHIPPED].matches().items():
        known = dict(headline.by_scale)[scale]
        assert match.component == known.component
        for key in ("r", "low", "high", "p_corrected"):
            assert getattr(match, key) == pytest.approx(getattr(known, key), abs=1e-4)


def test_arousal_beyond_valence_pays_for_the_components_it_was_picked_from(run):
    arousal = EXPERIMENT.measure(run).norms[SHIPPED].arousal
    given = arousal.given_valence
    half = (math.atanh(given.high) - math.atanh(given.low)) / 2
    assert half == pytest.approx(2.4906 / (arousal.n - 4) ** 0.5, abs=1e-3)
    assert arousal.n_searched == 4


def test_predictions_of_noise_run_against_the_ratings_and_p_knows_it(run):
    noise = torch.randn(20, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ratings = torch.randn(200, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    guesses = predict_left_out(noise, list(range(20)), ratings)
    r = torch.stack(
        [torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(guesses, ratings, strict=True)]
    )
    assert float(r.mean()) < -0.1
    left_out = EXPERIMENT.measure(run).norms[SHIPPED].valence.left_out
    assert left_out.p == pytest.approx(1 / 2001)
    assert left_out.dealt < 0.0


def test_a_prediction_is_the_line_through_the_other_words():
    place = torch.arange(6.0, dtype=torch.float64)
    points = torch.stack([place, torch.zeros(6).double()], dim=1)
    rating = 3.0 - 2.0 * place
    [guess] = predict_left_out(points, list(range(6)), rating[None])
    torch.testing.assert_close(guess, rating)


def test_arousal_is_not_found_where_only_valence_was_planted(run):
    measured = EXPERIMENT.measure(run)
    arousal = measured.norms[SHIPPED].arousal
    assert arousal.component != 0
    assert arousal.p_corrected > 0.05
    assert arousal.everywhere.p_corrected > 0.05
    assert any("human arousal" in limit for limit in to_json(measured)["limits"])


def both_row(text, generator):
    """Valence along one direction and arousal along another, at the layers 2 and 3."""
    value = valence_row(text, generator)
    if text.emotion is not None:
        value[2:, 1] += human_ratings()[text.emotion].arousal
    return value


def test_planted_arousal_is_found_beside_valence_and_beyond_it(planted):
    shipped = EXPERIMENT.measure(planted(row=both_row)).norms[SHIPPED]
    valence, arousal = shipped.valence, shipped.arousal
    assert valence.r > 0.95
    assert arousal.component != valence.component
    assert arousal.r > 0.8
    assert arousal.p_corrected <= 0.05
    assert arousal.everywhere.layer in (2, 3)
    assert arousal.everywhere.p_corrected <= 0.05


def test_ratings_from_a_file_stand_beside_the_shipped_ones(run, tmp_path):
    path = tmp_path / "norms.tsv"
    lines = [
        f"{word}\t{rating.pleasure}\t{rating.arousal}" for word, rating in human_ratings().items()
    ]
    lines += ["pony\tNA\tNA", "lathe\t\t0.1"]
    path.write_text("Word\tValence\tArousal\n" + "\n".join(lines), encoding="utf-8")
    values = run.config.model_dump()
    values["validation"]["norms"] = str(path)
    again = type(run)(Run(Config.model_validate(values), "c.yaml"), run.models, run.reporter)
    measured = EXPERIMENT.read(to_json(EXPERIMENT.measure(again)))
    norms = measured.norms
    [other] = [name for name in norms if name != SHIPPED]
    assert "NRC-VAD" in other
    assert norms[other].valence.r == pytest.approx(norms[SHIPPED].valence.r)
    [limit] = measured.limits()
    n_rows = len(human_ratings()) + 2
    assert f"2 of {n_rows} rows of NRC-VAD (norms.tsv) have no rating" in limit


def test_the_figures_place_every_rated_word(run):
    figures = EXPERIMENT.read(to_json(EXPERIMENT.measure(run))).figures()
    assert set(figures) == {"human_valence", "human_arousal"}
    assert len(figures["human_valence"].labels) == 8
