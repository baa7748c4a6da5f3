"""What the sections of a config must agree on."""

import pytest

from hooks.errors import InvalidInput
from probes.config import parse_config

MODEL = {"name": "gpt2"}


def config(**values):
    return parse_config({"model": MODEL, "output_dir": "out", **values})


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


def test_a_layer_chosen_on_held_out_topics_is_not_known_from_depth():
    assert config(model={"name": "gpt2", "target_layer": "held-out"}).target_layer(12) is None
    with pytest.raises(InvalidInput, match="model.target_layer"):
        config(model={"name": "gpt2", "target_layer": "best"})
