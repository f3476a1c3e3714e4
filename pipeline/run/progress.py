"""How a run is watched: a table on a terminal, plain lines in a log, JSON lines for machines."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline.run.events import (
    Event,
    PartFinished,
    RunFailed,
    RunFinished,
    RunStarted,
    StageFinished,
    StageProgress,
    StageStarted,
    Warned,
    as_json,
    printable,
    printable_lines,
    write_line,
)

LOG_EVERY_S = 15.0
TOP_REASONS = 3
WIDE = 110
"""Columns from which the table also has bars and reasons; below NARROW it leaves out the rate."""
NARROW = 70
WIDEST = 140
"""Columns from which a row has room for TOP_REASONS reasons."""


class Display(Protocol):
    """Shows events."""

    def __call__(self, event: Event) -> None:
        """Show one event."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def make_display(*, is_json: bool = False, quiet: bool = False, verbose: bool = False) -> Display:
    """The display that fits: JSON if asked for, a table if standard error is a terminal that can move its cursor."""
    if is_json:
        return JsonLines()
    if not quiet and sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown"):
        return LiveTable(verbose)
    return Lines(quiet, verbose)


class JsonLines:
    """One JSON object a line on standard output; see `events.as_json`."""

    def __call__(self, event: Event) -> None:
        """See Display."""
        write_line(sys.stdout, json.dumps(as_json(event)))

    def close(self) -> None:
        """See Display."""


class Lines:
    """Lines on standard error: those of progress begin with the time and are ASCII."""

    def __init__(self, quiet: bool = False, verbose: bool = False) -> None:
        self._quiet, self._verbose = quiet, verbose
        self._said = 0.0

    def __call__(self, event: Event) -> None:
        """See Display."""
        match event:
            case Warned() | RunFailed():
                for line in message(event, self._verbose):
                    write_line(sys.stderr, line)
            case _ if self._quiet:
                pass
            case StageStarted():
                cached = f", {event.cached} committed before" if event.cached else ""
                self._log(f"{event.stage}: {event.parts} Part{'s' * (event.parts > 1)}{cached}")
                self._said = time.monotonic()
            case StageFinished() if event.cached < event.parts:
                self._log(f"{line_of(event)}; done in {event.wall_s:.1f} s")
            case StageProgress() if time.monotonic() - self._said >= LOG_EVERY_S:
                self._said = time.monotonic()
                self._log(line_of(event))
            case PartFinished():
                self._log(part_line(event))

    def _log(self, text: str) -> None:
        plain = printable(text).encode("ascii", "backslashreplace").decode()
        write_line(sys.stderr, f"{time.strftime('%H:%M:%S')} {plain}")

    def close(self) -> None:
        """See Display."""


class LiveTable:
    """A table of all stages on standard error that is redrawn in place; messages scroll above it."""

    def __init__(self, verbose: bool = False) -> None:
        self._verbose = verbose
        self._console = Console(stderr=True)
        self._stages: dict[str, StageProgress] = {}
        self._begun = time.monotonic()
        self._now = ""
        self._n_warnings = 0
        self._live = Live(
            console=self._console, get_renderable=self._frame, refresh_per_second=2, redirect_stdout=False
        )

    def __call__(self, event: Event) -> None:
        """See Display."""
        match event:
            case RunStarted():
                self._stages = {
                    stage: StageProgress(stage, parts=n, done=cached, cached=cached)
                    for stage, (n, cached) in event.stages.items()
                }
                self._live.start()
            case StageProgress():
                self._stages[event.stage] = event
                self._now = event.stage
            case PartFinished():
                self._print(part_line(event))
            case Warned():
                self._n_warnings += 1
                self._print(*message(event, self._verbose), style="yellow")
            case RunFinished():
                self.close()
            case RunFailed():
                self.close()
                self._print(*message(event, self._verbose))

    def _print(self, *lines: str, style: str = "") -> None:
        for line in lines:
            self._console.print(Text(line, style), soft_wrap=True)

    def _frame(self) -> Group:
        stages = list(self._stages.values())
        now = self._stages.get(self._now)
        words = [f"{clock(time.monotonic() - self._begun)} since the start"]
        if now is None:
            words.append("getting models and kernels ready")
        elif now.memory_bytes:
            words.append(f"memory {now.memory_bytes / 1e9:.1f} GB")
        if self._n_warnings:
            words.append(f"{self._n_warnings} warning{'s' * (self._n_warnings > 1)} above")
        lines = [Text(", ".join(words), "dim", no_wrap=True, overflow="ellipsis")]
        dropped = Counter[str]()
        for stage in stages:
            dropped.update(stage.dropped or {})
        if dropped and self._console.width < WIDE:
            text = f"dropped so far: {reasons(dropped)}"
            lines.insert(0, Text(text, no_wrap=True, overflow="ellipsis"))
        return Group(table(stages, self._console.width, self._now), *lines)

    def close(self) -> None:
        """See Display."""
        self._live.stop()


def message(event: Warned | RunFailed, verbose: bool) -> list[str]:
    """A warning, or why and how the run ended, in lines for people."""
    if isinstance(event, Warned):
        return [f"warning: {printable(event.message)}"]
    details = [printable(line) for line in event.details.splitlines()] if verbose else []
    error = [] if event.exit_code == 130 else printable_lines(f"error: {event.message}")
    safe = f"committed Parts are safe: {event.safe}." if event.safe else "nothing was committed."
    return [*details, *error, safe[0].upper() + safe[1:] if error else f"stopped: {safe}", f"To go on: {event.next}"]


def line_of(event: StageProgress) -> str:
    """As in `extract: 3/9 Parts, 0:42, 1:20 left, 12.5 documents/s, 120 in, 100 out, dropped: short 20`."""
    words = [f"{event.stage}: {event.done}/{event.parts} Parts", clock(event.wall_s)]
    if event.left_s is not None and event.done < event.parts:
        words.append(f"{clock(event.left_s)} left")
    if event.rate:
        words.append(rate(event))
    if event.documents_in is not None:
        words.append(f"{event.documents_in:,} in, {event.documents_out:,} out")
    if event.reading:
        words.append(f"{event.reading:,} being read")
    if event.dropped:  # a record that never became a document was not dropped
        words.append(f"{'no document' if event.stage == 'extract' else 'dropped'}: {reasons(event.dropped)}")
    if event.memory_bytes:
        words.append(f"memory {event.memory_bytes / 1e9:.1f} GB")
    return ", ".join(words)


def part_line(event: PartFinished) -> str:
    """As in `extract main:a.jsonl: committed, 120 in, 100 out`."""
    numbers = "" if event.documents_in is None else f", {event.documents_in:,} in, {event.documents_out:,} out"
    return f"{event.stage} {printable(event.label)}: committed{numbers}"


def reasons(dropped: Mapping[str, int], n: int = TOP_REASONS) -> str:
    """The most frequent reasons and how many documents have them, the rest as `other`."""
    items = sorted(dropped.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in items[n:])
    return ", ".join(f"{printable(name)} {count:,}" for name, count in [*items[:n], *[("other", rest)] * (rest > 0)])


def clock(seconds: float) -> str:
    """As in `1:05:09`, or `5:09` below an hour."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def rate(event: StageProgress) -> str:
    """Documents a second, or Parts where no documents are counted."""
    if not event.rate:
        return ""
    n = f"{event.rate / 1000:,.1f}k" if event.rate >= 10_000 else f"{event.rate:,.{0 if event.rate >= 100 else 1}f}"
    return f"{n} {'Parts' if event.documents_in is None and not event.reading else 'docs'}/s"


def _time(event: StageProgress, width: int) -> str:
    if event.done == event.parts:
        return "cached" if event.cached == event.parts else clock(event.wall_s)
    return clock(event.left_s) + " left" * (width >= NARROW) if event.left_s is not None else ""


def _number(n: int) -> str:
    return f"{n:,}" if n < 10_000_000 else f"{n / 1e6:,.1f}M"


def table(stages: Sequence[StageProgress], width: int, now: str = "") -> Table:
    """All stages, as wide as a terminal of `width` columns can show: below WIDE without bars and reasons."""
    made = Table(box=None, pad_edge=False, padding=(0, 1), expand=False)
    made.add_column("stage", no_wrap=True, min_width=9)
    if width >= WIDE:
        made.add_column("", width=12)
    widths = {"Parts": 9, **({"rate": 12} if width >= NARROW else {}), "time": 10, "in": 9, "out": 9}
    for heading, least in widths.items():  # so that columns do not jump
        made.add_column(heading, justify="right", no_wrap=True, min_width=least)
    if width >= WIDE:
        made.add_column("dropped", no_wrap=True, overflow="ellipsis")
    for event in stages:
        row: list[str | Text | ProgressBar] = [event.stage]
        if width >= WIDE:
            row.append(ProgressBar(total=max(event.parts, 1), completed=event.done, width=12))
        row += [f"{event.done:,}/{event.parts:,}", *([rate(event)] * (width >= NARROW)), _time(event, width)]
        for n, more in ((event.documents_in, event.reading), (event.documents_out, 0)):
            row.append("" if n is None and not more else _number((n or 0) + more))
        if width >= WIDE:
            row.append(Text(reasons(event.dropped or {}, TOP_REASONS if width >= WIDEST else TOP_REASONS - 1)))
        done = event.done == event.parts
        made.add_row(*row, style="bold" if event.stage == now and not done else "dim" if done else "")
    return made


def summarised(stages: Iterable[Mapping[str, object]]) -> list[StageProgress]:
    """Stages as `status.json` lists them."""
    names = StageProgress.__dataclass_fields__
    return [StageProgress(**{k: v for k, v in stage.items() if k in names}) for stage in stages]  # type: ignore[arg-type]
