"""The page as a web site that means harm meets it, and a busy port: a real server."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import ROOT, main


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


@pytest.fixture
def served(finished, tmp_path):
    """Port of the app, its log, and the folder in which the command was typed."""
    pytest.importorskip("nicegui")
    port, typed_in = free_port(), tmp_path / "typed in"
    typed_in.mkdir()
    log = tmp_path / "log"
    with log.open("w") as written:
        server = subprocess.Popen(
            [sys.executable, "-m", "probes.run", "app", finished.config, f"--port={port}"],
            cwd=typed_in,
            stdout=written,
            stderr=written,
            env={k: v for k, v in os.environ.items() if "PYTEST" not in k}
            | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    deadline = time.monotonic() + 120
    while "listens on" not in log.read_text():
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    yield port, typed_in
    server.send_signal(signal.SIGINT)
    server.wait(timeout=20)
    assert list(typed_in.iterdir()) == []
    assert not [path for path in Path(tmp_path).glob("emotion-lens-*") if path.is_dir()]


def ask(port: int, path: str = "/", **headers: str) -> int:
    """Send a request with headers of one's own; return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest("GET", path, skip_host=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    with contextlib.closing(connection), connection.getresponse() as response:
        return response.status


def test_foreign_pages_get_nothing_and_a_busy_port_is_said(served, finished, capsys):
    port, _ = served
    own = f"127.0.0.1:{port}"
    assert ask(port, Host=own) == 200  # it was announced, so it listens
    assert ask(port, Host=f"localhost:{port}", Origin=f"http://localhost:{port}") == 200
    assert ask(port, Host=f"evil.org:{port}") == 403
    assert ask(port, Host=own, Origin="http://evil.org") == 403
    assert ask(port, Host=own, Origin="http://127.0.0.1:1") == 403
    websocket = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    assert ask(port, path, Host=own, Origin=f"http://{own}", **websocket) == 101
    assert ask(port, path, Host=own, Origin="http://evil.org", **websocket) == 403
    assert ask(port, path, Host=f"evil.org:{port}", **websocket) == 403
    assert main("app", finished.config, f"--port={port}", "--json") == 2
    printed = capsys.readouterr()
    assert "cannot listen on" in json.loads(printed.out)["error"]
    assert "listens on" not in printed.err
