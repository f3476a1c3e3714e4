"""The record that each worker is on, in a small file that outlives the worker when it is killed."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import Folder
from pipeline.plan import Part
from pipeline.run.events import printable
from pipeline.sources.record import Record

NOTE_BYTES = 2048
MAX_CHARS = 400
"""Of a label, a path or a URL in a note."""
TEXT_EVERY_S = 0.005
"""A note costs 5 microseconds and a page milliseconds, so every page is noted. A row of text is done in 50 to 100
microseconds: those are noted this often, which bounds the cost to a thousandth."""

LATER = ", or soon after it"


@dataclass(frozen=True, slots=True)
class Note:
    """What a worker was on. `record` counts from 1 in its Part, 0 before the first; `is_exact`: the worker was on that
    record, and not on one of the next few milliseconds. All text is printable."""

    stage: str
    part: str
    process: int
    host: str
    record: int = 0
    is_exact: bool = True
    path: str = ""
    offset: int = 0
    url: str = ""

    def place(self) -> str:
        """The record in words, "" before the first."""
        if not self.record:
            return ""
        soon = "" if self.is_exact else "soon after "
        what = f"record {self.url}" if self.url else f"record {self.record}"
        return f"{soon}{what} at offset {self.offset} of {self.path}"


def _name(part: Part) -> str:
    return f"on-{part.stage}-{part.key}.txt"


@contextmanager
def noting(folder: Folder, part: Part) -> Iterator[Callable[[Record], None]]:
    """Keep a note of `part` in a run's folder, and give a function that takes each record before it is worked on.

    The note is overwritten in place without fsync: it outlives the process, not the machine. It goes when the block
    ends, by an exception, too. Where it cannot be written (object stores, a full disk) there is none.
    """
    if not folder.is_local:
        yield lambda record: None
        return
    path = Path(folder.path(_name(part)))
    label, host = printable(part.label, MAX_CHARS), socket.gethostname()
    head = f"stage {part.stage}\npart {label}\nprocess {os.getpid()}\nhost {host}\n".encode()[: NOTE_BYTES // 2]
    descriptor = -1
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        os.pwrite(descriptor, head.ljust(NOTE_BYTES), 0)
    try:
        yield _writer(descriptor, len(head)) if descriptor >= 0 else lambda record: None
    finally:
        with suppress(OSError):
            path.unlink()
            os.close(descriptor)


def _writer(descriptor: int, start: int) -> Callable[[Record], None]:
    n = 0
    noted_at = 0.0

    def note(record: Record) -> None:
        nonlocal n, noted_at
        n += 1
        is_page = record.html is not None
        if not is_page:
            now = time.monotonic()
            if now - noted_at < TEXT_EVERY_S:
                return
            noted_at = now
        path, url = printable(record.path, MAX_CHARS), printable(record.url, MAX_CHARS)
        text = f"record {n}{'' if is_page else LATER}\npath {path}\noffset {record.offset}\nurl {url}\n"
        # Not a memory map, which kills its process when the disk is full.
        with suppress(OSError):
            os.pwrite(descriptor, text.encode()[: NOTE_BYTES - start - 1].ljust(NOTE_BYTES - start), start)

    return note


def read_note(folder: Folder, part: Part) -> Note | None:
    """What the worker of `part` was on, if it left a note."""
    return _read(Path(folder.path(_name(part)))) if folder.is_local else None


def read_notes(folder: Folder) -> list[Note]:
    """What all workers of a run are on, or were on when they were killed."""
    found = map(_read, sorted(Path(folder.root).glob("on-*.txt"))) if folder.is_local else ()
    return [note for note in found if note]


def _read(path: Path) -> Note | None:
    """A note; a worker may be writing it, so what makes no sense is left out."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").rstrip(" \n").split("\n")
        fields = {name: printable(value) for name, _, value in (line.partition(" ") for line in lines)}
        record = fields.get("record", "0")
        return Note(
            stage=fields["stage"],
            part=fields["part"],
            process=int(fields["process"]),
            host=fields["host"],
            record=int(record.removesuffix(LATER)),
            is_exact=not record.endswith(LATER),
            path=fields.get("path", ""),
            offset=int(fields.get("offset", "0")),
            url=fields.get("url", ""),
        )
    except (OSError, ValueError, KeyError):
        return None
