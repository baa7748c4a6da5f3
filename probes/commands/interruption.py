"""Ctrl-C ends a command soon: libraries can delay `KeyboardInterrupt` by minutes.

The C part of the signal handler writes to a socket; a thread that waits there ends the process.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

EXIT_CODE = 130


@contextlib.contextmanager
def ends_soon(say: Callable[[], object], patience: float = 1.2) -> Iterator[None]:
    """End the process at most `patience` seconds after Ctrl-C; if by force, call `say` first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    over = threading.Event()

    def watch() -> None:
        while received := reader.recv(64):
            if signal.SIGINT in received and not over.wait(patience):
                say()
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(EXIT_CODE)

    watcher = threading.Thread(target=watch, name="ctrl-c", daemon=True)
    watcher.start()
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        writer.close()  # ends the thread's waiting
        watcher.join()
        reader.close()
