"""A setting typed on the command line is what a config file would hold."""

import pytest

from hooks.errors import InvalidInput
from probes.config import is_switch, load_config, typed


@pytest.mark.parametrize(
    ("key", "spelled", "value"),
    [
        ("output_dir", "20261128", "20261128"),
        ("output_dir", "a,b", "a,b"),
        ("model.revision", "12e4567", "12e4567"),
        ("model.revision", "null", None),
        ("writer.system", "[calm]", "[calm]"),
        ("corpus.stories", "my, own.jsonl", "my, own.jsonl"),
        ("model.target_layer", "12", 12),
        ("model.target_layer", "held-out", "held-out"),
        ("model.device_map", "auto", "auto"),
        ("model.device_map", "{'': 0}", {"": 0}),
        ("generation.emotions_subset", "12", 12),
        ("generation.emotions_subset", "at ease, sad", ["at ease", "sad"]),
        ("generation.emotions_subset", "null", None),
        ("generation.topics_subset", '["a key, lost", "a map"]', ["a key, lost", "a map"]),
        ("validation.doses", "0.1,2e-1", [0.1, 0.2]),
        ("validation.doses", "0.1", [0.1]),
        ("activation.layers", "3,5", [3, 5]),
        ("generation.temperature", "0.5", 0.5),
        ("seed", "3", 3),
        ("activation.compile", "true", True),
    ],
)
def test_text_stays_text_and_numbers_become_numbers(tmp_path, key, spelled, value):
    path = tmp_path / "c.yaml"
    path.write_text("model: {name: gpt2}\noutput_dir: x\ncorpus: {stories: a, neutral: b}\n")
    config = load_config(str(path), {key: typed(key, spelled)})
    for name in key.split("."):
        config = getattr(config, name)
    assert config == value


def test_a_list_that_is_no_yaml_is_refused():
    with pytest.raises(InvalidInput, match="--activation.layers: expected a list"):
        typed("activation.layers", "[1, 2")


def test_what_is_on_or_off_is_a_switch():
    assert is_switch("activation.compile")
    assert not any(map(is_switch, ["seed", "activation", "activation.layers", "no.such", "x.y.z"]))


@pytest.mark.parametrize("value", ["inf", "nan", "-inf", "1e999"])
def test_no_number_is_infinite(value):
    for key in ("generation.temperature", "endpoint.timeout_seconds", "validation.doses"):
        with pytest.raises(InvalidInput, match=f"{key}.*finite"):
            load_config("demo", {key: typed(key, value)})
