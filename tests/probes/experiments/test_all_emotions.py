"""A run of all 171: each experiment has the emotions that it needs, and steers with a few."""

import pytest
import small_runs
from planted_runs import materials as materials_of

from probes.analysis.agreement import rating_table
from probes.experiments import find_experiment
from probes.experiments.steering.word_effects import first_tokens
from probes.stimuli import emotions, intensity_templates, scenarios, steered_by_default

TOPICS = ["a lost key", "a late train", "a new roof", "a letter"]
QUICK = {
    "sweep_doses": [0.1, 0.3],
    "sweep_layers": [2],
    "free_text_tokens": 2,
    "free_text_random": 1,
    "preference_pairs": 96,
    "preference_steered_pairs": 2,
}


@pytest.fixture(scope="module")
def made(subject, tmp_path_factory):
    folder = tmp_path_factory.mktemp("all")
    values = small_runs.small_settings(
        subject,
        folder / "out",
        corpus=small_runs.write_corpus(folder, emotions(), TOPICS, per_cell=1, n_sentences=3),
        generation={"emotions_subset": None, "topics_subset": None},
        model={"target_layer": 2},
    )
    config = small_runs.write_config(folder / "c.yaml", values)
    run = small_runs.SmallRun(config, folder / "out")
    run.run().prepare()
    run.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    return run


@pytest.fixture(scope="module")
def measured(made):
    """``measured(name, setting=...)``: an experiment on all 171."""

    def measure(name, **settings):
        changed = {f"validation__{key}": it for key, it in {**QUICK, **settings}.items()}
        return find_experiment(name).measure(materials_of(made, **changed))

    return measure


def test_scenarios_leave_no_message_out_and_rank_among_all(measured):
    result = measured("scenarios")
    assert result.left_out == []
    for battery in result.batteries.values():
        implied = [it.emotion for it in scenarios() if it.battery == "first"]
        assert battery.emotions == implied
        assert len(battery.centered.by_emotion) == 12
        assert battery.centered.chance_rank == 86
        assert {len(row) for row in battery.centered.matrix} == {171}
    assert result.figures()["scenarios"].columns == tuple(dict.fromkeys(implied))


def test_intensity_needs_no_stand_in(measured):
    result = measured("intensity")
    first = [(it.name, each.emotions[0]) for it in intensity_templates() for each in it.expects]
    assert [(row.template, row.emotion) for row in result.expectations] == first
    assert (result.n, result.n_asked, result.stand_ins, result.n_stand_ins) == (24, 24, [], 0)
    assert not any("stands in" in limit for limit in result.limits())


def test_preferences_are_read_by_all_and_pushed_by_the_default_and_the_papers_two(measured):
    result = measured("preferences")
    pushed = {name for name, link in result.emotions.items() if link.pushed is not None}
    assert list(result.emotions) == list(emotions())
    assert pushed == {*steered_by_default(), "blissful", "hostile"}
    assert result.coupling.n == result.coupling_shuffled.n == len(pushed)
    assert set(result.figures()["preferences_coupling"].labels) == pushed
    numbers = result.paper_numbers()
    for name in ("blissful", "hostile"):
        link = result.emotions[name]
        assert numbers[f"preferences.probe_vs_elo_r.{name}"].value == link.r
        assert numbers[f"preferences.steering_delta_elo.{name}"].value == link.push
    assert result.valence.n == 45


def test_preferences_push_nothing_but_what_is_asked_for(measured):
    result = measured("preferences", steered_emotions=["happy", "sad", "smug", "calm"])
    pushed = [name for name, link in result.emotions.items() if link.push is not None]
    assert pushed == ["calm", "happy", "sad", "smug"]
    number = result.paper_numbers()["preferences.steering_delta_elo.hostile"]
    assert number == "this run did not steer with 'hostile'"
    assert result.n_directions < 4


def test_words_are_steered_to_of_the_default_alone(measured):
    result = measured("steering")
    assert {*result.emotions, *result.left_out} == {*steered_by_default()}
    assert result.n_not_steered == 141
    assert any("141 of the run's emotions were not steered" in it for it in result.limits())
    assert len(result.doses[0].matrix) == len(result.emotions)
    ratings = rating_table(result.emotions)
    on_a_side = {name for name, rated in ratings.items() if abs(rated["valence"]) >= 0.2}
    valence = result.doses[0].valence
    # The tiny tokenizer leaves few words that differ in their first token.
    assert (valence is None) == (len(on_a_side) < 2)
    assert valence is None or set(valence.beats) <= on_a_side


def test_doses_are_swept_over_emotions_of_the_default(measured, made):
    result = measured("steering-dose-response", sweep_emotions=4)
    model, default = materials_of(made).subject(), list(steered_by_default())
    heads = [ids[0] for ids in first_tokens(model, default)]
    own = [name for name, head in zip(default, heads, strict=True) if heads.count(head) == 1]
    assert len(result.emotions) == min(4, len(own))
    assert (result.emotions[0], result.emotions[-1]) == (own[0], own[-1])


def test_texts_are_written_toward_the_default_and_judged_among_all(measured):
    result = measured("free-text", free_text_emotions=3)
    default = steered_by_default()
    # In the middle of 30 lies 14.5, which is rounded to an even number.
    assert result.emotions == [default[0], default[14], default[29]]
    assert (result.n_choices, result.chance) == (171, 1 / 171)
    assert list(result.texts.steered) == result.emotions
