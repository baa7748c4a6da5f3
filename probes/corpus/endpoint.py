"""A writer behind OpenAI-compatible servers: prompts in, answers out, whatever the network does.

A server that is busy or gone is asked less often and later (`throttle`) until `patience_seconds`
have passed since a request was first sent. An answer that failed is asked for again, `attempts`
times in all, at another server if there is one.

Contract
--------
* A batch returns an answer for every prompt, in order, or raises; the caller stores it whole.
* A prompt that was answered without text to the last, or refused alone, is an empty `Answer`,
  which no filter keeps; a batch of nothing but answers without text is an error.
* The key is read from the environment, sent to the servers, and is in no message of ours.
* Tokens of failed answers are counted too. Tokens cannot be suppressed here.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hooks.errors import EmotionLensError, InvalidInput
from probes.config import EndpointSettings
from probes.corpus.exchange import Answer, EndpointError, Exchange, Failed, Sampling, Usage
from probes.corpus.outages import Outages
from probes.corpus.throttle import Throttle
from probes.storage import digest_of, seed_of

_LONGEST_PAUSE = 60.0

# Without a handler of the user's, logging would print every retry to the terminal.
logging.getLogger("stamina").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Greeting:
    """What a first request told about the servers."""

    served_as: str
    answer: Answer
    seconds: float


def read_key(variable: str | None, setting: str = "generation.api_key_env") -> str | None:
    """Read the key from the environment; `setting` is where the variable was named.

    Raises
    ------
    InvalidInput
        When the variable is not set.
    """
    key = os.environ.get(variable or "", "").strip() or None
    if variable is not None and key is None:
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
    body, served_as
        As of `exchange.Exchange`.
    say
        Called, from another thread, with a line about a server that cannot be reached.
    """

    def __init__(
        self,
        model: str,
        base_urls: Sequence[str],
        key: str | None,
        settings: EndpointSettings,
        *,
        body: Mapping[str, Any] | None = None,
        served_as: str | None = None,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.name = model
        self.settings = settings
        self.base_urls = list(base_urls)
        self.is_chat = settings.api == "chat"
        self.throttle = Throttle(len(self.base_urls), settings.concurrency)
        self._outages = Outages(self.base_urls, say)
        self._key = key
        self._exchange = Exchange(model, key, settings, body, served_as)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Endpoint":
        import openai
        from anyio.from_thread import start_blocking_portal

        self._portal = self._stack.enter_context(start_blocking_portal())
        # Retries are ours: each with a seed of its own, and at another server.
        self._clients = [
            openai.AsyncOpenAI(
                base_url=url, api_key=self._key or "none", max_retries=0, timeout=None
            )
            for url in self.base_urls
        ]
        return self

    def __exit__(self, *error: Any) -> None:
        with contextlib.suppress(Exception):
            for client in self._clients:
                self._portal.call(client.close)
        self._stack.__exit__(*error)

    @property
    def served_as(self) -> str:
        """Name under which the servers answer."""
        if self._exchange.served_as is None:
            raise EndpointError("the servers were not asked yet; call connect first.")
        return self._exchange.served_as

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits of the model that answers; the same at every address."""
        return digest_of({"served as": self.served_as})

    def connect(self, prompt: str, sampling: Sampling, system: str | None = None) -> Greeting:
        """Ask every server for one text, and learn which model answers and how long it takes.

        Raises
        ------
        EndpointError
            When a server cannot be reached, refuses, or serves another model than the others.
        """
        return self._portal.call(self._connect, prompt, sampling, system)

    async def _connect(self, prompt: str, sampling: Sampling, system: str | None) -> Greeting:
        begun = time.monotonic()
        servers = range(len(self._clients))
        answers = await asyncio.gather(
            *[self._persist(prompt, sampling, 0, system, only=number) for number in servers]
        )
        return Greeting(self.served_as, answers[0], time.monotonic() - begun)

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
            silent = [answer for answer in answers if answer.refusal is None]
            if silent and not any(answer.text.strip() for answer in silent):
                raise EndpointError(
                    f"{self.name} answered {len(silent)} prompts without any text. Ask it by "
                    "hand; a model that thinks first needs a larger generation.max_new_tokens "
                    "or writer.chat_template={enable_thinking: false}, a base model needs "
                    "endpoint.api=completions."
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
        number: int | None = None

        def may_ask_again(error: BaseException) -> bool:  # a cancelled request comes here too
            nonlocal faults
            if not isinstance(error, Failed) or (only is not None and error.kind == "gone"):
                return False
            # Patience is counted from the first sending: waiting for its turn uses up none.
            if sent is not None and time.monotonic() - sent >= self.settings.patience_seconds:
                return False
            faults += error.kind in ("failed", "empty")
            return faults < self.settings.attempts

        try:
            async for attempt in stamina.retry_context(
                on=may_ask_again,
                attempts=None,
                timeout=None,  # its clock would begin before there is a place
                wait_initial=self.settings.wait_seconds,
                wait_max=_LONGEST_PAUSE,
                wait_jitter=self.settings.wait_seconds,
            ):
                with attempt:
                    async with self.throttle.place(avoid=number, only=only) as place:
                        number = place.server.number
                        sent = sent or time.monotonic()
                        client, draw = self._clients[number], seed_of(seed, faults)
                        try:
                            answer = await self._exchange.ask(
                                client, prompt, sampling, system, draw
                            )
                        except Failed as error:
                            spent.add(error.usage)
                            if error.kind == "busy":
                                self.throttle.refused(place, error.pause)
                            if error.kind == "gone" and only is None:
                                left = self.settings.patience_seconds + sent - time.monotonic()
                                self._outages.gone(number, str(error), max(0.0, left))
                            raise
                        self._outages.back(number)
                        self.throttle.answered(place)
                        spent.add(answer.usage)
                        return replace(answer, usage=spent)
        except Failed as error:
            last = error
        if last is not None and last.kind == "empty":
            return Answer("", False, spent)
        if last is not None and last.kind == "gone" and number is not None:
            raise EndpointError(
                f"{self.base_urls[number]} cannot be reached: {last} Check that the server runs "
                "and that the address is right (most end in /v1). Finished work is kept."
            )
        raise EndpointError(
            f"a request to {self.name} was given up: {last} Finished work is kept: the same "
            "command goes on from here. More patience: endpoint.attempts, timeout_seconds, "
            "patience_seconds."
        )
