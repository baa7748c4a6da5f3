"""Settings are checked before any work, and a mistake is answered with what was meant."""

import subprocess
import sys
from collections import Counter

import pytest
import yaml
from pydantic import ValidationError

from hooks.errors import InvalidInput
from probes.config import config_folder, load_config, nearest_key, parse_config, valid_keys
from probes.stimuli import emotions, human_ratings, topics

MODEL = {"name": "gpt2"}


def config(**values):
    return parse_config({"model": MODEL, "output_dir": "out", **values})


class TestUnknownKeys:
    @pytest.mark.parametrize(
        ("values", "named", "nearest"),
        [
            ({"generations": {"top_k": 5}}, "'generations'", "'generation'"),
            (
                {"generation": {"temprature": 1}},
                "'generation.temprature'",
                "'generation.temperature'",
            ),
            ({"temperature": 1}, "'temperature'", "'generation.temperature'"),
            ({"keep": "cell"}, "'keep'", "'activation.keep'"),
            ({"model": {**MODEL, "target_layr": 3}}, "'model.target_layr'", "'model.target_layer'"),
            ({"sed": 3}, "'sed'", "'seed'"),
        ],
    )
    def test_the_nearest_valid_key_is_named(self, values, named, nearest):
        with pytest.raises(InvalidInput) as caught:
            config(**values)
        message = str(caught.value)
        assert f"unknown setting {named}" in message
        assert nearest in message.partition("did you mean")[2]

    def test_every_setting_is_found_by_its_own_name_at_the_top_level(self):
        last_names = Counter(key.rsplit(".", 1)[-1] for key in valid_keys())
        for key in valid_keys():
            last = key.rsplit(".", 1)[-1]
            if last_names[last] == 1:
                assert nearest_key(last) == key

    def test_a_key_like_no_other_gets_no_suggestion(self):
        with pytest.raises(InvalidInput, match=r"unknown setting 'qqqqqq'\."):
            config(qqqqqq=1)

    def test_all_mistakes_are_listed_at_once(self):
        with pytest.raises(InvalidInput) as caught:
            config(sed=1, generation={"temprature": 1, "top_p": 2})
        assert len(str(caught.value).splitlines()) == 3


class TestWrongValues:
    @pytest.mark.parametrize(
        ("values", "key", "expected"),
        [
            ({"generation": {"temperature": "hot"}}, "generation.temperature", "number"),
            ({"generation": {"truncation": "cut"}}, "generation.truncation", "'reject' or 'trim'"),
            ({"generation": {"batch_size": 1.5}}, "generation.batch_size", "integer"),
            ({"generation": {"top_p": 0}}, "generation.top_p", "greater than 0"),
            (
                {"generation": {"emotions_subset": {"a": 1}}},
                "generation.emotions_subset",
                "integer",
            ),
            ({"generation": {"topics_subset": [1]}}, "generation.topics_subset", "string"),
            ({"model": {"name": "x", "device_map": 3}}, "model.device_map", "dictionary"),
            ({"seed": -1}, "seed", "greater than or equal to 0"),
            ({"seed": 2**32}, "seed", "less than"),
            ({"writer": "gpt2"}, "writer", "dictionary"),
        ],
    )
    def test_key_value_and_what_was_expected_are_named(self, values, key, expected):
        with pytest.raises(InvalidInput) as caught:
            config(**values)
        lines = str(caught.value).splitlines()
        assert all(line.startswith(f"config: {key}") for line in lines)
        assert any(expected in line for line in lines)

    @pytest.mark.parametrize(
        "values", [{"seed": True}, {"generation": {"stories_per_topic": True}}]
    )
    def test_a_flag_without_a_value_is_not_the_number_one(self, values):
        with pytest.raises(InvalidInput, match="expected a value, not a switch"):
            config(**values)

    def test_a_real_switch_takes_true_and_false(self):
        assert config(analysis={"unit_norm": False}).analysis.unit_norm is False

    def test_a_missing_model_name_is_named(self):
        with pytest.raises(InvalidInput, match=r"'model\.name' is missing"):
            parse_config({"model": {}, "output_dir": "out"})

    @pytest.mark.parametrize("folder", ["", "a\0b"])
    def test_a_folder_no_system_can_make_is_refused(self, folder):
        with pytest.raises(InvalidInput, match="output_dir"):
            config(output_dir=folder)

    @pytest.mark.parametrize("layers", [[], [1, 1], [-1]])
    def test_layers_are_distinct_and_from_zero(self, layers):
        with pytest.raises(InvalidInput, match=r"activation\.layers"):
            config(activation={"layers": layers})

    def test_stories_without_neutral_text_are_refused(self):
        with pytest.raises(InvalidInput, match="both"):
            config(corpus={"stories": "a.jsonl"})

    def test_a_config_cannot_be_changed(self):
        with pytest.raises(ValidationError, match="frozen"):
            config().seed = 3
        with pytest.raises(ValidationError, match="frozen"):
            config().generation.batch_size = 3


def test_a_config_that_cannot_be_read_is_named(unreadable):
    with pytest.raises(InvalidInput, match=r"my\.yaml: cannot be read.*permissions"):
        load_config(str(unreadable("my.yaml")))


class TestSubsets:
    def test_null_is_everything(self):
        assert config().emotions == emotions()
        assert config().topics == topics()

    def test_an_integer_takes_the_first(self):
        chosen = config(generation={"emotions_subset": 5, "topics_subset": 3})
        assert chosen.emotions == emotions()[:5]
        assert chosen.topics == topics()[:3]

    @pytest.mark.parametrize(("key", "known"), [("emotions_subset", 171), ("topics_subset", 100)])
    def test_more_than_there_are_is_refused(self, key, known):
        config(generation={key: known})
        with pytest.raises(InvalidInput, match=rf"{key}: expected at most {known}.*got 500"):
            config(generation={key: 500})

    def test_a_list_keeps_its_order_and_topics_may_be_new(self):
        chosen = config(
            generation={"emotions_subset": ["sad", "happy"], "topics_subset": ["a {new} topic"]}
        )
        assert chosen.emotions == ("sad", "happy")
        assert chosen.topics == ("a {new} topic",)

    def test_an_unknown_emotion_is_refused_with_the_nearest(self):
        with pytest.raises(InvalidInput, match=r"'hapy'.*'happy'"):
            config(generation={"emotions_subset": ["sad", "hapy"]})

    def test_a_users_corpus_may_hold_other_emotions(self):
        own = {"stories": "s.jsonl", "neutral": "n.jsonl"}
        chosen = config(corpus=own, generation={"emotions_subset": ["homesick", "sad"]})
        assert chosen.emotions == ("homesick", "sad")

    @pytest.mark.parametrize("key", ["emotions_subset", "topics_subset"])
    @pytest.mark.parametrize("subset", [0, -2, [], ["sad", "sad"]])
    def test_empty_and_repeated_choices_are_refused(self, key, subset):
        with pytest.raises(InvalidInput, match=rf"generation\.{key}"):
            config(generation={key: subset})

    def test_one_emotion_alone_is_refused(self):
        with pytest.raises(InvalidInput, match="at least two emotions"):
            config(generation={"emotions_subset": ["sad"]})

    def test_an_empty_topic_is_refused(self):
        with pytest.raises(InvalidInput, match="a topic is empty"):
            config(generation={"topics_subset": ["a lost key", " "]})


class TestTargetLayer:
    @pytest.mark.parametrize(
        ("n_layers", "layer"), [(1, 0), (2, 1), (3, 2), (4, 3), (12, 8), (18, 12), (30, 20)]
    )
    def test_default_is_two_thirds_of_depth_and_exists(self, n_layers, layer):
        assert config().target_layer(n_layers) == layer

    def test_a_layer_the_model_lacks_is_refused_with_the_range(self):
        chosen = config(model={"name": "gpt2", "target_layer": 12})
        assert chosen.target_layer(13) == 12
        with pytest.raises(InvalidInput, match=r"layer 12 is out of range; gpt2 has 12 layers"):
            chosen.target_layer(12)


class TestWriter:
    def test_null_is_the_subject_with_its_settings(self):
        writer = config(
            model={"name": "gpt2", "dtype": "bfloat16", "quantize": "4bit", "revision": "v1"},
            writer={"system": "Be brief."},
        ).writer_model
        assert (writer.name, writer.dtype, writer.quantize, writer.revision, writer.system) == (
            "gpt2",
            "bfloat16",
            "4bit",
            "v1",
            "Be brief.",
        )

    def test_a_named_writer_keeps_its_own_settings(self):
        writer = config(model={"name": "a", "dtype": "float16"}, writer={"name": "b"}).writer_model
        assert (writer.name, writer.dtype) == ("b", "auto")


class TestFiles:
    @pytest.mark.parametrize("name", ["demo", "medium", "default"])
    def test_configs_that_come_with_the_project_load(self, name):
        chosen = load_config(name)
        assert set(chosen.emotions) <= set(emotions())
        assert load_config(str(config_folder() / f"{name}.yaml")) == chosen

    def test_the_demo_covers_the_plane_of_valence_and_arousal_with_24_rated_words(self):
        chosen, ratings = load_config("demo").emotions, human_ratings()
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
        with pytest.raises(InvalidInput, match="'dmeo' not found.*default, demo, medium"):
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


def test_a_layer_chosen_on_held_out_topics_is_not_known_from_depth():
    assert config(model={"name": "gpt2", "target_layer": "held-out"}).target_layer(12) is None
    with pytest.raises(InvalidInput, match="model.target_layer"):
        config(model={"name": "gpt2", "target_layer": "best"})
