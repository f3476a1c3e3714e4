"""Batches that are made while the device computes."""

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from training.data import Batch, Batches

AHEAD = 4
"""Batches made before they are asked for: enough to bridge a slow read, little memory."""

Read = tuple[Batch, dict[str, int]]


class Loader:
    """`Batches.at`, a thread ahead of its reader. `waited_s` counts the seconds in which the reader had to wait."""

    def __init__(self, batches: Batches, at_once: int, stride: int, pin: bool) -> None:
        """`at_once`: Sequences in a batch; `stride`: positions from the begin of one batch to that of the next; `pin`:
        whether batches go to a GPU."""
        self.batches, self.at_once, self.stride, self.pin = batches, at_once, stride, pin
        self.waited_s = 0.0
        self._thread = ThreadPoolExecutor(1, "loader")
        self._made: deque[tuple[int, Future[Read]]] = deque()

    def at(self, position: int) -> Read:
        """The batch at `position`, and how many tokens of each Cell it holds. Quick in the order of positions."""
        started = time.monotonic()
        while self._made and self._made[0][0] != position:
            self._made.popleft()[1].cancel()
        ahead = self._made[-1][0] + self.stride if self._made else position
        for begin in range(ahead, position + AHEAD * self.stride, self.stride):
            self._made.append((begin, self._thread.submit(self._make, begin)))
        read = self._made.popleft()[1].result()
        self.waited_s += time.monotonic() - started
        return read

    def _make(self, position: int) -> Read:
        batch, n_tokens = self.batches.at(position, self.at_once)
        return (batch.pinned() if self.pin else batch), n_tokens

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)
