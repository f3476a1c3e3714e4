"""Processor time of work that may be short: it is done again until a clock can tell."""

import time
from collections.abc import Callable
from typing import TypeVar

LEAST_S = 0.2
Result = TypeVar("Result")


def cpu_s(work: Callable[[], Result]) -> tuple[float, Result]:
    """Processor seconds of `work`, the mean of as many times as take `LEAST_S`, and what it gave."""
    n, begun = 0, time.process_time()
    while True:
        found = work()
        n += 1
        used = time.process_time() - begun
        if used >= LEAST_S:
            return used / n, found
