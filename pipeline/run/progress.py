"""How a run is watched: a bar with rate and time left on a terminal, plain lines in a log."""

import sys
import time

from rich import progress as rich_progress
from rich.console import Console
from rich.text import Text

LOG_EVERY_S = 15.0


class _Rate(rich_progress.ProgressColumn):
    """Parts a second."""

    def render(self, task: rich_progress.Task) -> Text:
        """The rate, or blanks before there is one."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:6.2f}/s" if speed else " " * 8)


class Progress:
    """Progress of stages, written to standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar: rich_progress.Progress | None = None
        self._task: rich_progress.TaskID | None = None
        self._n_parts = 0
        self._begun = self._said = 0.0

    def start(self, stage: str, n_parts: int) -> None:
        """A stage begins."""
        self._n_parts = n_parts
        self._begun = self._said = time.monotonic()
        if self._console.is_terminal:
            if self._bar is None:
                self._bar = rich_progress.Progress(
                    rich_progress.TextColumn("{task.description:<10}"),
                    rich_progress.BarColumn(),
                    rich_progress.MofNCompleteColumn(),
                    rich_progress.TextColumn("Parts"),
                    _Rate(),
                    rich_progress.TimeElapsedColumn(),
                    rich_progress.TextColumn("left"),
                    rich_progress.TimeRemainingColumn(),
                    console=self._console,
                )
                self._bar.start()
            self._task = self._bar.add_task(stage, total=n_parts)
        else:
            self._line(f"{stage}: {n_parts} Parts")

    def update(self, stage: str, done: int) -> None:
        """`done` Parts of the stage are committed."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done)
        elif time.monotonic() - self._said >= LOG_EVERY_S:
            self._said = time.monotonic()
            elapsed = self._said - self._begun
            left = f", {done / elapsed:.2f}/s, {elapsed / done * (self._n_parts - done):.0f} s left" if done else ""
            self._line(f"{stage}: {done}/{self._n_parts} Parts, {elapsed:.0f} s{left}")

    def finish(self, stage: str) -> None:
        """The stage is done."""
        self.update(stage, self._n_parts)
        if self._bar is None:
            self._line(f"{stage}: done in {time.monotonic() - self._begun:.1f} s")

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _line(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
