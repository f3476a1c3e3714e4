"""Rows of JSONL, Parquet and Arrow files, and whole text and Markdown files, as Records.

A row that cannot become a document becomes a fate: `bad_json`, `missing_text`, `text_not_string`, `empty_text`,
`not_decodable`, `row_too_large`. A damaged file gives its rows up to the damage, then one `damaged_bytes`. Memory is
bounded by one line, or by one batch of rows of a columnar file, whatever the size of the file.
"""

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from pipeline.sources.columnar import read_arrow, read_parquet
from pipeline.sources.options import TableSource
from pipeline.sources.record import Record, Slice, SourceError, reason
from pipeline.sources.remote import is_remote, open_remote
from pipeline.sources.rows import MAX_ROW_BYTES, Unseen, damaged, fate_of, missing_column, record_of

READ_BYTES = 1 << 20
ZSTD_READ_BYTES = 1 << 12
TEXT_SUFFIXES = (".txt", ".md", ".markdown")
LINE_SUFFIXES = (".jsonl", ".ndjson")
ARROW_SUFFIXES = (".arrow", ".feather", ".ipc")

Reader = Callable[[BinaryIO, Slice, TableSource], Iterator[Record]]


def read_table(slice_: Slice, source: TableSource) -> Iterator[Record]:
    """Every row that begins in `slice_`, in order.

    `offset` is the byte offset of the line in plain JSONL, so that byte ranges are read independently; the number of
    the line in compressed JSONL; the number of the row in Parquet and Arrow; 0 for a text file. In Parquet a range
    holds whole row groups; files of other kinds belong whole to the range that begins at 0. Blank lines are no rows.

    Raises:
        SourceError: if the file cannot be opened, changed since it was listed, has an unknown ending, or has no column
            of a name that the recipe gives for URL, title, date or licence (JSONL: in no row of its first range).
    """
    reader = _reader_of(slice_)
    with closing(_open(slice_)) as file:
        yield from reader(file, slice_, source)


def _reader_of(slice_: Slice) -> Reader:
    path = slice_.path.lower()
    if path.endswith(LINE_SUFFIXES):
        return _read_plain_lines
    if path.endswith(tuple(f"{suffix}{packed}" for suffix in LINE_SUFFIXES for packed in (".gz", ".zst"))):
        return _read_packed_lines
    if path.endswith(".parquet"):
        return read_parquet
    if path.endswith(ARROW_SUFFIXES):
        return read_arrow
    if path.endswith(TEXT_SUFFIXES):
        return _read_text
    known = (*LINE_SUFFIXES, ".jsonl.gz", ".jsonl.zst", ".parquet", *ARROW_SUFFIXES, *TEXT_SUFFIXES)
    raise SourceError(
        f"sources.{slice_.source}: {slice_.path}: unknown kind of file; a table ends in {', '.join(known)}"
    )


class _Input(io.RawIOBase):
    """A file whose own read errors are SourceErrors, so that what a decoder raises above it means damaged bytes."""

    def __init__(self, file: BinaryIO, slice_: Slice) -> None:
        self._file, self._slice = file, slice_

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any, /) -> int:
        try:
            found = self._file.read(len(buffer))
        except SourceError:
            raise
        except Exception as error:
            raise _cannot_read(self._slice, reason(error)) from None
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _open(slice_: Slice) -> BinaryIO:
    try:
        if is_remote(slice_.url):
            file = open_remote(slice_)
        else:
            file = Path(slice_.url).open("rb")  # noqa: SIM115 - `_Input` closes it
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            if size != slice_.size:
                file.close()
                raise _cannot_read(slice_, f"it has {size} bytes and had {slice_.size} when it was listed; run again")
    except FileNotFoundError as error:
        why = f"{reason(error)}, though it was there when it was listed; put it back, and run again"
        raise _cannot_read(slice_, why) from None
    except PermissionError as error:
        raise _cannot_read(slice_, f"{reason(error)}; let this user read it (chmod), and run again") from None
    except (OSError, ValueError, ImportError) as error:
        raise _cannot_read(slice_, reason(error)) from None
    return cast(BinaryIO, io.BufferedReader(_Input(file, slice_), READ_BYTES))


def _cannot_read(slice_: Slice, why: object) -> SourceError:
    return SourceError(f"sources.{slice_.source}: {slice_.url} cannot be read: {why}")


def _read_plain_lines(file: BinaryIO, slice_: Slice, source: TableSource) -> Iterator[Record]:
    position = slice_.start
    if position:
        file.seek(position - 1)
        _, skipped = _next_line(file)  # only the line break, if a line begins right at `start`
        position += skipped - 1
    columns_told, unseen = False, Unseen(source)
    while position < slice_.end:
        line, n_bytes = _next_line(file)
        if not n_bytes:
            break
        record = _json_record(line, position, slice_, source, unseen, tell_columns=not columns_told)
        if record is not None:
            columns_told |= record.fate == "missing_text"
            yield record
        position += n_bytes
    unseen.check(slice_)


def _read_packed_lines(file: BinaryIO, slice_: Slice, source: TableSource) -> Iterator[Record]:
    if slice_.start:
        return
    number, columns_told, unseen = 0, False, Unseen(source)
    try:
        lines = _unpacked(file, slice_.path)
        for number in count():
            line, n_bytes = _next_line(lines)
            if not n_bytes:
                break
            record = _json_record(line, number, slice_, source, unseen, tell_columns=not columns_told)
            if record is not None:
                columns_told |= record.fate == "missing_text"
                yield record
    except (EOFError, OSError, zlib.error) as error:
        yield damaged(slice_, number, error)
    unseen.check(slice_)


def _unpacked(file: BinaryIO, path: str) -> BinaryIO:
    """The inflated bytes. Of a read that meets damage nothing comes back, so reads are kept small."""
    if path.lower().endswith(".gz"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    return cast(BinaryIO, io.BufferedReader(pa.CompressedInputStream(file, "zstd"), ZSTD_READ_BYTES))


def _next_line(file: BinaryIO) -> tuple[bytes | None, int]:
    """The next line and its length in bytes with its line break; None for a line over `MAX_ROW_BYTES`; 0 at the end."""
    line = file.readline(MAX_ROW_BYTES + 1)
    if len(line) <= MAX_ROW_BYTES or line.endswith(b"\n"):
        return line, len(line)
    n_bytes = len(line)
    while not line.endswith(b"\n"):
        line = file.readline(READ_BYTES)
        n_bytes += len(line)
        if not line:
            break
    return None, n_bytes


def _json_record(
    line: bytes | None, offset: int, slice_: Slice, source: TableSource, unseen: Unseen, *, tell_columns: bool
) -> Record | None:
    """A line as a Record; None if it is blank."""
    if line is None:
        return fate_of(slice_, offset, "row_too_large", f"over {MAX_ROW_BYTES} bytes")
    if offset == 0:
        line = line.removeprefix(b"\xef\xbb\xbf")
    if not line.strip():
        return None
    try:
        row = json.loads(line)
    except UnicodeDecodeError as error:
        return fate_of(slice_, offset, "bad_json", f"byte {error.start} of the line is not {error.encoding}")
    except json.JSONDecodeError as error:
        return fate_of(slice_, offset, "bad_json", f"{error.msg} at character {error.pos} of the line")
    except (ValueError, RecursionError) as error:
        return fate_of(slice_, offset, "bad_json", type(error).__name__)
    if not isinstance(row, dict):
        return fate_of(slice_, offset, "bad_json", f"a row is an object, this is {type(row).__name__}")
    unseen.look(row)
    if source.text_column not in row:
        return missing_column(slice_, offset, source.text_column, list(row) if tell_columns else [])
    return record_of(slice_, offset, row[source.text_column], source, row)


def _read_text(file: BinaryIO, slice_: Slice, source: TableSource) -> Iterator[Record]:
    if slice_.start:
        return
    raw = file.read(MAX_ROW_BYTES + 1)
    if len(raw) > MAX_ROW_BYTES:
        yield fate_of(slice_, 0, "row_too_large", f"over {MAX_ROW_BYTES} bytes")
        return
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        yield fate_of(
            slice_, 0, "not_decodable", f"byte {error.start} is not {error.encoding}; convert the file to UTF-8"
        )
        return
    yield record_of(slice_, 0, text, source, {})
