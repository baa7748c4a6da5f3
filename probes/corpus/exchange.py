"""One request to an OpenAI-compatible server: an answer that can be used, or why there is none.

What asking again may cure is `Failed`: the server is busy (429, 503) or gone, failed (500,
time-out, damaged JSON) or gave an empty answer. What it cannot cure (a wrong key, an unknown model,
another model answering) is an `EndpointError` with what to do; what is wrong with one prompt alone
(400 after others were answered) is an answer that holds the server's refusal.

Contract: repeats nothing and waits for nobody. What a server or a library said is shown without the
key. Every exchange of a run must be answered by the same model.
"""

import asyncio
import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hooks.errors import EmotionLensError
from probes.config import EndpointSettings


class EndpointError(EmotionLensError, RuntimeError):
    """A server that cannot be reached, refuses, or answers as another model."""


@dataclass
class Usage:
    """Answers (those without text too), their tokens, and answers whose tokens were not counted."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0

    def add(self, other: "Usage") -> None:
        """Add another's counts to these."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class Answer:
    """One text; `usage` is that of this answer and of those before it that failed."""

    text: str
    finished: bool
    """Whether the model ended it itself, rather than running into the limit."""
    usage: Usage = field(default_factory=Usage)
    refusal: str | None = None
    """What a server said that would not answer this prompt."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn; a `top_k` of None is not sent."""

    max_new_tokens: int
    temperature: float
    top_p: float
    top_k: int | None


class _Refused(EndpointError):
    """A request that the server calls wrong: for its prompt, or for all that it asks."""


class Failed(Exception):
    """An answer that did not come or cannot be used; asking again may help."""

    def __init__(
        self,
        reason: str,
        kind: Literal["failed", "busy", "gone", "empty"] = "failed",
        *,
        usage: Usage | None = None,
        pause: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.usage = usage or Usage()
        self.pause = pause
        """Seconds that a busy server asks to wait."""


_MOST_REFUSED = 200
"""Prompts that are refused one after the other before it is the server's fault, not theirs."""
_MOST_THOUGHTS = 3
"""Answers of thoughts alone, before any with a text, that tell that none will come."""
_VERSION = re.compile(r"@[\w.-]+|[-:]\d{4}[\d-]*|:latest")
"""What a server may add to the name that it is asked for: a revision, a date."""


class Exchange:
    """Asks one model, under one name, with one key.

    Parameters
    ----------
    model, key, settings
        As of `endpoint.Endpoint`.
    body
        Sent with every request besides what the API has, such as ``chat_template_kwargs``.
    served_as
        Name under which the servers answer, where it is another than `model`.
    """

    def __init__(
        self,
        model: str,
        key: str | None,
        settings: EndpointSettings,
        body: Mapping[str, Any] | None = None,
        served_as: str | None = None,
    ) -> None:
        self.model = model
        self.settings = settings
        self.served_as: str | None = None
        """Name under which the servers answer; may say more than the name they are asked for."""
        self._key = key
        self._body = dict(body or {})
        self._expected = served_as
        self._is_chat = settings.api == "chat"
        self._has_answered = False
        self._n_refused = 0
        self._n_thoughts = 0

    async def ask(
        self, client: Any, prompt: str, sampling: Sampling, system: str | None, seed: int
    ) -> Answer:
        """Ask a client (`openai.AsyncOpenAI`) for one text.

        Raises
        ------
        Failed
            When asking again may help.
        EndpointError
            When it cannot.
        """
        import openai

        failed: Failed | EndpointError
        try:
            async with asyncio.timeout(self.settings.timeout_seconds):
                reply = await self._send(client, prompt, sampling, system, seed)
        except openai.APIStatusError as error:
            failed = self._judge_status(error)
        except (TimeoutError, openai.APITimeoutError):
            failed = Failed(f"no answer within {self.settings.timeout_seconds:g} s.")
        except openai.APIConnectionError as error:
            cause = self._clean(error.__cause__ or error)
            failed = Failed(f"connection failed ({cause}).", "gone")
        except (openai.OpenAIError, ValueError) as error:
            failed = Failed(f"damaged answer ({self._clean(error)}).")
        else:
            return self._read(reply, sampling.max_new_tokens)
        if self._is_about_prompt(failed):
            return Answer("", False, refusal=str(failed))
        raise failed  # here, so that what the library raised, with all it knows, is not its context

    async def _send(
        self, client: Any, prompt: str, sampling: Sampling, system: str | None, seed: int
    ) -> Any:
        # Beside the client's own arguments, which differ from one API to the other.
        extra = {self.settings.token_limit: sampling.max_new_tokens, "top_k": sampling.top_k}
        options: dict[str, Any] = {
            "model": self.model,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "extra_body": self._body
            | {name: value for name, value in extra.items() if value is not None},
        }
        if self.settings.send_seed:
            options["seed"] = seed % 2**31  # some servers take no more
        if not self._is_chat:
            return await client.completions.create(prompt=prompt, **options)
        messages = [{"role": "system", "content": system}] if system is not None else []
        messages.append({"role": "user", "content": prompt})
        return await client.chat.completions.create(messages=messages, **options)

    def _judge_status(self, error: Any) -> Failed | EndpointError:
        is_exhausted = getattr(error, "code", None) == "insufficient_quota"
        pause = _retry_after(error.response.headers)
        return self._judge(error.status_code, error.message, pause, is_exhausted=is_exhausted)

    def _judge(
        self, status: int, said: object, pause: float | None, *, is_exhausted: bool = False
    ) -> Failed | EndpointError:
        message = self._clean(said)
        if status in (429, 503) and not is_exhausted:
            patience = self.settings.patience_seconds
            if pause is None or pause <= patience:
                return Failed(f"the server is busy ({status}: {message}).", "busy", pause=pause)
            return EndpointError(
                f"the server asks to come back in {pause:.0f} s, which is more than "
                f"endpoint.patience_seconds={patience:g}. Finished work is kept: run the same "
                "command then."
            )
        if status in (408, 409) or status >= 500:
            return Failed(f"the server failed ({status}: {message}).")
        cures = {
            401: "Check the key that generation.api_key_env names.",
            403: "Check the key that generation.api_key_env names, and what it may use.",
            404: f"Check that it serves {self.model!r} (writer.name, or model.name when that is "
            "null) and that the address in generation.base_urls is complete (most end in /v1).",
        }
        cure = cures.get(status, "Check writer.name, generation and endpoint settings.")
        refusal = f"the server refused a request for {self.model!r} ({status}: {message})."
        if status in (400, 413, 422):
            return _Refused(f"{refusal} {cure}")
        return EndpointError(f"{refusal} {cure}")

    def _is_about_prompt(self, failed: Exception) -> bool:
        """Whether a refusal is about this prompt: others were answered, and not long ago."""
        if not isinstance(failed, _Refused):
            return False
        self._n_refused += 1
        return self._has_answered and self._n_refused < _MOST_REFUSED

    def _read(self, reply: Any, max_new_tokens: int) -> Answer:
        """Check a reply and return its text."""
        if told := getattr(reply, "error", None):  # with status 200
            raise self._judge_told(told)
        choices, served_as = getattr(reply, "choices", None), getattr(reply, "model", None)
        if not isinstance(choices, list) or not choices or not isinstance(served_as, str):
            raise Failed("damaged answer (no model and choices in it).")
        self._check_model(served_as)
        usage = _usage(getattr(reply, "usage", None))
        holder = getattr(choices[0], "message", None) if self._is_chat else choices[0]
        text = getattr(holder, "content" if self._is_chat else "text", None)
        if not isinstance(text, str) or not text.strip():
            raise self._without_text(holder, usage)
        if self._key is not None and self._key in text:
            raise EndpointError("the server sent the key back as a text; nothing was stored.")
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            raise Failed("damaged answer (half a character).", usage=usage)
        self._has_answered, self._n_refused = True, 0
        # Some servers say "stop" of what the limit cut.
        is_cut = usage.completion_tokens >= max_new_tokens
        ended = getattr(choices[0], "finish_reason", None) == "stop"
        return Answer(text, ended and not is_cut, usage)

    def _judge_told(self, told: Any) -> Failed | EndpointError:
        """Judge an error that came as an answer: by its own code, if it has one."""
        fields = told if isinstance(told, dict) else {"message": told}
        code, said = fields.get("code"), fields.get("message") or told
        if isinstance(code, int) and 400 <= code < 600:
            return self._judge(code, said, None)
        return Failed(f"the server is busy (200, and: {self._clean(said)}).", "busy")

    def _without_text(self, holder: Any, usage: Usage) -> Failed | EndpointError:
        thought = getattr(holder, "reasoning_content", None) or getattr(holder, "reasoning", None)
        if not thought:
            return Failed("an answer without text.", "empty", usage=usage)
        self._n_thoughts += 1
        if self._has_answered or self._n_thoughts < _MOST_THOUGHTS:
            return Failed("an answer of thoughts alone.", "empty", usage=usage)
        return EndpointError(
            f"{self.model} thinks and says nothing: {self._n_thoughts} answers came with their "
            "text in reasoning_content and null in content. Switch thinking off "
            "(--writer.chat_template='{enable_thinking: false}', or what its template takes), or "
            "raise generation.max_new_tokens until the thought has an end."
        )

    def _check_model(self, served_as: str) -> None:
        """Refuse another model; a server may add a version to the name it is asked for."""
        expected = self._expected or self.model
        rest = served_as.removeprefix(expected) if served_as.startswith(expected) else served_as
        if rest and (self._expected is not None or not _VERSION.fullmatch(rest)):
            raise EndpointError(
                f"expected answers of {expected!r}, the server answers as "
                f"{self._clean(served_as)!r}. If that is the model you mean, say so with "
                f"--generation.served_as={self._clean(served_as)}; else start the server with "
                "the right model."
            )
        if self.served_as is None:
            self.served_as = served_as
        if served_as != self.served_as:
            raise EndpointError(
                f"two models answer: {self.served_as!r} and {self._clean(served_as)!r}. All "
                "servers in generation.base_urls must serve the same one, for the whole run."
            )

    def _clean(self, message: object) -> str:
        """Shorten what a server or a library said, without the key."""
        text = " ".join(str(message).split()) or type(message).__name__
        if self._key is not None:
            text = text.replace(self._key, "[key]")
        return text if len(text) <= 300 else text[:300] + " ..."


def _usage(reported: Any) -> Usage:
    prompt = getattr(reported, "prompt_tokens", None)
    completion = getattr(reported, "completion_tokens", None)
    if not isinstance(prompt, int) or not isinstance(completion, int):
        return Usage(requests=1, uncounted=1)
    return Usage(requests=1, prompt_tokens=prompt, completion_tokens=completion)


def _retry_after(headers: Any) -> float | None:
    """Seconds a server asks to wait: a number or a date (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after")
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (AttributeError, TypeError, ValueError):
            return None
    return max(0.0, seconds) if seconds == seconds else None  # not a number
