"""Values of one section are checked before any work."""

import pytest
from pydantic import ValidationError

from hooks.errors import InvalidInput
from probes.config import parse_config

MODEL = {"name": "gpt2"}


def config(**values):
    return parse_config({"model": MODEL, "output_dir": "out", **values})


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
