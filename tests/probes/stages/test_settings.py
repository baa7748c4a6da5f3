"""What decides a stage's files is listed with it, and nothing else is."""

import json

import pytest

from probes.config import ComputeSettings, EndpointSettings, VllmSettings, parse_config, valid_keys
from probes.runs.folder import Run
from probes.stages.settings import SETTINGS

CHANGED = {
    "model.name": "other",
    "model.revision": "other",
    "model.backend": "huggingface",
    "model.dtype": "float16",
    "model.device": "cpu",
    "model.device_map": "auto",
    "model.quantize": "8bit",
    "model.target_layer": 3,
    "writer.name": "other",
    "writer.revision": "other",
    "writer.dtype": "float16",
    "writer.device": "cpu",
    "writer.device_map": "auto",
    "writer.quantize": "8bit",
    "writer.system": "other",
    "writer.chat_template": {"enable_thinking": False},
    "generation.stories_per_topic": 77,
    "generation.stories_per_prompt": 3,
    "generation.emotions_subset": 7,
    "generation.topics_subset": 7,
    "generation.temperature": 0.25,
    "generation.top_p": 0.25,
    "generation.top_k": 7,
    "generation.max_new_tokens": 77,
    "generation.min_words": 7,
    "generation.truncation": "trim",
    "generation.max_attempts": 7,
    "generation.suppress_banned": "never",
    "generation.batch_size": 7,
    "generation.engine": "openai",
    "generation.extra_body": {"reasoning_effort": "low"},
    "endpoint.api": "completions",
    "endpoint.send_top_k": True,
    "endpoint.send_seed": False,
    "corpus.forms": ["voiced"],
    "corpus.frames_subset": 7,
    "corpus.neutral_subset": 1,
    "neutral.dialogues_per_topic": 7,
    "neutral.form": "answer",
    "neutral.max_new_tokens": 77,
    "neutral.min_words": 7,
    "activation.engine": "vllm",
    "vllm.quantization": "fp8",
    "vllm.options": {"kv_cache_dtype": "fp8"},
    "activation.compile": True,
    "activation.token_offset": 7,
    "activation.layers": [1, 2],
    "activation.batch_tokens": 7,
    "activation.shard_size": 7,
    "activation.neutral_tokens_per_text": 7,
    "activation.keep": "cell",
    "activation.max_gigabytes": 0.5,
    "vectors.pca_variance_threshold": 0.25,
    "vectors.neutral_pca": "token",
    "vectors.way": "said",
    "analysis.n_components": 7,
    "analysis.n_clusters": 7,
    "analysis.unit_norm": False,
    "analysis.n_permutations": 777,
    "analysis.n_bootstrap": 7,
    "logit_lens.top_k": 7,
    "logit_lens.n_shuffles": 7,
    "validation.paper": True,
    "validation.steered_emotions": ["happy", "sad"],
    "validation.doses": [0.3],
    "validation.n_random": 7,
    "validation.n_folds": 7,
    "validation.n_permutations": 77,
    "validation.n_refits": 77,
    "validation.sweep_doses": [0.1, 0.3],
    "validation.sweep_layers": [1],
    "validation.sweep_emotions": 7,
    "validation.max_kl": 7.0,
    "validation.max_perplexity_ratio": 7.0,
    "validation.n_budget_texts": 7,
    "validation.free_text_dose": 0.3,
    "validation.free_text_emotions": 7,
    "validation.free_text_random": 7,
    "validation.free_text_tokens": 77,
    "validation.judge_model": "other",
    "validation.preference_pairs": 97,
    "validation.preference_steered_pairs": 7,
    "validation.sensitivity_texts": 7,
    "seed": 7,
}
"""One other value of every setting that decides something."""


FREE = {
    "output_dir",
    "corpus.stories",
    "corpus.neutral",
    "corpus.said",
    "validation.experiments",
    "validation.norms",  # its content decides
    "generation.base_urls",
    "generation.api_key_env",
    "generation.served_as",
    "validation.judge_base_url",  # whether there is one decides, and not where
    "validation.api_key_env",
    *(f"compute.{name}" for name in ComputeSettings.model_fields),
    *(f"endpoint.{name}" for name in EndpointSettings.model_fields),
    *(f"vllm.{name}" for name in VllmSettings.model_fields),
} - {
    "vllm.quantization",
    "vllm.options",
    "endpoint.api",
    "endpoint.send_top_k",
    "endpoint.send_seed",
}
"""Where things lie, where and how fast they are computed, who is asked."""

JUDGE = {"validation.judge_model": "j", "validation.judge_base_url": "http://localhost:1/v1"}
BROUGHT = {"corpus.stories": "reference", "corpus.neutral": "reference"}
VLLM = {"activation.engine": "vllm"}
SERVER = {"generation.engine": "openai", "generation.base_urls": ["http://localhost:1/v1"]}


def run_of(changes=(), **sections) -> Run:
    values = {"model": {"name": "gpt2"}, "writer": {"name": "w"}, "output_dir": "out"}
    for key, value in dict(changes).items():
        section, _, name = key.rpartition(".")
        target = values.setdefault(section, {}) if section else values
        target[name] = value
    return Run(parse_config({**values, **sections}), "my.yaml")


def affected(key: str) -> set[str]:
    asked = SERVER if key.startswith("endpoint.") else JUDGE if "judge" in key else {}
    asked = VLLM if key.startswith("vllm.") else asked
    asked = BROUGHT if key.startswith("corpus.") or key == "vectors.way" else asked
    served = SERVER if key == "generation.engine" else {}
    before, after = run_of(asked), run_of({**asked, **served, key: CHANGED[key]})
    return {name for name, of in SETTINGS.items() if of(before) != of(after)}


@pytest.mark.slow
def test_every_setting_but_where_things_lie_decides_some_stage():
    assert set(CHANGED) == set(valid_keys()) - FREE
    for key in CHANGED:
        assert affected(key), key


@pytest.mark.parametrize(
    ("key", "stages"),
    [
        ("generation.temperature", {"generate-stories", "generate-neutral"}),
        ("generation.stories_per_topic", {"generate-stories"}),
        ("generation.emotions_subset", {"generate-stories"}),
        ("generation.topics_subset", {"generate-stories", "generate-neutral"}),
        ("corpus.frames_subset", {"generate-stories", "generate-neutral"}),
        ("corpus.neutral_subset", {"generate-neutral"}),
        ("neutral.min_words", {"generate-neutral"}),
        ("writer.name", {"generate-stories", "generate-neutral"}),
        ("activation.token_offset", {"extract-activations"}),
        ("model.name", {"extract-activations"}),
        ("vectors.neutral_pca", {"compute-vectors"}),
        ("vectors.way", {"compute-vectors"}),
        ("model.target_layer", {"compute-vectors", "analyze", "logit-lens", "validate"}),
        ("analysis.n_clusters", {"analyze"}),
        ("logit_lens.top_k", {"logit-lens"}),
        ("validation.steered_emotions", {"validate"}),
        ("seed", {"generate-stories", "generate-neutral", "analyze", "logit-lens", "validate"}),
    ],
)
def test_a_setting_touches_its_own_stages_only(key, stages):
    assert affected(key) == stages


def test_a_judge_decides_something_once_it_can_be_reached():
    named = {"validation.judge_model": "j"}
    of = SETTINGS["validate"]
    assert of(run_of()) == of(run_of(named)) != of(run_of(JUDGE))


@pytest.mark.parametrize(
    "changes",
    [
        {"compute.engine": "ray", "compute.workers": 8, "compute.gpus_per_worker": 1.0},
        {**SERVER, "generation.base_urls": ["http://a/v1", "http://b/v1"]},
        {**SERVER, "generation.api_key_env": "MY_KEY", "endpoint.concurrency": 7},
        {**JUDGE, "validation.judge_base_url": "http://a/v1", "validation.api_key_env": "MY_KEY"},
        {**VLLM, "vllm.python": "python", "vllm.tensor_parallel_size": 8},
    ],
)
def test_where_a_run_is_computed_and_who_is_asked_decide_nothing(changes):
    server = SERVER if "generation.engine" in changes else {}
    judge = JUDGE if "validation.judge_model" in changes else {}
    read = VLLM if "activation.engine" in changes else {}
    before, after = run_of({**server, **judge, **read}), run_of(changes)
    assert after.settings_hash() == before.settings_hash()
    for of in SETTINGS.values():
        assert of(after) == of(before)


def test_how_a_writer_is_loaded_is_no_matter_to_a_server():
    loaded = {"writer.dtype": "float16", "writer.device": "cpu", "writer.quantize": "8bit"}
    for of in SETTINGS.values():
        assert of(run_of({**SERVER, **loaded})) == of(run_of(SERVER))


def test_what_chooses_a_layer_on_held_out_topics_decides_the_vectors():
    chosen = {"model.target_layer": "held-out"}
    for key in ("validation.n_folds", "seed"):
        of = SETTINGS["compute-vectors"]
        assert of(run_of(chosen)) != of(run_of({**chosen, key: CHANGED[key]}))
        assert of(run_of()) == of(run_of({key: CHANGED[key]}))


def test_naming_what_was_the_default_changes_nothing():
    plain = run_of()
    named = run_of({"generation.emotions_subset": list(plain.config.emotions)})
    for of in SETTINGS.values():
        assert of(plain) == of(named)


def test_settings_are_the_same_after_a_trip_through_a_file():
    for of in SETTINGS.values():
        settings = of(run_of({"model.device_map": {"": 0}, "activation.layers": [0, 1]}))
        assert json.loads(json.dumps(settings)) == settings
