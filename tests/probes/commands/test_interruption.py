"""Ctrl-C ends a process soon, also one that does not listen."""

import signal
import subprocess
import sys
import threading

import pytest

from probes.commands.interruption import ends_soon

PROGRAM = """
import signal, sys, time
from probes.commands.interruption import ends_soon
def work():
    if sys.argv[1] == "deaf":
        signal.signal(signal.SIGINT, lambda *_: None)
    print("ready", flush=True)
    while True:
        time.sleep(0.05)
try:
    with ends_soon(lambda: print("forced"), patience=0.3):
        work()
except KeyboardInterrupt:
    print("by itself")
    sys.exit(130)
"""


@pytest.mark.parametrize(("kind", "word"), [("gives way", "by itself"), ("deaf", "forced")])
def test_ctrl_c_ends_code_that_gives_way_and_code_that_does_not(kind, word):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, kind],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=30)
    assert (printed.strip(), process.returncode) == (word, 130)


def test_nothing_is_left_behind():
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    with ends_soon(lambda: None):
        pass
    after = signal.set_wakeup_fd(before)
    assert after == before
    assert "ctrl-c" not in [thread.name for thread in threading.enumerate()]
