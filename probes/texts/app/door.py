"""Who may speak to the page: whoever calls it by a name of its own, from a page of its own.

A page of the web can send requests to this machine, and with a name that it lets point here
(DNS rebinding) even read the answers: its Host or Origin gives it away.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from hooks.errors import InvalidInput

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
ANY = "true"
"""What ``--allow-host`` without a name holds."""
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def names_of(host: str, allowed: Collection[str]) -> frozenset[str] | None:
    """Return the names by which the page may be called; None means any. InvalidInput if too open.

    An address that others reach has to be allowed.
    """
    if not is_loopback(host) and not allowed:
        raise InvalidInput(
            f"--host={host} opens the page, its model and the run's texts to everybody who "
            "reaches this machine, without a password. If that is meant, say by which names it may "
            "be called: --allow-host=NAME[,NAME], or --allow-host for any."
        )
    return None if ANY in allowed else frozenset({*LOOPBACK, host, *allowed})


def check_free(host: str, port: int) -> None:
    """Refuse a port that cannot be listened on, before a model is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host.strip("[]"), port))
        except OSError as error:
            raise InvalidInput(
                f"--port: cannot listen on {host}:{port}: {error.strerror or error}. Choose "
                "another with --port=N."
            ) from error


async def until_listening(host: str, port: int) -> None:
    """Return when somebody can connect."""
    reached = "127.0.0.1" if host == "0.0.0.0" else host.strip("[]")  # noqa: S104 - compared
    while True:
        try:
            _, writer = await asyncio.open_connection(reached, port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return


class Door:
    """ASGI middleware that refuses foreign hosts and origins, requests and websockets alike."""

    def __init__(self, app: Any, *, names: frozenset[str] | None, port: int) -> None:
        self._app, self._names, self._port = app, names, port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it with 403."""
        if scope["type"] not in ("http", "websocket") or self._is_own(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4403})
        else:
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            words = b"This page is called by another name or from another page. See --allow-host."
            await send({"type": "http.response.body", "body": words})

    def _is_own(self, scope: Scope) -> bool:
        headers = {key.lower(): value.decode("latin-1") for key, value in scope["headers"]}
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        called = {f"{name}:{self._port}" for name in self._names or ()}
        if self._port == 80:
            called |= self._names or set()
        is_called = self._names is None or host.lower() in called
        return is_called and (origin is None or origin.lower().partition("://")[2] == host.lower())
