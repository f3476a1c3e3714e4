"""Ctrl-C, SIGTERM and SIGHUP: after the first a run ends its workers, after the second it ends at once.

Light to import, since it is needed before all else.
"""

import os
import signal
import sys
from collections.abc import Collection
from contextlib import suppress
from types import FrameType
from typing import NoReturn

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOPPED = 130
"""The exit code: 128 + SIGINT, as shells have it."""
_asked: list[int] = []


def listen(numbers: Collection[int]) -> None:
    """Let these signals raise KeyboardInterrupt, and remember them, since libraries that catch everything swallow it.

    A signal that is ignored, as SIGHUP is under nohup, stays so.
    """
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _asked.append(number)
    raise KeyboardInterrupt


def check() -> None:
    """Raise KeyboardInterrupt if that was asked for and swallowed."""
    if _asked:
        raise KeyboardInterrupt


def end_at_the_next() -> None:
    """From now on a signal ends this process without waiting for anything. Workers end with it, and a Part is committed
    as a whole or not at all, so this is safe; only a Slurm job may go on."""
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    show_cursor = "\x1b[?25h" * sys.stderr.isatty()
    os.write(2, f"{show_cursor}\nended at once: committed Parts are safe.\n".encode())
    os._exit(STOPPED)


def leave(message: str = "") -> NoReturn:
    """End with the exit code of a stop, whatever Python would do on its way out: after an interrupt in `exec`, which
    makes dataclasses, it ends by the signal, whoever caught the exception."""
    with suppress(OSError):
        if message:
            print(message, file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(STOPPED)
