"""What results about stories share: their n, their refusal of few topics, their intervals."""

import json

import pytest
import small_runs
from planted_runs import materials

from probes.config import Config
from probes.experiments import NotMeasured, find_experiment, to_json
from probes.runs.folder import Run
from probes.runs.materials import Materials

INTERVAL_OVER = {
    "held-out-topics": ("nearest", 0, "top_1"),
    "sample-size": ("cosine", 0),
    "confounds": ("factors", "topic"),
    "sensitivity": ("lines", 1, "accuracy"),
}
"""An interval of each experiment that learns anew from topics drawn again."""
QUICK = {"n_folds": 3, "n_permutations": 20, "n_refits": 5}


def intervals(content, path=()):
    """Yield the place and the ends of every interval in what an experiment leaves."""
    if isinstance(content, dict):
        if content.get("low") is not None and "lowest" not in content:
            yield path, (content["low"], content["high"])
        for key, value in content.items():
            yield from intervals(value, (*path, key))
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from intervals(value, (*path, index))


def resampled(run: Materials, n: int) -> Materials:
    """The same run with another number of refits."""
    values = run.config.model_dump()
    values["validation"] |= {"n_refits": n, "sensitivity_texts": 0}
    return Materials(Run(Config.model_validate(values), "c.yaml"), run.models, run.reporter)


@pytest.mark.parametrize("name", INTERVAL_OVER)
def test_the_setting_of_refits_reaches_every_experiment(planted, name):
    run = planted(strength=[0.0, 0.0, 0.0, 0.3], noise=0.2, topic_strength=0.3)
    few, many = (
        to_json(find_experiment(name).measure(resampled(run, n_refits))) for n_refits in (5, 30)
    )
    before, after = dict(intervals(few)), dict(intervals(many))
    assert before.keys() == after.keys()
    assert before[INTERVAL_OVER[name]] != after[INTERVAL_OVER[name]]


def test_two_topics_are_said_to_be_too_few(reading_run):
    made = reading_run(corpus={"topics": small_runs.TOPICS[:2]})
    made.run().prepare()
    made.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    for name in (*INTERVAL_OVER, "null-ladder"):
        experiment = find_experiment(name)
        measured = experiment.measure(materials(made))
        assert isinstance(measured, NotMeasured), name
        content = to_json(measured)
        assert "this run has 2" in content["rows"][0][1]
        assert "not measured" in content["limits"][0]
        assert experiment.read(content).figures() == {}


def own_topics(made, shared=0):
    """Give every emotion topics of its own, but for some that all of them keep."""
    path = made.folder.parent / "stories.jsonl"
    rows = list(map(json.loads, path.read_text().splitlines()))
    keep = small_runs.TOPICS[:shared]
    for row in rows:
        row["topic"] = row["topic"] if row["topic"] in keep else f"{row['emotion']}, {row['topic']}"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("shared", [0, 2])
def test_where_emotions_share_no_topics_there_is_no_accuracy_on_held_out_ones(reading_run, shared):
    made = reading_run()
    own_topics(made, shared)
    made.run().prepare()
    made.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    for name in ("held-out-topics", "null-ladder", "confounds", "sensitivity"):
        measured = find_experiment(name).measure(materials(made))
        assert isinstance(measured, NotMeasured), name
        assert "not defined" in measured.not_measured
        assert f"this run has {shared} of {9 - 2 * shared}" in measured.not_measured


def test_topics_of_one_emotion_beside_shared_ones_are_counted(reading_run):
    made = reading_run(corpus={"topics": [*small_runs.TOPICS, "a map"]}, validation=QUICK)
    own_topics(made, shared=3)
    made.run().prepare()
    made.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    measured = find_experiment("held-out-topics").measure(materials(made))
    assert (measured.n_unshared, measured.n_topics) == (3, 6)
    assert any("3 of 6 topics have stories of one emotion alone" in it for it in measured.limits())


def test_a_file_of_an_earlier_version_that_measured_nothing_still_says_so():
    why = "Held-out topics: needs 3 topics or more, this run has 2."
    kept = {"experiment": "held-out-topics", "layers": None, "paragraph": why, "limits": [why]}
    measured = find_experiment("held-out-topics").read(kept)
    assert measured == NotMeasured("Held-out topics", "needs 3 topics or more, this run has 2")
    assert measured.figures() == {}
