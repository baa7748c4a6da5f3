"""Ctrl-C ends a command soon, whatever is running.

Python raises `KeyboardInterrupt` in the main thread at the next bytecode. A long call into C, a
pool of threads that is waited for, or a library's clean-up at exit can delay the end by minutes.
So:

1. The C part of Python's signal handler writes a byte to a socket, at once and from any thread.
2. A thread that waits for it gives the main thread some time to end by itself.
3. Then it ends the process. Files are written whole or not at all (`storage`), so nothing is
   damaged; what was done is kept.

Contract: acts only in the main thread of a process, and leaves no handler behind.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

EXIT_CODE = 130
_PATIENCE = 1.2  # seconds


@contextlib.contextmanager
def ends_soon(say: Callable[[], object], patience: float = _PATIENCE) -> Iterator[None]:
    """End the process at most `patience` seconds after Ctrl-C.

    Parameters
    ----------
    say
        Called before a process is ended by force; what it prints is flushed.
    patience
        Seconds given to the main thread to end by itself.
    """
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
