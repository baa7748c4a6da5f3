"""Expression steering: shown where it was planted, not in noise, and not beyond valence alone."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import small_runs
import torch
from expressed_worlds import EMOTIONS, World
from planted_runs import materials as materials_of
from small_runs import SmallRun

from probes import figures
from probes.experiments import NotMeasured, find_experiment, to_json
from probes.experiments.expression import writing
from probes.experiments.expression.own_endings import SteeredEndings, compare_own
from probes.experiments.steering.dose_cost import Budget, Cost
from probes.runs.ways import PlacedText, WayRows

LETTERS = "abcdefghiklo"
"""What endings of each emotion are made of."""
NEUTRAL = ["The bus turned at the corner and went down the hill to the old bridge."] * 2
ANY_COST = {"max_kl": 1e9, "max_perplexity_ratio": 1e9}


class Letters(World):
    """Endings repeat a letter of their emotion; its vectors point to it, or do not.

    `kind` is ``own``, ``valence`` (to the letters of all emotions of its side) or ``noise``.
    """

    def __init__(self, model, kind="own", topics=("rain", "hall"), **parts):
        self.kind, self.model, self.kept_by_cell = kind, model, False
        settings = {"n_budget_texts": 2, "n_permutations": 200}
        settings = {**settings, **ANY_COST, **parts.pop("validation", {})}
        layers = (model.n_layers - 1,)
        super().__init__(lambda: model, layers=layers, d_model=model.d_model, **parts, **settings)
        self.endings_on = topics

    @property
    def index(self):
        return {"model": "made-up"}

    @property
    def per_cell(self):
        return self.kept_by_cell

    @property
    def by_story(self):
        return self

    @property
    def vectors(self):
        return SimpleNamespace(norm_by_layer={self.layer: 10.0})

    @property
    def run(self):
        return None

    def neutral_components(self, *_, **__):
        return torch.zeros(0, self.model.d_model, dtype=torch.float64)

    def directions(self):
        ids = [self.model.encode(f"x {letter}")[-1] for letter in LETTERS]
        columns = self.model.W_U.T[ids].detach().float()
        columns = columns - columns.mean(dim=0)
        if self.kind == "valence":
            axis = columns[6:].mean(dim=0) - columns[:6].mean(dim=0)
            return torch.stack([axis if n >= 6 else -axis for n in range(12)])
        if self.kind == "noise":
            generator = torch.Generator().manual_seed(3)
            return columns.std() * torch.randn(columns.shape, generator=generator)
        return columns

    def way(self, way, layer=None):
        rows = super().way(way, layer)
        noise = torch.randn(rows.mean.shape, generator=torch.Generator().manual_seed(1))
        own = self.directions()[rows.emotion]
        mean = own + 0.2 * own.std() * noise
        return WayRows(emotion=rows.emotion, unit=rows.unit, mean=mean)

    def stories(self, layer=None):
        return self.way("shown", layer)

    def placed_texts(self, way):
        assert way in ("shown", "voiced")
        return [
            PlacedText(number, topic, f"It was in the {topic}.", " ".join([letter] * 18), "")
            for topic in self.endings_on
            for number, letter in enumerate(LETTERS)
        ]


@pytest.fixture
def measured(tiny_model, monkeypatch):
    monkeypatch.setattr(writing, "neutral_texts", lambda _run, n: NEUTRAL[:n])
    return lambda kind="own", **parts: writing.measure(Letters(tiny_model("gpt2"), kind, **parts))


def test_what_was_planted_is_shown_in_both_pairs_of_ways(measured, tmp_path):
    result = measured()
    assert [pair.name for pair in result.pairs] == [
        "said vectors -> shown endings",
        "narrated vectors -> voiced endings",
    ]
    for pair, finding in zip(result.pairs, result.findings(), strict=True):
        assert pair.dose == 0.1
        assert pair.effects.first > 0.9
        assert pair.effects.own.above_zero
        assert [control.n_directions for control in pair.effects.controls] == [12, 12, 2]
        assert finding.verdict == "shown"
        assert finding.control.excess.above_zero
        assert (pair.checked.n_vectors, pair.checked.n_endings) == (2, 12)
        assert pair.checked.r > 0.9
        assert f"r = {pair.checked.r:.2f}" in result.paragraph()
        assert f"own endings first for {pair.effects.first:.0%} (chance 8%)" in finding.line
        assert f"{pair.effects.own:+.3f} nats per token" in finding.line
    assert [finding.headline for finding in result.findings()] == [True, False]
    assert figures.draw_all(result.figures(), tmp_path)


def test_noise_is_not_shown(measured):
    result = measured("noise")
    for pair, finding in zip(result.pairs, result.findings(), strict=True):
        assert finding.verdict == "not shown"
        assert pair.effects.first < 0.5


def test_valence_alone_is_no_more_than_its_axis(measured):
    result = measured("valence")
    for pair, finding in zip(result.pairs, result.findings(), strict=True):
        assert pair.effects.own.above_zero
        assert pair.effects.p < 0.05
        assert finding.control.name == "the valence axis"
        assert finding.verdict == "shown in part"
        *others, axis = pair.effects.controls
        assert all(control.excess.above_zero for control in others)
        assert not axis.excess.above_zero


def test_the_largest_dose_within_the_budget_is_taken(measured):
    costs = measured().pairs[0].costs
    assert [cost.dose for cost in costs] == list(writing.DOSES)
    assert costs[0].kl < costs[1].kl
    tight = {**ANY_COST, "max_kl": (costs[0].kl + costs[1].kl) / 2}
    assert measured(validation=tight).pairs[0].dose == writing.DOSES[0]


def test_without_a_dose_within_the_budget_nothing_is_said_but_that(measured):
    result = measured(validation={**ANY_COST, "max_kl": 1e-12})
    assert {(pair.dose, pair.effects) for pair in result.pairs} == {(None, None)}
    for finding in result.findings():
        assert finding.verdict == "not measured"
        assert "no dose tried is within the budget: even 0.05 costs KL" in finding.line
    assert result.figures() == {}
    assert "no dose tried is within the budget" in result.paragraph()


def test_what_a_run_lacks_is_said(measured, tiny_model):
    stories = measured(ways=["shown"])
    assert isinstance(stories, NotMeasured)
    assert "none that are said" in stories.not_measured
    nowhere = measured(topics=())
    assert "12 emotions and no such topic" in nowhere.not_measured
    few = measured(validation={"steered_emotions": EMOTIONS[:2]})
    assert "2 emotions and such a topic" in few.not_measured
    by_cell = Letters(tiny_model("gpt2"))
    by_cell.kept_by_cell = True
    assert "per cell" in writing.measure(by_cell).not_measured


def test_a_run_of_one_form_has_one_pair_and_few_emotions_are_a_limit(measured):
    result = measured(
        ways=["said", "narrated", "shown"], validation={"steered_emotions": EMOTIONS[:5]}
    )
    assert [pair.learned for pair in result.pairs] == ["said"]
    assert result.emotions == EMOTIONS[:5]
    assert any("only 5 emotions" in limit for limit in result.limits())


def synthetic(changes, controls):
    """A result with given changes of log-likelihoods."""
    effects = compare_own(changes, controls, n_permutations=99, seed=0)
    pair = writing.WaySteering(
        learned="said",
        written="shown",
        topics=["rain"],
        tokens_per_ending=20.0,
        costs=[Cost(0.05, 0.1, 1.1)],
        dose=0.05,
        effects=effects,
    )
    return writing.ExpressionSteering(
        model="m", layer=1, emotions=EMOTIONS, budget=Budget(1.0, 2.0), n_texts=2, pairs=[pair]
    )


def test_an_effect_is_shown_only_beyond_every_control():
    noise = 0.05 * torch.randn(12, 12, generator=torch.Generator().manual_seed(0)).double()
    planted = 0.3 * torch.eye(12) + noise
    weak = SteeredEndings(noise.T, range(12), 6)
    strong = SteeredEndings(planted + noise.T, range(12), 6)
    assert synthetic(planted, {}).findings()[0].verdict == "shown in part"
    assert synthetic(planted, {"weak": weak}).findings()[0].verdict == "shown"
    [finding] = synthetic(planted, {"weak": weak, "strong": strong}).findings()
    assert (finding.verdict, finding.control.name) == ("shown in part", "strong")
    assert synthetic(noise, {"weak": weak}).findings()[0].verdict == "not shown"


@pytest.fixture(scope="module")
def made(tiny_folder, tmp_path_factory) -> SmallRun:
    """A run on texts that say and show four emotions, up to its vectors."""
    folder = tmp_path_factory.mktemp("ways")
    emotions = ["angry", "calm", "happy", "sad"]
    corpus = small_runs.write_corpus(folder, emotions, ["rain", "hall", "snow"], 1, 6)
    stories = [json.loads(line) for line in Path(corpus["stories"]).read_text().splitlines()]
    for text in stories:
        form = "voiced" if text["topic"] == "snow" else "narrated"
        text |= {"opening": f"This is about {text['topic']} and us.", "form": form}
    said = [
        {"emotion": name, "topic": frame, "opening": frame, "text": name, "closing": "on that day."}
        for frame in ("After lunch she felt", "They had never been as")
        for name in emotions
    ]
    for name, rows in (("stories", stories), ("said", said)):
        corpus[name] = str(folder / f"{name}.jsonl")
        Path(corpus[name]).write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = small_runs.small_settings(
        tiny_folder("gpt2"),
        folder / "out",
        corpus=corpus,
        generation={"emotions_subset": None, "topics_subset": None},
        model={"target_layer": 1},
        validation={"n_budget_texts": 2, "n_permutations": 20, **ANY_COST},
    )
    made = SmallRun(small_runs.write_config(folder / "c.yaml", values), folder / "out")
    made.run().prepare()
    made.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    return made


def test_a_run_is_measured_twice_alike_and_survives_json(made):
    experiment = find_experiment("expression-steering")
    result = experiment.measure(materials_of(made))
    assert [list(pair.topics) for pair in result.pairs] == [["rain", "hall", "snow"], ["snow"]]
    assert [len(pair.effects.by_emotion) for pair in result.pairs] == [4, 4]
    again = json.loads(json.dumps(to_json(experiment.measure(materials_of(made)))))
    assert again == json.loads(json.dumps(to_json(result)))
    assert experiment.read(again) == result
