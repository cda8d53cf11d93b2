"""Interruption: Ctrl-C and the signals that end a process wait where they would do harm."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

ENDINGS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a Ctrl-C, a SIGTERM or a SIGHUP take effect only when the block is over.

    Python raises for them between any two steps of the main thread: after a lock is taken and
    before anybody knows to release it, after a process is started and before anybody has it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run in the main thread alone
        return
    came: list[tuple[int, Any]] = []
    before: dict[int, Any] = {}
    try:
        for number in ENDINGS:
            before[number] = signal.getsignal(number)
            signal.signal(number, lambda number, frame: came.append((number, frame)))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        # An error of the block is no reason to go on: the interruption is told, with the error as
        # its context.
        if came:
            _deliver(*came[0], before[came[0][0]])


def _deliver(number: int, frame: Any, handler: Any) -> None:
    if callable(handler):
        handler(number, frame)
    elif handler != signal.SIG_IGN:
        os.kill(os.getpid(), number)
