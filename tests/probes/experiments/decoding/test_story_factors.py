"""Story factors: stories that name other emotions, and that were refused and written anew."""

import json

import pytest
import small_runs

from probes.experiments.decoding.story_factors import OTHERS, RETRIED, StoryFactors
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Silent


def test_a_story_that_names_another_emotion_is_told_from_one_that_names_its_own(tmp_path, subject):
    emotions = ["angry", "sad", "bored", "lonely", "happy", "proud"]
    lines = []
    for emotion in emotions:
        for number, topic in enumerate(("a key", "a train", "a roof")):
            named = ["He was proud.", f"He was {emotion}.", "He went home."][number]
            text = f"The door was open and the lamp was lit in the hall. {named}"
            lines.append({"emotion": emotion, "topic": topic, "text": text})
    corpus = small_runs.write_corpus(tmp_path, emotions, ["a key", "a train", "a roof"])
    with open(corpus["stories"], "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    values = small_runs.small_settings(
        subject,
        tmp_path / "out",
        corpus=corpus,
        generation={"emotions_subset": None},
    )
    config = small_runs.write_config(tmp_path / "c.yaml", values)
    made = small_runs.SmallRun(config, tmp_path / "out")
    made.run().prepare()
    made.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    run = made.run()
    materials = Materials(run, Models(run.config), Silent())
    factors = StoryFactors.of(materials, materials.stories())
    shares = factors.counts.shares[OTHERS]
    assert shares == {**dict.fromkeys(emotions, pytest.approx(1 / 3)), "proud": 0.0}
    assert factors.columns[OTHERS].sum() == 5
    assert factors.missing[RETRIED] == "written elsewhere"
    assert factors.counts.leaked == 7
