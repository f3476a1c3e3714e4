"""Where each record of an uncompressed WARC stream starts and ends, with every byte accounted for.

fastwarc parses what is inside a record; the frame around it is found here, since fastwarc stops without a word at the
first broken record. Format: ISO 28500 (WARC 1.1), section 4.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

MAX_HEADER_BYTES = 64 * 1024
"""A longer block of WARC headers is taken for damage; real ones have about 1 kB."""
READ_BYTES = 64 * 1024
SEARCH_BYTES = 1024 * 1024

_HEADER = re.compile(rb"WARC/\d+\.\d+[ \t]*\r*\n(?:.*\n)*?\r*\n", re.IGNORECASE)
_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*(\d{1,18})[ \t\r]*$", re.IGNORECASE | re.MULTILINE)
_RECORD = re.compile(rb"[\n\0](WARC/\d\.\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Frame:
    """One record, or a stretch that is none, at `position` of an uncompressed stream.

    `header` are the bytes of the WARC headers and the empty line; the content is the `length` bytes at `content`.
    `fate` is "" for a whole record.
    """

    position: int
    header: bytes
    content: int
    length: int
    fate: str = ""
    detail: str = ""


class View(Protocol):
    """Uncompressed bytes by position."""

    def at(self, position: int, n: int) -> bytes:
        """Up to `n` bytes at `position`; fewer only where the stream ends."""

    def oldest(self, position: int) -> int:
        """The first position, not below `position`, that can still be read."""


class FileView:
    """A plain file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)

    def at(self, position: int, n: int) -> bytes:
        """See `View`."""
        if position >= self._size:
            return b""
        self._file.seek(position)
        return self._file.read(n)

    def oldest(self, position: int) -> int:
        """See `View`."""
        return position


def frames(view: View, position: int = 0) -> Iterator[Frame]:
    """All frames from `position` on, which has to be the start of a record or of what stands in its place.

    Line breaks between records belong to none. A record whose Content-Length cannot be right (its content is cut short
    by the end of the stream, or is not followed by a line break) gets a fate, and the search for the next record starts
    behind its headers, so that a wrong length hides no record. The price: what looks like a record inside the content
    of a broken record is read as one.
    """
    while True:
        head = view.at(position, READ_BYTES // 16)
        text = head.lstrip(b"\r\n")
        if text:
            frame = _frame_at(view, position + len(head) - len(text))
            yield frame
            position = frame.content + frame.length
        elif head:
            position += len(head)
        else:
            return


def _frame_at(view: View, position: int) -> Frame:
    head = view.at(position, READ_BYTES // 16)
    header = _HEADER.match(head)
    if header is None and head[:5].upper() == b"WARC/":
        header = _HEADER.match(view.at(position, MAX_HEADER_BYTES))
    length = _LENGTH.search(header[0]) if header else None
    if header is None:
        return _broken(view, position, b"", "damaged_bytes", "")
    if length is None:
        return _broken(view, position, header[0], "bad_record", "no Content-Length")
    content, n = position + header.end(), int(length[1])
    tail = view.at(content + n - 1, 6) if n else b"\n" + view.at(content, 5)
    if not tail:
        return _broken(view, position, header[0], "truncated_record", "")
    if tail[1:] and tail[1:2] not in b"\r\n" and tail[1:].upper() != b"WARC/":
        return _broken(view, position, header[0], "bad_record", "Content-Length is wrong")
    return Frame(position, header[0], content, n)


def _broken(view: View, position: int, header: bytes, fate: str, detail: str) -> Frame:
    start = position + max(0, len(header) - 1)
    following = find_record(view, view.oldest(start))
    content = position + len(header)
    detail = detail or f"{following - content} bytes"
    return Frame(position, header, content, max(following, content) - content, fate, detail)


def find_record(view: View, position: int) -> int:
    """The position of the next `WARC/n.n` that starts a line, or follows a NUL (padding of a disk), searched from
    `position`; the end of the stream if there is none."""
    while True:
        block = view.at(position, SEARCH_BYTES)
        found = _RECORD.search(block)
        if found:
            return position + found.start(1)
        if len(block) < SEARCH_BYTES:
            return position + len(block)
        position += SEARCH_BYTES - len(b"\nWARC/1.0")
