"""Scenarios, intensity and preferences on a whole small run, and with vectors planted in it."""

import json

import pytest
import torch

from probes.experiments import find_experiment
from probes.experiments.messages.reading import read_messages
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Silent
from probes.stages import find_stages
from probes.stimuli import intensity_templates, scenarios
from probes.storage import read_json

NAMES = ("scenarios", "intensity", "preferences")


@pytest.fixture
def materials(finished):
    run = finished.run(validation__preference_pairs=96, validation__preference_steered_pairs=2)
    return Materials(run, Models(run.config), Silent())


def _plant(materials, vectors):
    """Put vectors at the target layer in place of the run's own."""
    bundle = materials.vectors
    bundle.vectors[bundle.layer_index(materials.layer)] = vectors


@pytest.mark.parametrize("name", NAMES)
def test_leaves_plain_values_rows_and_a_paragraph(materials, name):
    experiment = find_experiment(name)
    measured = experiment.measure(materials)
    values = json.loads(json.dumps(measured.to_json(), allow_nan=False))
    assert measured.rows
    assert measured.paragraph.endswith(".")
    for figure in experiment.figures(values).values():
        assert figure.caption


def test_scenarios_find_vectors_that_lie_where_the_messages_do(materials):
    kept = [s for s in scenarios() if s.emotion in materials.emotions]
    held = [s for s in kept if s.battery == "held-out"]
    residual = read_messages(materials.subject(), [s.text for s in held], materials.layer)
    order = [[s.emotion for s in held].index(emotion) for emotion in materials.emotions]
    _plant(materials, (residual - residual.mean(dim=0))[order])
    values = find_experiment("scenarios").measure(materials).values
    found = values["batteries"]["held-out"]["centered"]
    assert found["ranks"] == [1, 1, 1]
    assert found["contrast_interval"][0] > 0.2
    assert values["left_out"][:2] == ["afraid", "calm"]


def test_scenarios_are_drawn_centered_and_as_they_are(materials):
    experiment = find_experiment("scenarios")
    values = experiment.measure(materials).to_json()
    figures = experiment.figures(values)
    for name, reading in (("scenarios", "centered"), ("scenarios_uncentered", "uncentered")):
        matrix = values["batteries"]["first"][reading]["matrix"]
        places = [materials.emotions.index(emotion) for emotion in figures[name].columns]
        assert figures[name].values[0] == pytest.approx([matrix[0][place] for place in places])


def test_scenarios_read_the_held_out_battery_apart_from_the_first(materials):
    batteries = find_experiment("scenarios").measure(materials).values["batteries"]
    assert batteries["first"]["centered"]["matrix"] != batteries["held-out"]["centered"]["matrix"]
    assert [len(b["emotions"]) for b in batteries.values()] == [3, 3]


EXPECTED = {
    "painkiller": ("scared", "serene"),
    "water": ("panicked", "content"),
    "relative": ("grief-stricken", "thankful"),
    "dog": ("unhappy", "happy"),
    "start-up": ("nervous", "relieved"),
    "students": ("proud", "guilty"),
}
"""Emotions of a run that meet each of the twelve expectations once."""


@pytest.fixture
def of(reading_run):
    """``of(emotions)``: materials of a small run with these emotions."""

    def make(emotions):
        run = reading_run(corpus={"emotions": list(emotions)})
        run.run().prepare()
        run.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
        return Materials(run.run(), Models(run.run().config), Silent())

    return make


class TestAllTwelveScenarios:
    @pytest.fixture
    def materials(self, of):
        return of(dict.fromkeys(scenario.emotion for scenario in scenarios()))

    def test_vectors_planted_for_one_battery_are_found_in_it_alone(self, materials):
        held = {s.emotion: s.text for s in scenarios() if s.battery == "held-out"}
        texts = [held[emotion] for emotion in materials.emotions]
        residual = read_messages(materials.subject(), texts, materials.layer)
        _plant(materials, residual - residual.mean(dim=0))
        batteries = find_experiment("scenarios").measure(materials).values["batteries"]
        found, other = batteries["held-out"]["centered"], batteries["first"]["centered"]
        assert found["n"] == found["top_1"] == 12
        assert found["p"] < 0.01
        assert found["p_within"] < 0.01
        assert found["contrast_interval"][0] > 0.3 > found["shuffled_contrast"]
        assert other["p"] > 0.05
        assert other["contrast_interval"][0] < 0.1

    def test_nothing_is_found_in_noise(self, materials):
        noise = torch.randn(12, 32, generator=torch.Generator().manual_seed(3))
        _plant(materials, noise)
        for battery in find_experiment("scenarios").measure(materials).values["batteries"].values():
            for reading in ("centered", "uncentered"):
                low, high = battery[reading]["contrast_interval"]
                assert low <= 0 <= high
                assert battery[reading]["p"] > 0.05
                assert battery[reading]["top_1"] <= 4


class TestAllTwelveExpectations:
    @pytest.fixture
    def materials(self, of):
        return of([emotion for pair in EXPECTED.values() for emotion in pair])

    def test_vectors_along_which_the_numbers_rise_are_found_and_no_number_alone(self, materials):
        bundle = materials.vectors
        mean = bundle.global_mean[bundle.layer_index(materials.layer)].double()
        steps = torch.arange(10.0, dtype=torch.float64) - 4.5
        own = bundle.at(materials.layer).clone()
        for template in intensity_templates():
            forms = [
                form.format(number=number)
                for form in (template.text, template.neutral)
                for number in template.numbers
            ]
            residual = read_messages(materials.subject(), forms, materials.layer).double() - mean
            level = residual / residual.norm(dim=1, keepdim=True)
            for expectation in template.expects:
                [emotion] = set(EXPECTED[template.name]) & set(expectation.emotions)
                # Cosines rise or fall by the same step with the message, and jump with the control.
                jumps = torch.tensor([1.0, -1.0] * 5, dtype=torch.float64)
                wanted = torch.cat([expectation.sign * steps, jumps])
                solved = torch.linalg.lstsq(level, wanted[:, None]).solution[:, 0]
                own[materials.emotions.index(emotion)] = solved.float()
        _plant(materials, own)
        values = find_experiment("intensity").measure(materials).values
        asked = {(row["template"], row["emotion"]) for row in values["expectations"]}
        assert asked == {(name, e) for name, pair in EXPECTED.items() for e in pair}
        assert values["trend"] == pytest.approx([1.0] * 12, abs=0.05)
        assert values["n_expected"] == values["n"] == values["n_asked"] == 12
        assert values["gain_interval"][0] > 0.5
        assert values["p"] < 0.01
        assert values["p_count"] < 0.05

    def test_nothing_is_found_in_noise(self, materials):
        _plant(materials, torch.randn(12, 32, generator=torch.Generator().manual_seed(4)))
        values = find_experiment("intensity").measure(materials).values
        low, high = values["mean_interval"]
        assert low <= 0 <= high
        assert values["p"] > 0.05
        assert values["p_count"] > 0.05

    def test_what_stands_in_for_what_is_named(self, materials):
        measured = find_experiment("intensity").measure(materials)
        pairs = [
            (emotion, expectation.emotions[0])
            for template in intensity_templates()
            for expectation in template.expects
            for emotion in set(EXPECTED[template.name]) & set(expectation.emotions)
        ]
        named = {f"{one} for {first}" for one, first in pairs if one != first}
        assert measured.values["stand_ins"] == sorted(named)
        told = [limit for limit in measured.limits if "stands in" in limit]
        assert len(told) == bool(named)
        assert all(name in limit for limit in told for name in named)


def test_preferences_say_how_many_pairs_were_asked_and_center_elo(materials):
    values = find_experiment("preferences").measure(materials).values
    assert values["n_pairs"] == 96
    assert values["n_pairs_all"] == 2016
    assert sum(row["elo"] for row in values["activities"]) == pytest.approx(0.0, abs=1e-6)
    assert values["coupling"] is None  # three emotions
    assert set(values["emotions"]) == set(materials.emotions)


def test_a_run_that_lacks_all_emotions_says_so_and_draws_nothing(reading_run):
    run = reading_run(corpus={"emotions": ["smug", "vigilant"]})
    run.run().prepare()
    run.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    made = Materials(run.run(), Models(run.run().config), Silent())
    for name in ("scenarios", "intensity"):
        experiment = find_experiment(name)
        measured = experiment.measure(made)
        assert measured.rows == []
        assert len(measured.limits) == 1
        assert experiment.figures(measured.to_json()) == {}


def test_validate_ends_with_the_scorecard(finished):
    lines = read_json(finished.folder / "analysis" / "scorecard.json")["lines"]
    by_name = {line["name"]: line for line in lines}
    assert by_name["geometry.pc1_variance_share"]["ours"] is not None
    assert by_name["intensity.expected_signs"]["why"] == "experiment intensity was not run"
    [validate] = find_stages(["validate"])
    assert "analysis/scorecard.json" in validate.leaves
