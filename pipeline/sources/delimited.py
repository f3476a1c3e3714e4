"""Rows of CSV (RFC 4180) and TSV files as Records, read by the `csv` module a line at a time."""

import csv
from collections.abc import Iterator
from typing import BinaryIO

from pipeline.sources.options import TableSource
from pipeline.sources.record import Record, Slice
from pipeline.sources.rows import MAX_ROW_BYTES, fate_of, missing_column, no_column, other_columns, record_of

csv.field_size_limit(MAX_ROW_BYTES)


class _TooLargeError(Exception):
    """A row over `MAX_ROW_BYTES`."""


class _Lines:
    """Lines of a file for one `csv.reader` after another, with a bound on what a row may take.

    Bytes that are no UTF-8 become lone surrogates, so that they cost their row alone.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._row_bytes = 0
        self.number = 0
        """Lines given so far."""

    def begin_row(self) -> None:
        self._row_bytes = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_ROW_BYTES + 1)
        if not line:
            raise StopIteration
        self._row_bytes += len(line)
        if self._row_bytes > MAX_ROW_BYTES:
            while line and not line.endswith(b"\n"):
                line = self._file.readline(MAX_ROW_BYTES)
            self.number += 1
            raise _TooLargeError
        if self.number == 0:
            line = line.removeprefix(b"\xef\xbb\xbf")
        self.number += 1
        return line.decode("utf-8", "surrogateescape")


def read_delimited(file: BinaryIO, slice_: Slice, source: TableSource, delimiter: str) -> Iterator[Record]:
    """The rows behind the header, numbered from 0; blank lines are none. A row of another width is `bad_row`.

    A quotation mark that is never closed makes one row of all that follows; where that passes `MAX_ROW_BYTES`, the
    row is `row_too_large`, and reading goes on with the next line.

    Raises:
        SourceError: for a column that the recipe names and the header has not.
        EOFError, OSError, zlib.error: for damaged bytes.
    """
    lines = _Lines(file)
    names = _header(lines, slice_, delimiter)
    if names is None:
        return
    if isinstance(names, Record):
        yield names
        return
    if missing := [name for name in other_columns(source) if name not in names]:
        raise no_column(slice_, missing, names)
    for row, (line, fields) in enumerate(_rows(lines, delimiter)):
        where = f"line {line}"
        if isinstance(fields, Exception):
            fate = "row_too_large" if isinstance(fields, _TooLargeError) else "bad_row"
            yield fate_of(slice_, row, fate, f"{where}: {fields or f'over {MAX_ROW_BYTES} bytes'}")
        elif len(fields) != len(names):
            yield fate_of(slice_, row, "bad_row", f"{where}: {len(fields)} fields, the header has {len(names)}")
        else:
            yield _record(row, dict(zip(names, fields, strict=True)), where, slice_, source)


def _header(lines: _Lines, slice_: Slice, delimiter: str) -> list[str] | Record | None:
    for _, fields in _rows(lines, delimiter):
        if isinstance(fields, Exception):
            return fate_of(slice_, 0, "bad_row", "the first line names no columns")
        return fields
    return None


def _rows(lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str] | Exception]]:
    """Number of a row's first line, and its fields or why it has none."""
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        lines.begin_row()
        first = lines.number + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLargeError) as error:
            reader = csv.reader(lines, delimiter=delimiter)
            yield first, error
            continue
        if fields:
            yield first, fields


def _record(row: int, fields: dict[str, str], where: str, slice_: Slice, source: TableSource) -> Record:
    if source.text_column not in fields:
        return missing_column(slice_, row, source.text_column, list(fields) if row == 0 else [])
    text = fields[source.text_column]
    if _is_broken(text):
        return fate_of(slice_, row, "not_decodable", f"{where}: the text is not UTF-8", fields, source)
    return record_of(slice_, row, text, source, fields)


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
