"""A writer behind OpenAI-compatible servers: prompts in, answers out, whatever the network does.

1. `connect` asks every server for one text: it tells whether the key and the model's name are
   right, whether all servers serve the same model, and how long an answer takes.
2. Each prompt is one request with a seed of its own, made from the batch's seed and its place.
3. A server that is busy or gone is asked less often and later (`throttle`), until
   `patience_seconds` have passed since the request was first sent; waiting for its turn does not
   count. An answer that failed is asked for again, `attempts` times in all, with another seed, at
   another server if there is one.
4. What no repetition can cure (`exchange`) stops at once.

Contract
--------
* A batch returns an answer for every prompt, in order, or raises; the caller stores it whole.
* A prompt that was answered without text to the last is an empty `Answer`, which no filter keeps;
  a batch of nothing else is an error.
* The key is read from the environment, sent to the servers, and is in no message of ours.
* Tokens of every answer are counted, those of failed answers too, where the server counts them.
* Tokens cannot be suppressed here.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hooks.errors import EmotionLensError, InvalidInput
from probes.config import EndpointSettings
from probes.corpus.exchange import (
    Answer,
    Busy,
    Empty,
    EndpointError,
    Exchange,
    Failed,
    Gone,
    Sampling,
    Usage,
)
from probes.corpus.throttle import Throttle
from probes.storage import digest_of, seed_of

_LONGEST_PAUSE = 60.0
_NO_KEY = "none"

# Without a handler of the user's, logging would print every retry to the terminal.
logging.getLogger("stamina").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Greeting:
    """What a first request told about the servers."""

    served_as: str
    answer: Answer
    seconds: float


def read_key(variable: str | None, setting: str = "generation.api_key_env") -> str | None:
    """Read the key from the environment.

    Parameters
    ----------
    setting
        Where the variable was named.

    Raises
    ------
    InvalidInput
        When the variable is not set.
    """
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        # What was typed may be the key itself: it is not repeated.
        raise InvalidInput(
            f"{setting} names an environment variable that is not set. Set it to the key: export "
            "NAME=..., or leave api_key_env out for servers without keys."
        )
    return key


class Endpoint:
    """A model served at one or several addresses; a context manager.

    Parameters
    ----------
    model
        Name under which the servers know the model.
    base_urls
        Addresses that end in /v1, where the server has it so.
    key
        Sent as bearer token; None for servers without keys.
    settings
        Concurrency, time limits and retries.
    """

    def __init__(
        self, model: str, base_urls: Sequence[str], key: str | None, settings: EndpointSettings
    ) -> None:
        self.name = model
        self.settings = settings
        self.base_urls = list(base_urls)
        self._key = key
        self._exchange = Exchange(model, key, settings)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Endpoint":
        from anyio.from_thread import start_blocking_portal

        self._portal = self._stack.enter_context(start_blocking_portal())
        try:
            self._portal.call(self._open)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        with contextlib.suppress(Exception):
            self._portal.call(self._close)
        self._stack.__exit__(*error)

    async def _open(self) -> None:
        import openai

        self._clients = [
            openai.AsyncOpenAI(
                base_url=url, api_key=self._key or _NO_KEY, max_retries=0, timeout=None
            )
            for url in self.base_urls
        ]
        self.throttle = Throttle(len(self._clients), self.settings.concurrency)

    async def _close(self) -> None:
        for client in self._clients:
            await client.close()

    @property
    def served_as(self) -> str:
        """Name under which the servers answer."""
        if self._exchange.served_as is None:
            raise EndpointError("the servers were not asked yet; call connect first.")
        return self._exchange.served_as

    @property
    def is_chat(self) -> bool:
        """Whether prompts are messages."""
        return self.settings.api == "chat"

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits of the model that answers; the same at every address."""
        return digest_of({"served as": self.served_as})

    def connect(self, prompt: str, sampling: Sampling, system: str | None = None) -> Greeting:
        """Ask every server for one text, and learn which model answers.

        Raises
        ------
        EndpointError
            When a server cannot be reached, refuses, or serves another model than the others.
        """
        return self._portal.call(self._connect, prompt, sampling, system)

    async def _connect(self, prompt: str, sampling: Sampling, system: str | None) -> Greeting:
        begun = time.monotonic()
        answers = await asyncio.gather(
            *[
                self._persist(prompt, sampling, 0, system, only=number)
                for number in range(len(self._clients))
            ]
        )
        seconds = time.monotonic() - begun
        return Greeting(self.served_as, answers[0], seconds)

    def generate(
        self,
        prompts: Sequence[str],
        *,
        sampling: Sampling,
        seed: int,
        system: str | None = None,
    ) -> list[Answer]:
        """Ask for one text per prompt; may be called from several threads at once.

        Parameters
        ----------
        prompts
            User messages, or beginnings when the API is completions.
        sampling
            How tokens are drawn.
        seed
            Each request's seed is made from it; whether it is obeyed is the server's affair.
        system
            System message.

        Returns
        -------
        list of Answer
            In the order of the prompts.

        Raises
        ------
        EndpointError
            When a prompt stays without an answer; nothing of the batch is returned.
        """
        return self._portal.call(self._generate, prompts, sampling, seed, system)

    async def _generate(
        self, prompts: Sequence[str], sampling: Sampling, seed: int, system: str | None
    ) -> list[Answer]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(
                        self._persist(prompt, sampling, seed_of(seed, number), system)
                    )
                    for number, prompt in enumerate(prompts)
                ]
        except* EmotionLensError as errors:
            first = errors.exceptions[0]
        else:
            answers = [task.result() for task in tasks]
            if answers and not any(answer.text.strip() for answer in answers):
                raise EndpointError(
                    f"{self.name} answered {len(answers)} prompts without any text. Ask it by "
                    "hand; a model that thinks first needs a larger generation.max_new_tokens, a "
                    "base model needs endpoint.api=completions."
                )
            return answers
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first

    async def _persist(
        self,
        prompt: str,
        sampling: Sampling,
        seed: int,
        system: str | None,
        only: int | None = None,
    ) -> Answer:
        """Ask until there is a text, within the limits; a server asked alone must be there."""
        import stamina

        spent, faults, last = Usage(), 0, None
        sent: float | None = None

        def again(error: BaseException) -> bool:  # a cancelled request comes here too
            nonlocal faults
            if not isinstance(error, Failed) or (only is not None and isinstance(error, Gone)):
                return False
            if sent is not None and time.monotonic() - sent >= self.settings.patience_seconds:
                return False
            if isinstance(error, Busy | Gone):
                return True
            faults += 1
            return faults < self.settings.attempts

        number: int | None = None
        try:
            async for attempt in stamina.retry_context(
                on=again,
                attempts=None,
                timeout=None,  # its clock would begin before there is a place
                wait_initial=self.settings.wait_seconds,
                wait_max=_LONGEST_PAUSE,
                wait_jitter=self.settings.wait_seconds,
            ):
                with attempt:
                    async with self.throttle.place(avoid=number, only=only) as place:
                        number = place.server.number
                        sent = time.monotonic() if sent is None else sent
                        try:
                            answer = await self._exchange.ask(
                                self._clients[number],
                                prompt,
                                sampling,
                                system,
                                seed_of(seed, faults),
                            )
                        except Busy as error:
                            self.throttle.refused(place, error.pause)
                            raise
                        except Failed as error:
                            spent.add(error.usage)
                            raise
                        self.throttle.answered(place)
                        spent.add(answer.usage)
                        return Answer(answer.text, answer.finished, spent)
        except Failed as error:
            last = error
        if isinstance(last, Empty):
            return Answer("", False, spent)
        if isinstance(last, Gone) and number is not None:
            raise EndpointError(
                f"{self.base_urls[number]} cannot be reached: {last} Check that the server runs "
                "and that the address is right (most end in /v1). Finished work is kept."
            )
        raise EndpointError(
            f"a request to {self.name} was given up: {last} Finished work is kept: the same "
            "command goes on from here. More patience: endpoint.attempts, timeout_seconds, "
            "patience_seconds."
        )
