"""A config is read from a file, and flags change it."""

import subprocess
import sys
from collections import Counter

import pytest
import yaml

from hooks.errors import InvalidInput
from probes.config import config_folder, load_config, parse_config
from probes.runs.folder import Run
from probes.stimuli import emotions, human_ratings

MODEL = {"name": "gpt2"}


def config(**values):
    return parse_config({"model": MODEL, "output_dir": "out", **values})


def test_a_config_that_cannot_be_read_is_named(unreadable):
    with pytest.raises(InvalidInput, match=r"my\.yaml: cannot be read.*permissions"):
        load_config(str(unreadable("my.yaml")))


class TestFiles:
    @pytest.mark.parametrize(
        "name", ["demo", "reference", "gemma", "self_written", "medium", "default"]
    )
    def test_configs_that_come_with_the_project_load(self, name):
        chosen = load_config(name)
        assert set(chosen.emotions) <= set(emotions())
        assert load_config(str(config_folder() / f"{name}.yaml")) == chosen

    def test_the_demo_reads_a_part_of_the_corpus_and_gemma_all_of_it(self):
        demo, gemma = (Run(load_config(name), name) for name in ("demo", "gemma"))
        assert [len(run.emotions) for run in (demo, gemma)] == [171, 171]
        assert [len(run.texts.topics) for run in (demo, gemma)] == [6, 16]
        assert [len(run.texts.frames) for run in (demo, gemma)] == [12, 24]
        assert {demo.way, gemma.way} == {"both"}

    def test_the_small_writer_covers_the_plane_of_ratings_with_24_words(self):
        chosen, ratings = load_config("self_written").emotions, human_ratings()
        assert len(chosen) == 24
        assert set(chosen) <= set(ratings)

        def quadrants(words):
            return Counter(
                (ratings[word].pleasure > 0, ratings[word].arousal > 0) for word in words
            )

        available, covered = quadrants(ratings), quadrants(chosen)
        for quadrant, count in available.items():
            assert covered[quadrant] >= min(3, count)

    def test_an_unknown_name_is_refused_with_the_known_ones(self):
        with pytest.raises(
            InvalidInput, match="'dmeo' not found.*default, demo, gemma, medium, reference, self"
        ):
            load_config("dmeo")

    @pytest.mark.parametrize("content", ["a: [", "- a\n- b", "", "\xff"])
    def test_what_is_no_mapping_is_refused_with_the_path(self, tmp_path, content):
        path = tmp_path / "c.yaml"
        path.write_bytes(content.encode("latin-1"))
        with pytest.raises(InvalidInput, match="c.yaml: expected"):
            load_config(str(path))

    def test_overrides_reach_every_level(self, tmp_path):
        path = tmp_path / "c.yaml"
        given = {"model": MODEL, "output_dir": "out", "writer": {"name": "b"}}
        path.write_text(yaml.safe_dump(given))
        chosen = load_config(
            str(path),
            {
                "seed": 7,
                "analysis.n_components": 4,
                "generation.emotions_subset": ("sad", "happy"),
                "activation.layers": [0, 2],
                "writer.name": None,
            },
        )
        assert (chosen.seed, chosen.analysis.n_components) == (7, 4)
        assert chosen.emotions == ("sad", "happy")
        assert chosen.activation.layers == [0, 2]
        assert chosen.writer_model.name == "gpt2"

    @pytest.mark.parametrize(
        ("key", "message"),
        [
            ("generation.temprature", "did you mean 'generation.temperature'"),
            ("seed.deep", "not a section"),
            ("model", "dictionary"),
        ],
    )
    def test_wrong_overrides_are_refused(self, key, message):
        with pytest.raises(InvalidInput, match=message):
            load_config("demo", {"seed": 1, key: 3})


def test_reading_a_config_does_not_import_torch():
    code = (
        "import sys; from probes.config import load_config; load_config('demo');"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
