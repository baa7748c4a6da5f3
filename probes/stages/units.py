"""The fixed units of a run, and the jobs that do them: writing texts, reading activations.

Contract: a result depends on the config, the unit and the model, not on where or when it is made.
Jobs are made from a config alone, so that another process can make the same ones.
"""

import abc
import contextlib
import functools
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from probes.config import ActivationSettings, Config
from probes.corpus.cells import Cell, Text
from probes.corpus.endpoint import Endpoint
from probes.corpus.exchange import Answer, Sampling, Usage
from probes.corpus.thoughts import has_thought, without_thought
from probes.corpus.writing import Grid, Rules, plan_units, prompt_digest, write_unit
from probes.runs.folder import Run
from probes.runs.models import Models
from probes.runs.reporting import Advance
from probes.stimuli import banned
from probes.vectors.activations import Kind, Shard, make_shard

if TYPE_CHECKING:
    from hooks import Generation, LanguageModel
    from hooks.reading.pooling import PoolingRules
    from hooks.tokens.encoding import Encoder

TextKind = Literal["stories", "neutral"]
_SECONDS_OF_A_UNIT = 75
"""What a kill may cost; the longest texts are rarely all that long."""
_LEAST_TEXTS = 12
_TIMED_TOKENS = 4


@dataclass(frozen=True)
class WritingUnit:
    """Cells whose texts are written together."""

    cells: tuple[Cell, ...]
    texts_per_cell: int
    begun: Mapping[Cell, dict[str, Any]] | None = None
    """What is there of every cell, when more attempts are made than before."""

    @property
    def n_texts(self) -> int:
        """Texts asked for."""
        return len(self.cells) * self.texts_per_cell


@dataclass(frozen=True)
class ReadingUnit:
    """Texts of one shard."""

    number: int
    texts: tuple[Text, ...]
    layers: tuple[int, ...]
    kind: Kind
    batch_tokens: int

    @property
    def n_texts(self) -> int:
        """Texts to read."""
        return len(self.texts)


def rules(config: Config, kind: TextKind, *, chat: bool) -> Rules:
    """Return what is asked for and what is kept."""
    generation, neutral = config.generation, config.neutral
    stories = kind == "stories"
    can_suppress = stories and generation.engine != "openai"
    return Rules(
        texts_per_cell=generation.stories_per_topic if stories else neutral.dialogues_per_topic,
        texts_per_prompt=generation.stories_per_prompt if stories else 1,
        min_words=generation.min_words if stories else neutral.min_words,
        truncation=generation.truncation,
        max_attempts=generation.max_attempts,
        chat=chat,
        suppress=generation.suppress_banned if can_suppress else "never",
        neutral_form=neutral.form,
    )


def plan(run: Run, kind: TextKind, cells: Sequence[Cell]) -> list[WritingUnit]:
    """Cut cells into the units in which a run writes them."""
    per_cell = rules(run.config, kind, chat=True).texts_per_cell
    units = plan_units(cells, per_cell, run.unit_texts(f"generate-{kind}"))
    return [WritingUnit(tuple(unit), per_cell) for unit in units]


def grid_of(config: Config) -> Grid:
    """Return what is written about: emotions and topics, in order."""
    return Grid(config.emotions, config.topics)


def most_new_tokens(config: Config, kind: TextKind, ruled: Rules) -> int:
    """Return the length of the longest answer: that of a text for each that is asked for."""
    section = config.generation if kind == "stories" else config.neutral
    return section.max_new_tokens * ruled.at_once


def sampling(config: Config, kind: TextKind, ruled: Rules) -> dict[str, Any]:
    """Return how tokens are drawn."""
    drawn = config.generation.model_dump(include={"temperature", "top_p", "top_k"})
    return {"max_new_tokens": most_new_tokens(config, kind, ruled), **drawn}


def weights_of(model: "LanguageModel") -> dict[str, Any]:
    """Say which weights a model has, and how it was loaded."""
    about = {key: getattr(model, key) for key in ("name", "revision", "fingerprint", "quantize")}
    return {**about, "dtype": str(model.dtype).removeprefix("torch."), "device": model.device.type}


class Writer(abc.ABC):
    """Write units, whoever holds the model."""

    def __init__(self, config: Config, kind: TextKind, *, chat: bool) -> None:
        self._config = config
        self.rules = rules(config, kind, chat=chat)
        self.sampling = sampling(config, kind, self.rules)
        self.system = config.writer.system if chat else None
        self.template = config.writer.chat_template if chat else {}

    @abc.abstractmethod
    def about(self) -> dict[str, Any]:
        """See `cluster.Job`; what is recorded as the writer of a text."""

    @abc.abstractmethod
    def _write(
        self, advance: Advance, prompts: Sequence[str], seed: int, suppressed: Sequence[str | None]
    ) -> Sequence[Answer]:
        """Continue prompts; `suppressed` names the emotion whose words a prompt must not get."""

    def do(self, unit: WritingUnit, advance: Advance) -> dict[Cell, dict[str, Any]]:
        """See `cluster.Job`; the contents of each cell's file."""
        config, write = self._config, functools.partial(self._write, advance)
        written = write_unit(
            unit.cells, grid_of(config), self.rules, config.seed, write, unit.begun
        )
        made_from = {"writer": self.about(), "prompts": prompt_digest()}
        made_from |= {"sampling": self.sampling, "seed": config.seed}
        advance(unit.n_texts)
        return {cell: {**content, **made_from} for cell, content in written.items()}


class TokenWriter(Writer):
    """Write units with a model whose tokens are known here."""

    def __init__(self, config: Config, kind: TextKind, model: "LanguageModel") -> None:
        super().__init__(config, kind, chat=model.is_chat)
        self._tokenizer = model.tokenizer
        vocabulary = [token.strip().casefold() for token in model.token_strings()]

        @functools.cache
        def banned_ids(emotion: str | None) -> frozenset[int]:
            words = banned(emotion) if emotion is not None else frozenset()
            return frozenset(index for index, word in enumerate(vocabulary) if word in words)

        self._banned_ids = banned_ids

    @abc.abstractmethod
    def _generate(
        self,
        prompts: Sequence[list[int]],
        seed: int,
        suppress: Sequence[frozenset[int]],
        advance: Advance,
    ) -> Sequence["Generation"]:
        """Continue prompts, without the tokens that each must not get."""

    def _write(
        self, advance: Advance, prompts: Sequence[str], seed: int, suppressed: Sequence[str | None]
    ) -> Sequence[Answer]:
        suppress = [self._banned_ids(emotion) for emotion in suppressed]
        encoded = self._encoded(prompts)
        written = self._generate(encoded, seed, suppress, advance)
        return [
            Answer(
                spoken(self._tokenizer, one), one.finished, Usage(1, len(prompt), len(one.tokens))
            )
            for prompt, one in zip(encoded, written, strict=True)
        ]

    def _encoded(self, prompts: Sequence[str]) -> list[list[int]]:
        from hooks.tokens.encoding import encode_prompt

        asked = {"system": self.system, "template": self.template}
        return [encode_prompt(self._tokenizer, prompt, **asked) for prompt in prompts]


class LocalWriter(TokenWriter):
    """Write units with a model that is loaded here."""

    def __init__(self, config: Config, kind: TextKind, models: Models | None = None) -> None:
        self._writer = (models or Models(config)).writer()
        super().__init__(config, kind, self._writer)

    def about(self) -> dict[str, Any]:
        """See `cluster.Job`."""
        return weights_of(self._writer)

    def texts_in_a_minute(self, prompts: Sequence[str], most: int) -> int:
        """Halve `most` texts, to no fewer than `_LEAST_TEXTS`, until a minute is enough for them.

        Longest texts are counted, and no second draft.
        """
        encoded = self._encoded(prompts)

        def seconds(n_texts: int, n_tokens: int) -> float:
            start = time.monotonic()
            several = [encoded[row % len(encoded)] for row in range(n_texts)]
            self._writer.generate(several, **{**self.sampling, "max_new_tokens": n_tokens})
            return time.monotonic() - start

        n_texts = most
        while n_texts // 2 >= _LEAST_TEXTS:
            prefill, some = seconds(n_texts, 1), seconds(n_texts, 1 + _TIMED_TOKENS)
            per_token = (some - prefill) / _TIMED_TOKENS
            if prefill + per_token * self.sampling["max_new_tokens"] <= _SECONDS_OF_A_UNIT:
                break
            n_texts //= 2
        return n_texts

    def _generate(
        self,
        prompts: Sequence[list[int]],
        seed: int,
        suppress: Sequence[frozenset[int]],
        advance: Advance,
    ) -> Sequence["Generation"]:
        return self._writer.generate(
            prompts,
            seed=seed,
            suppress=suppress,
            progress=lambda tokens: advance(0, tokens),
            **self.sampling,
        )


def spoken(tokenizer: Any, written: "Generation") -> str:
    """Return what a model said after it thought; a thought that has no end is left to the filter.

    The marks of thinking are special tokens of some models, which a text lacks.
    """
    from hooks.tokens.encoding import special_ids
    from hooks.tokens.text_positions import spelled

    whole = spelled(tokenizer, written.tokens)
    if not has_thought(whole):
        return written.text
    said = without_thought(whole)
    if said is None:
        return whole
    for token in special_ids(tokenizer) & {*written.tokens}:
        said = said.replace(spelled(tokenizer, [token]), "")
    return said


class ServerWriter(Writer):
    """Write units with a model that others serve."""

    def __init__(self, config: Config, kind: TextKind, endpoint: Endpoint) -> None:
        super().__init__(config, kind, chat=endpoint.is_chat)
        self._endpoint = endpoint
        if not config.endpoint.send_top_k:
            self.sampling["top_k"] = None
        self.asked = Sampling(**self.sampling)

    def about(self) -> dict[str, Any]:
        """See `cluster.Job`."""
        endpoint = self._endpoint
        about = {key: getattr(endpoint, key) for key in ("name", "served_as", "fingerprint")}
        return {**about, "api": endpoint.settings.api}

    def _write(
        self,
        advance: Advance,  # noqa: ARG002 - a server says nothing before it is done
        prompts: Sequence[str],
        seed: int,
        suppressed: Sequence[str | None],  # noqa: ARG002 - no server takes such a list
    ) -> Sequence[Answer]:
        return self._endpoint.generate(
            list(prompts), sampling=self.asked, seed=seed, system=self.system
        )


def about_reader(model: "LanguageModel") -> dict[str, Any]:
    """Say which model reads, and what decides its numbers."""
    vocabulary = sorted(model.tokenizer.get_vocab().items())
    digest = hashlib.sha256(repr(vocabulary).encode("utf-8", "surrogatepass"))
    return {
        **weights_of(model),
        "backend": model.backend,
        "hook_name": model.bulk.point,
        "weight_processing": model.weight_processing,
        "tokenizer_hash": digest.hexdigest()[:16],
        "beginning": model.tokenizer.bos_token,
        "n_layers": model.n_layers,
        "d_model": model.d_model,
    }


class Reader:
    """Read units with the subject."""

    def __init__(self, config: Config, models: Models | None = None) -> None:
        self._config = config
        self._model = (models or Models(config)).subject()

    def about(self) -> dict[str, Any]:
        """See `cluster.Job`."""
        return about_reader(self._model)

    def do(self, unit: ReadingUnit, advance: Advance) -> Shard:
        """See `workers.Job`; the texts' shard."""
        from hooks import pooled_resid_post
        from hooks.reading.compilation import compiled

        settings = self._config.activation
        wanted = pooling_rules(self._model, unit.texts, unit.kind, settings)
        with compiled(self._model) if settings.compile else contextlib.nullcontext():
            pooled = pooled_resid_post(
                self._model,
                [text.passage.whole for text in unit.texts],
                wanted.positions,
                layers=list(unit.layers),
                batch_tokens=unit.batch_tokens,
                keep=wanted.keep,
                apart=wanted.apart,
                progress=advance,
            )
        dtype = str(self._model.dtype).removeprefix("torch.")
        return make_shard(unit.texts, pooled, dtype)


def pooling_rules(
    model: "Encoder", texts: Sequence[Text], kind: Kind, settings: ActivationSettings
) -> "PoolingRules":
    """Return which tokens of a unit's texts are averaged, which stay single, and which are apart.

    Averaged is what stands between opening and closing, apart the closing. Of a text without an
    opening, the first tokens are not read. `model` may be its tokenizer alone.
    """
    from hooks import FromToken, Spaced, Span
    from hooks.reading.pieces import spans_of_pieces
    from hooks.reading.pooling import PoolingRules

    offset, keep = settings.token_offset, None
    if kind == "neutral" and settings.neutral_tokens_per_text:
        keep = Spaced(offset, settings.neutral_tokens_per_text)
    if not any(text.passage.opening or text.passage.closing for text in texts):
        return PoolingRules(FromToken(offset), keep, None)
    read, closings = [], []
    for text in texts:
        _, own, closing = spans_of_pieces(model, text.passage.pieces)
        if own is not None and not text.passage.opening:
            own = Span(offset, own.stop) if offset < own.stop else None
        read.append(own)
        closings.append(closing)
    return PoolingRules(read, keep, closings)
