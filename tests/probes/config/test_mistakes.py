"""What a mistake in a config is answered with."""

from collections import Counter

import pytest

from hooks.errors import InvalidInput
from probes.config import nearest_key, parse_config, valid_keys

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
