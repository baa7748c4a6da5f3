"""Only whoever calls the page by its own name, from its own page, gets in."""

import asyncio
import socket

import pytest

from hooks.errors import InvalidInput
from probes.texts.app.door import ANY, Door, check_free, is_loopback, names_of, until_listening


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("192.168.0.4", False),
        ("localhost.evil.org", False),
    ],
)
def test_what_only_this_machine_reaches_is_loopback(host, loopback):
    assert is_loopback(host) is loopback


def test_what_others_reach_has_to_be_allowed():
    assert names_of("127.0.0.1", ()) >= {"localhost", "127.0.0.1", "[::1]"}
    with pytest.raises(InvalidInput, match="opens the page.*without a password.*--allow-host"):
        names_of("0.0.0.0", ())
    assert "box.lan" in names_of("0.0.0.0", ["box.lan"])
    assert names_of("0.0.0.0", [ANY]) is None


def knock(kind: str, names=frozenset({"localhost"}), **headers: str) -> list[dict]:
    sent: list[dict] = []

    async def send(message):
        sent.append(dict(message))

    async def inside(_scope, _receive, send):
        await send({"type": "inside"})

    listed = [(name.encode(), value.encode()) for name, value in headers.items()]
    door = Door(inside, names=names, port=8080)
    asyncio.run(door({"type": kind, "headers": listed}, None, send))
    return sent


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("headers", "in_"),
    [
        ({"host": "localhost:8080"}, True),
        ({"host": "LOCALHOST:8080", "origin": "http://localhost:8080"}, True),
        ({"host": "evil.org:8080"}, False),
        ({"host": "localhost:8081"}, False),
        ({"host": "localhost"}, False),
        ({}, False),
        ({"host": "localhost:8080", "origin": "http://evil.org"}, False),
        ({"host": "localhost:8080", "origin": "http://localhost:9999"}, False),
        ({"host": "localhost:8080", "origin": "null"}, False),
    ],
)
def test_foreign_hosts_and_origins_are_refused(kind, headers, in_):
    sent = knock(kind, **headers)
    if in_:
        assert sent == [{"type": "inside"}]
    elif kind == "http":
        assert sent[0]["status"] == 403
    else:
        assert sent == [{"type": "websocket.close", "code": 4403}]


def test_any_name_may_be_allowed_and_still_no_foreign_page():
    assert knock("http", None, host="box.lan:8080") == [{"type": "inside"}]
    sent = knock("websocket", None, host="box.lan:8080", origin="http://evil.org")
    assert sent[0]["type"] == "websocket.close"


def test_what_is_no_request_goes_through():
    assert knock("lifespan") == [{"type": "inside"}]


def test_a_port_that_is_taken_is_known_before_it_is_wanted():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()
        with pytest.raises(InvalidInput, match=rf"cannot listen on 127.0.0.1:{port}: .*--port=N"):
            check_free("127.0.0.1", port)
        asyncio.run(asyncio.wait_for(until_listening("127.0.0.1", port), timeout=10))
    check_free("127.0.0.1", port)
