"""A real HTTP server that speaks the OpenAI API, tells stories the filter keeps, and misbehaves.

``StoryServer(trouble)``: `trouble` gets each request and its number, from 0, and returns a
response of its own or None for a story. The server remembers what it was asked and what it told.
"""

import json
import random
import threading
from collections.abc import Callable
from typing import Any

import small_runs
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

Trouble = Callable[[Request, int], Response | None]
MODEL = "story-teller"


def story_for(seed: int) -> str:
    return " ".join(random.Random(seed).sample(small_runs.SENTENCES, 10))


def as_json(content: Any, status: int = 200, **headers: str) -> Response:
    text = content if isinstance(content, str) else json.dumps(content)
    return Response(text, status, headers, content_type="application/json")


def completion(
    text: str | None,
    model: str = MODEL,
    finish_reason: str = "stop",
    *,
    n_tokens: int = 50,
    thought: str | None = None,
) -> Response:
    return as_json(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "finish_reason": finish_reason,
                    "message": {"role": "assistant", "content": text, "reasoning_content": thought},
                    "text": text,
                }
            ],
            "usage": {
                "prompt_tokens": 30,
                "completion_tokens": n_tokens,
                "total_tokens": 30 + n_tokens,
            },
        }
    )


class _Server(HTTPServer):
    def thread_target(self) -> None:
        """Look often whether to stop: every test starts a server and ends it."""
        assert self.server is not None
        self.server.serve_forever(poll_interval=0.01)


class StoryServer:
    """The server; a context manager."""

    def __init__(self, trouble: Trouble = lambda _request, _number: None) -> None:
        self.trouble = trouble
        self.bodies: list[dict[str, Any]] = []
        self.told: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._server = _Server(threaded=True)

    def __enter__(self) -> "StoryServer":
        self._server.start()
        for path in ("/v1/chat/completions", "/v1/completions"):
            self._server.expect_request(path, method="POST").respond_with_handler(self._respond)
        return self

    def __exit__(self, *error: Any) -> None:
        if self._server.is_running():
            self._server.stop()

    def leave(self) -> None:
        """Be gone: nobody listens at the address."""
        self._server.stop()

    def come_back(self) -> None:
        """Listen at the same address as before."""
        self._server.start()

    @property
    def url(self) -> str:
        return self._server.url_for("/v1")

    def _respond(self, request: Request) -> Response:
        body = request.get_json()
        with self._lock:
            number = len(self.bodies)
            self.bodies.append(body)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            trouble = self.trouble(request, number)
            if trouble is not None:
                return trouble
            story = story_for(body.get("seed", number))
            with self._lock:
                self.told.append(story)
            return completion(story)
        finally:
            with self._lock:
                self._at_once -= 1
