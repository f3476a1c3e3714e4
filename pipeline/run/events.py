"""What a run says while it goes on: one stream of events, which a terminal, a log, `--json` and `status.json` show."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TextIO


def printable(value: object, max_chars: int = 2000) -> str:
    """`value` as one line that a terminal takes for nothing but text: URLs and names may hold control characters.

    What `str.isprintable` refuses (control and format characters, line separators, lone surrogates, unassigned code
    points) is shown as an escape.
    """
    text = str(value)[:max_chars]
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def printable_lines(text: str) -> list[str]:
    """The lines of a message, each printable."""
    return [printable(line) for line in text.split("\n")]


def write_line(file: TextIO, text: str) -> None:
    """A line, at once. If the reader is gone (`| head`), the run goes on, and nothing more is written."""
    try:
        print(text, file=file, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


@dataclass(frozen=True, slots=True)
class RunStarted:
    """`stages`: name -> (Parts, of them committed already). `command` is what goes on after a stop."""

    run: str
    dataset: str
    command: str
    stages: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class StageProgress:
    """Where a stage is.

    `done` of `parts` Parts are committed, `cached` of them by earlier runs; the counts are sums over `counted` of the
    committed Parts, all of them when the stage is finished unless there are very many. `documents_in` (records, for
    extract), `documents_out` and `dropped` (by reason; fates, for extract) are null and empty where a stage passes no
    documents. `reading`: records read of Parts that are not committed yet. `rate`: `documents_in` and `reading` a
    second, else Parts a second. `left_s` goes by bytes of input. `memory_bytes`: resident, all processes of the run on
    this machine, null where it cannot be told.
    """

    stage: str
    parts: int
    done: int
    cached: int
    counted: int = 0
    documents_in: int | None = None
    documents_out: int | None = None
    dropped: Mapping[str, int] | None = None
    reading: int = 0
    rate: float | None = None
    left_s: float | None = None
    wall_s: float = 0.0
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class StageStarted(StageProgress):
    """A stage begins."""


@dataclass(frozen=True, slots=True)
class StageFinished(StageProgress):
    """All Parts of a stage are committed."""


@dataclass(frozen=True, slots=True)
class PartFinished:
    """A Part was committed by this run (with -v only)."""

    stage: str
    label: str
    documents_in: int | None
    documents_out: int | None


@dataclass(frozen=True, slots=True)
class Warned:
    """Something a person should look at. `kind`: extract_failures, unavailable, empty, yield, tokens; `message` has the
    numbers."""

    kind: str
    source: str
    message: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The version is there. `funnel`: source -> records, extracted, dropped, documents; `mixture` as in the manifest;
    `next`: a command."""

    version: str
    data: str
    funnel: Mapping[str, Mapping[str, int]]
    mixture: Sequence[Mapping[str, Any]]
    next: str


@dataclass(frozen=True, slots=True)
class RunFailed:
    """The run stopped without a version; `safe` says what is committed, `next` is the command that goes on."""

    message: str
    exit_code: int
    safe: str
    next: str
    details: str = ""


Event = RunStarted | StageProgress | PartFinished | Warned | RunFinished | RunFailed
Emit = Callable[[Event], None]


def as_json(event: Event) -> dict[str, Any]:
    """The event as a JSON object: `event` (its class, in snake case), `time` (UTC, ISO 8601) and its fields."""
    name = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(event).__name__).lstrip("_")
    return {"event": name, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), **asdict(event)}
