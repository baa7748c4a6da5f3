"""The sections of a config: a setting's default, range and meaning stand here and nowhere else."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator


def _as_list(value: Any) -> Any:
    """Take a single number for a list of one: the command line cannot tell them apart."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return [value] if is_number else value


def _as_parts(value: Any) -> Any:
    """Take names or addresses between commas for a list of them."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _check_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected an address such as http://localhost:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "expected an address without user, password or query; api_key_env names the variable "
            "that holds a key"
        )
    return value.rstrip("/")


def _check_variable(value: str) -> str:
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):
        raise ValueError(
            "expected the NAME of an environment variable in capitals, such as OPENAI_API_KEY, "
            "never the key itself"
        )
    return value


Backend = Literal["auto", "transformerlens", "huggingface"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Quantize = Literal["4bit", "8bit"]
Way = Literal["shown", "said", "carried", "both"]
_Url = Annotated[str, AfterValidator(_check_url)]
_Variable = Annotated[str, AfterValidator(_check_variable)]
_Layers = Annotated[list[int] | None, BeforeValidator(_as_list)]
_Doses = Annotated[list[Annotated[float, Field(gt=0)]], BeforeValidator(_as_list)]


class Section(BaseModel):
    """A group of settings: frozen, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _switches_are_no_numbers(cls, value: Any, info: Any) -> Any:
        # A flag without a value arrives as True, which would pass for the number 1.
        if isinstance(value, bool) and cls.model_fields[info.field_name].annotation is not bool:
            raise ValueError("expected a value, not a switch")
        return value


class ModelSettings(Section):
    """The subject: the model whose residual stream is studied."""

    name: str = Field(min_length=1)
    revision: str | None = None
    backend: Backend = "auto"
    """Reads single texts; a corpus is read by plain hooks, where there are any (`hook_name`)."""
    dtype: Dtype = "auto"
    device: str = "auto"
    device_map: str | dict[str, int | str] | None = None
    quantize: Quantize | None = None
    target_layer: Annotated[int, Field(ge=0)] | Literal["held-out"] | None = None
    """Layer of the analyses; null: 2/3 of depth, held-out: best at naming held-out topics."""


class WriterSettings(Section):
    """The model that writes the stories; name null means the subject writes."""

    name: str | None = None
    revision: str | None = None
    dtype: Dtype = "auto"
    device: str = "auto"
    device_map: str | dict[str, int | str] | None = None
    quantize: Quantize | None = None
    system: str | None = None
    """System message for chat models."""
    chat_template: dict[str, Any] = {}
    """Arguments of the chat template, such as {enable_thinking: false}; sent to servers too."""


class GenerationSettings(Section):
    """How stories are written and which are kept."""

    engine: Literal["local", "openai", "vllm"] = "local"
    """local: the writer is loaded here. openai: it is asked through OpenAI-compatible servers.
    vllm: it is loaded by vLLM, as `vllm` says."""
    base_urls: Annotated[list[_Url], BeforeValidator(_as_parts)] = []
    """Addresses of the servers, such as http://localhost:8000/v1; all serve the same model."""
    api_key_env: _Variable | None = None
    """Name of the environment variable that holds the key; null for servers without one."""
    served_as: str | None = None
    """Name under which the servers answer, where it is another than they are asked for."""
    extra_body: dict[str, Any] = {}
    """What every request to a server holds besides, such as {reasoning_effort: low}."""
    stories_per_topic: int = Field(default=12, ge=1)
    stories_per_prompt: int = Field(default=1, ge=1)
    """How many stories one prompt asks for; a base model is always asked for one."""
    emotions_subset: int | list[str] | None = None
    topics_subset: int | list[str] | None = None
    temperature: float = Field(default=0.8, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=50, ge=0)
    max_new_tokens: int = Field(default=256, ge=1)
    """Length of the longest story; an answer of several stories may be as many times as long."""
    min_words: int = Field(default=40, ge=1)
    truncation: Literal["reject", "trim"] = "reject"
    """Reject a story that ran into `max_new_tokens`, or cut it back to its last full sentence."""
    max_attempts: int = Field(default=4, ge=1)
    suppress_banned: Literal["never", "retries", "always"] = "retries"
    """When banned words' tokens are made impossible: after a rejected draft, always, or never."""
    batch_size: int = Field(default=96, ge=1)
    """Texts written together, at most: fewer where this machine needs much more than a minute."""


class EndpointSettings(Section):
    """How servers are asked when `generation.engine` is openai."""

    api: Literal["chat", "completions"] = "chat"
    """chat: the server applies the model's chat template. completions: a base model goes on."""
    send_top_k: bool = False
    """Send `generation.top_k`: not part of the API, known to vLLM and llama-server."""
    send_seed: bool = True
    """Send a seed of its own with every request; false for servers that refuse one or die of it."""
    token_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the server calls the limit of new tokens."""
    concurrency: int = Field(default=32, ge=1, le=1000)
    """Requests under way at one server at most; halved when it says that it is busy."""
    timeout_seconds: float = Field(default=300.0, gt=0)
    """Time for one request, from the first byte sent to the last received."""
    attempts: int = Field(default=6, ge=1)
    """How often a request is sent whose answer fails: error 500, time-out, no text, no JSON."""
    patience_seconds: float = Field(default=1800.0, gt=0)
    """How long a request waits for servers that are busy (429, 503) or cannot be reached."""
    wait_seconds: float = Field(default=1.0, gt=0)
    """First pause before a request is sent again; it doubles, with jitter, up to a minute."""
    tokens_per_second: float | None = Field(default=None, gt=0)
    """New tokens per second of all servers together, for the estimate of time."""
    input_price: float | None = Field(default=None, ge=0)
    """Price of a million prompt tokens, for the estimate of cost."""
    output_price: float | None = Field(default=None, ge=0)
    """Price of a million new tokens, for the estimate of cost."""


class VllmSettings(Section):
    """vLLM, where `activation.engine` or `generation.engine` is vllm: an environment of its own."""

    python: str = ".venv-vllm/bin/python"
    """The Python of that environment; `make vllm` builds one."""
    tensor_parallel_size: int = Field(default=1, ge=1)
    """GPUs that share every layer."""
    pipeline_parallel_size: int = Field(default=1, ge=1)
    """Groups of GPUs that hold some layers each."""
    gpu_memory_utilization: float = Field(default=0.9, gt=0, le=1)
    """Share of a GPU's memory for weights, keys, values and hidden states."""
    quantization: str | None = None
    """vLLM's own name of a quantization, such as fp8; null takes the weights as they are."""
    max_model_len: int | None = Field(default=None, ge=2)
    """Tokens of the longest text and one more; null takes what the model and the memory allow."""
    options: dict[str, Any] = {}
    """Further arguments of ``vllm.LLM``, such as {max_num_seqs: 64}."""

    @property
    def n_gpus(self) -> int:
        """GPUs that one engine takes."""
        return self.tensor_parallel_size * self.pipeline_parallel_size

    @property
    def deciding(self) -> dict[str, Any]:
        """Return the settings that decide what comes out."""
        values = self.model_dump(mode="json", include={"quantization", "options"})
        return values if self.options else {"quantization": self.quantization}

    def most_tokens(self, n_positions: int | None, *, n_new: int = 0) -> int | None:
        """Return how many tokens a text may have beside `n_new` new ones; None is any number."""
        limits = [limit for limit in (n_positions, self.max_model_len) if limit is not None]
        return min(limits) - n_new if limits else None


class ComputeSettings(Section):
    """Where units of writing and reading are computed; no result depends on it."""

    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    """Address of a Ray cluster, such as auto or ray://head:10001; null starts one here."""
    workers: int = Field(default=1, ge=1)
    """Workers of Ray; the local engine does one unit after the other."""
    gpus_per_worker: float = Field(default=0.0, ge=0)
    cpus_per_worker: float = Field(default=1.0, gt=0)

    @property
    def units_at_once(self) -> int:
        """How many units are computed side by side."""
        return self.workers if self.engine == "ray" else 1


class NeutralSettings(Section):
    """How emotionally neutral dialogues are written; sampling is as for stories."""

    dialogues_per_topic: int = Field(default=2, ge=1)
    form: Literal["dialogue", "answer"] = "dialogue"
    """dialogue: the writer writes both speakers. answer: only the Assistant (for small writers)."""
    max_new_tokens: int = Field(default=256, ge=1)
    min_words: int = Field(default=40, ge=1)


class CorpusSettings(Section):
    """Texts that are there: JSONL files, or "reference" for those that come with the project."""

    stories: str | None = None
    """File of lines with emotion, topic and text; also opening, closing and form, where they have
    them."""
    neutral: str | None = None
    """File of lines with topic and text; those with an opening are told in the stories' places."""
    said: str | None = None
    """File of frames that name an emotion, as stories; null is the reference's for its stories."""
    forms: list[str] | None = None
    """Which forms of stories and frames are taken; null takes all."""
    frames_subset: int | list[str] | None = None
    """How many frames are taken, or which; of the reference, narrated and voiced take turns."""
    neutral_subset: int | list[str] | None = None
    """How many topics of the neutral texts are taken, or which; null takes all. Those told in the
    stories' places go by the stories' topics instead."""


class ActivationSettings(Section):
    """What is read of each text."""

    engine: Literal["local", "vllm"] = "local"
    """local: the subject is loaded here. vllm: it is read by vLLM, as `vllm` says."""
    token_offset: int = Field(default=50, ge=0)
    layers: _Layers = None
    batch_tokens: int | None = Field(default=None, ge=1)
    shard_size: int = Field(default=256, ge=1)
    """Texts per unit of work."""
    compile: bool = False
    """Read through compiled blocks: faster (`make bench` says by how much), after a slow start."""
    neutral_tokens_per_text: int = Field(default=8, ge=0)
    """Single tokens kept of each neutral text, for token-level components."""
    keep: Literal["auto", "story", "cell"] = "auto"
    max_gigabytes: float = Field(default=8.0, gt=0)
    """Above this, `keep: auto` stores a mean per (emotion, topic) instead of per story.

    At the target layer and its neighbors single stories are kept in any case.
    """


class VectorSettings(Section):
    """From activations to vectors."""

    pca_variance_threshold: float = Field(default=0.5, ge=0, lt=1)
    neutral_pca: Literal["document", "token", "none"] = "document"
    way: Way | None = None
    """Which texts the vectors in use are learned from; null is both of what shows an emotion and
    what says it where the corpus has both, else what shows it."""


class AnalysisSettings(Section):
    """Geometry at the target layer and over layers."""

    n_components: int = Field(default=10, ge=2)
    n_clusters: int | None = Field(default=None, ge=2)
    """null is the paper's 10 for all 171 emotions, fewer for fewer (n/6, at least 2)."""
    unit_norm: bool = True
    n_permutations: int = Field(default=2000, ge=100)
    n_bootstrap: int = Field(default=20, ge=2)


class LogitLensSettings(Section):
    """Reading vectors through the unembedding."""

    top_k: int = Field(default=10, ge=1)
    n_shuffles: int = Field(default=1000, ge=1)


class ValidationSettings(Section):
    """Tests of the vectors, with controls."""

    experiments: Annotated[list[str], BeforeValidator(_as_parts)] = ["all"]
    """Which experiments are run: `core`, what a first look needs, `all`, or names."""
    steered_emotions: list[str] | None = None
    """Emotions that are steered with, two or more; null takes 30 (`stimuli.steered_by_default`), as
    far as the run has them. All are read, compared and judged."""
    paper: bool = False
    """Steer and read as the paper does: words and choices at dose 0.5, split over a range of
    layers, and a base model's messages at the colon after "Assistant". `doses` has no part then."""
    doses: _Doses = Field(default=[0.05, 0.1, 0.2], min_length=1)
    """Steering doses, as fractions of the mean residual norm at the target layer."""
    n_random: int = Field(default=50, ge=2)
    """Directions of each kind of null (random, stories' covariance, shuffled labels) to beat."""
    norms: str | None = None
    """File with more human ratings: NRC-VAD, Warriner or Glasgow, recognized by its columns."""
    n_folds: int = Field(default=10, ge=2)
    """Parts into which topics are dealt, each held out in turn; at most one per topic."""
    n_permutations: int = Field(default=1000, ge=20)
    """Shuffles of labels for a p-value; at least 2,000 for human ratings."""
    n_refits: int = Field(default=100, ge=5)
    """Vectors made anew (topics redrawn or halved, labels shuffled) for an interval or a null."""
    sensitivity_texts: int = Field(default=480, ge=0)
    """Stories that are read again at other token offsets, spread over emotions; 0 reads none."""
    sweep_doses: _Doses = Field(default=[0.025, 0.05, 0.1, 0.15, 0.2, 0.3], min_length=2)
    """Doses of the dose-response curves."""
    sweep_layers: _Layers = None
    """Layers of dose-response and steered words; null: target layer and 1/6 of depth around it."""
    sweep_emotions: int = Field(default=8, ge=1)
    """How many of the emotions, spread over the list, the curves are averaged over."""
    max_kl: float = Field(default=1.0, gt=0)
    """Steering budget: mean KL divergence of the next token from the unsteered model, in nats, on
    neutral text. One nat is a factor of e on what the steered model says. A convention."""
    max_perplexity_ratio: float = Field(default=2.0, gt=1)
    """Steering budget: perplexity on neutral text over that of the unsteered model. Twice is 0.7
    nats a token: the right word is half as likely, on average. A convention, not a finding."""
    n_budget_texts: int = Field(default=12, ge=1)
    """Neutral texts on which a budget is measured, at 24 tokens of each."""
    free_text_dose: float = Field(default=0.1, gt=0)
    free_text_emotions: int = Field(default=12, ge=1)
    """How many of the emotions, spread over the list, are written with."""
    free_text_random: int = Field(default=6, ge=0)
    """Random directions with the stories' covariance that are written with, as a control."""
    free_text_tokens: int = Field(default=40, ge=1)
    judge_base_url: _Url | None = None
    """Server of a model that judges steered text, as http://127.0.0.1:8000/v1; null: no judge."""
    judge_model: str | None = None
    api_key_env: _Variable | None = None
    """Name of the environment variable that holds the judge's key; null for one without."""
    preference_pairs: int | None = Field(default=None, ge=96)
    """Pairs of activities, asked in both orders; null is all 2,016. 96 is three an activity."""
    preference_steered_pairs: int = Field(default=32, ge=2)
    """Pairs of which one activity is steered, with every vector."""
