"""What several settings have to agree on."""

import pytest

from hooks.errors import InvalidInput
from probes.config import parse_config
from probes.stimuli import emotions, topics

MODEL = {"name": "gpt2"}


def config(**values):
    return parse_config({"model": MODEL, "output_dir": "out", **values})


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

    def test_what_is_steered_with_is_of_the_run(self):
        generation = {"emotions_subset": ["sad", "happy", "calm"]}
        chosen = config(generation=generation, validation={"steered_emotions": ["calm", "sad"]})
        assert chosen.validation.steered_emotions == ["calm", "sad"]
        assert config(generation=generation).validation.steered_emotions is None

    @pytest.mark.parametrize(
        ("steered", "said"),
        [
            (["sad", "hapy"], r"got 'hapy'; of the 3 that it has the nearest is 'happy'"),
            (["sad", "smug"], r"expected emotions of this run, got 'smug'"),
            (["sad", "happy", "sad"], "listed twice"),
            (["sad"], r"at least two emotions.*got \['sad'\]"),
            ([], r"at least two emotions.*got \[\]"),
        ],
    )
    def test_steering_with_what_is_not_there_twice_or_alone_is_refused(self, steered, said):
        with pytest.raises(InvalidInput, match=rf"validation\.steered_emotions: .*{said}"):
            config(
                generation={"emotions_subset": ["sad", "happy", "calm"]},
                validation={"steered_emotions": steered},
            )

    def test_an_empty_topic_is_refused(self):
        with pytest.raises(InvalidInput, match="a topic is empty"):
            config(generation={"topics_subset": ["a lost key", " "]})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.quantize", "4bit"),
        ("model.device_map", "auto"),
        ("activation.compile", True),
        ("activation.batch_tokens", 64),
    ],
)
def test_what_vllm_would_overlook_of_the_subject_is_refused(key, value):
    section, name = key.split(".")
    values = {"model": {"name": "gpt2"}, "activation": {"engine": "vllm"}, "output_dir": "out"}
    values["writer"] = {"name": "w"}
    with pytest.raises(InvalidInput, match=key):
        parse_config({**values, section: {**values[section], name: value}})


@pytest.mark.parametrize("key", ["quantize", "device_map"])
@pytest.mark.parametrize("section", ["writer", "model"])
def test_what_vllm_would_overlook_of_the_writer_is_refused(key, section):
    value = {"quantize": "4bit", "device_map": "auto"}[key]
    writer = {"name": "w"} if section == "writer" else {}
    given = {"model": {"name": "gpt2"}, "writer": writer, "output_dir": "out"}
    given[section] = {**given[section], key: value}
    with pytest.raises(InvalidInput, match=rf"{section}\.{key}"):
        parse_config({**given, "generation": {"engine": "vllm"}})
    parse_config(given)


def test_a_worker_of_ray_holds_all_gpus_of_its_vllm():
    values = {"activation": {"engine": "vllm"}, "vllm": {"tensor_parallel_size": 4}}
    for n_gpus in (0, 4, 8):
        config(**values, compute={"engine": "ray", "gpus_per_worker": n_gpus})
    with pytest.raises(InvalidInput, match=r"over 4 GPUs .* got 2"):
        config(**values, compute={"engine": "ray", "gpus_per_worker": 2})


def test_addresses_are_for_servers_alone():
    for engine in ("local", "vllm"):
        with pytest.raises(InvalidInput, match=f"generation.engine is {engine}"):
            config(generation={"engine": engine, "base_urls": ["http://localhost:8000/v1"]})
