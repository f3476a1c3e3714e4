"""Rows of JSONL, CSV, TSV, Parquet and Arrow files, and whole text and Markdown files, as Records.

A row that cannot become a document becomes a fate: `bad_json`, `bad_row` (CSV), `missing_text`, `text_not_string`,
`empty_text`, `not_decodable`, `row_too_large`, `bad_markup`. A damaged file gives its rows up to the damage, then one
`damaged_bytes`. Memory is bounded by one row, or by one batch of a columnar file, whatever the size of the file.
"""

import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from typing import BinaryIO

from pipeline.sources.columnar import read_arrow, read_parquet
from pipeline.sources.delimited import read_delimited
from pipeline.sources.opening import READ_BYTES, open_slice, unpacked
from pipeline.sources.options import TableSource
from pipeline.sources.record import Record, Slice, SourceError
from pipeline.sources.rows import ABSENT, MAX_ROW_BYTES, Unseen, damaged, fate_of, missing_column, record_of, value_in

TEXT_SUFFIXES = (".txt", ".md", ".markdown", ".tex", ".xml", ".nxml")
LINE_SUFFIXES = (".jsonl", ".ndjson")
ARROW_SUFFIXES = (".arrow", ".feather", ".ipc")

DELIMITERS = {".csv": ",", ".tsv": "\t"}
HEAD_BYTES = 20_000
"""Where a file is asked for its encoding."""
PACKED_SUFFIXES = (".gz", ".zst")

_LATIN_1 = re.compile(
    rb"(?:Character set encoding:|\\usepackage\[|<\?xml [^>]{0,80}encoding=.)\s*+(?:iso[ -]?8859-1|(?:iso )?latin-?1)",
    re.IGNORECASE,
)
"""How files of Project Gutenberg, LaTeX and XML say that they are in Latin-1."""

Reader = Callable[[BinaryIO, Slice, TableSource], Iterator[Record]]


def read_table(slice_: Slice, source: TableSource) -> Iterator[Record]:
    """Every row that begins in `slice_`, in order.

    `offset` is the byte offset of the line in plain JSONL, so that byte ranges are read independently; the number of
    the line in compressed JSONL; the number of the row in CSV, TSV, Parquet and Arrow; 0 for a text file. In Parquet
    a range holds whole row groups; files of other kinds belong whole to the range that begins at 0. Blank lines are no
    rows.

    Raises:
        SourceError: if the file cannot be opened, changed since it was listed, has an unknown ending, or has no column
            of a name that the recipe gives for URL, title, date or licence (JSONL: in no row of its first range).
    """
    reader = _reader_of(slice_)
    with closing(open_slice(slice_)) as file:
        yield from reader(file, slice_, source)


def _reader_of(slice_: Slice) -> Reader:
    path = slice_.path.lower()
    if path.endswith(LINE_SUFFIXES):
        return _read_plain_lines
    if path.endswith(tuple(f"{suffix}{packed}" for suffix in LINE_SUFFIXES for packed in PACKED_SUFFIXES)):
        return _read_packed_lines
    if path.endswith(tuple(f"{suffix}{packed}" for suffix in DELIMITERS for packed in ("", *PACKED_SUFFIXES))):
        return _read_delimited
    if path.endswith(".parquet"):
        return read_parquet
    if path.endswith(ARROW_SUFFIXES):
        return read_arrow
    if path.endswith(TEXT_SUFFIXES):
        return _read_text
    raise SourceError(f"sources.{slice_.source}: {slice_.path}: unknown kind of file")


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
        lines = unpacked(file, slice_.path)
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


def _read_delimited(file: BinaryIO, slice_: Slice, source: TableSource) -> Iterator[Record]:
    if slice_.start:
        return
    path = slice_.path.lower()
    delimiter = next(sign for suffix, sign in DELIMITERS.items() if suffix in path[-8:])
    row = 0
    try:
        rows = unpacked(file, path) if path.endswith(PACKED_SUFFIXES) else file
        for record in read_delimited(rows, slice_, source, delimiter):
            row = record.offset + 1
            yield record
    except (EOFError, OSError, zlib.error) as error:
        yield damaged(slice_, row, error)


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
    text = value_in(row, source.text_column)
    if text is ABSENT:
        return missing_column(slice_, offset, source.text_column, list(row) if tell_columns else [])
    return record_of(slice_, offset, text, source, row)


def _read_text(file: BinaryIO, slice_: Slice, source: TableSource) -> Iterator[Record]:
    if slice_.start:
        return
    raw = file.read(MAX_ROW_BYTES + 1)
    if len(raw) > MAX_ROW_BYTES:
        yield fate_of(slice_, 0, "row_too_large", f"over {MAX_ROW_BYTES} bytes")
        return
    try:
        latin_1 = source.markup != "plain" and _LATIN_1.search(raw[:HEAD_BYTES])
        utf = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        text = raw.decode("latin-1" if latin_1 else utf)
    except UnicodeDecodeError as error:
        yield fate_of(
            slice_, 0, "not_decodable", f"byte {error.start} is not {error.encoding}; convert the file to UTF-8"
        )
        return
    yield record_of(slice_, 0, text, source, {})
