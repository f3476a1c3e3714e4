"""Rows of Parquet and Arrow files as Records, a batch at a time."""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.sources.options import TableSource
from pipeline.sources.record import Record, Slice, SourceError
from pipeline.sources.rows import NotText, damaged, fate_of, missing_column, no_column, other_columns, record_of

BATCH_ROWS = 128
READ_BYTES = 1 << 20
DAMAGE = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError)
"""What pyarrow raises over damaged bytes. MemoryError: a length of many gigabytes that a flipped bit made."""
_BYTES_OF = {
    pa.string(): pa.binary(),
    pa.large_string(): pa.large_binary(),
    pa.string_view(): pa.binary_view(),
}


def read_parquet(file: BinaryIO, slice_: Slice, source: TableSource) -> Iterator[Record]:
    """The rows of the row groups that belong to `slice_`; of a damaged row group, those before the damage.

    A row group belongs to the range that holds its place in the file as counted in rows: `size * first_row // n_rows`.
    Its first byte would do as well, but pyarrow ends the process over damage in the metadata of columns.

    Raises:
        SourceError: for a column that the recipe names and the file has not, or has twice.
    """
    try:
        table = pq.ParquetFile(file, pre_buffer=False, buffer_size=READ_BYTES)
        names = table.schema_arrow.names
        group_rows = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
    except DAMAGE as error:
        if slice_.start == 0:
            yield damaged(slice_, 0, error)
        return
    wanted = _check_columns(slice_, source, table.schema_arrow)
    first, n_rows = 0, sum(group_rows)
    for group, in_group in enumerate(group_rows):
        place = slice_.size * first // max(1, n_rows)
        if slice_.start <= place < slice_.end and in_group:
            batches = table.iter_batches(BATCH_ROWS, row_groups=[group], columns=wanted, use_threads=False)
            yield from _rows(batches, first, names, slice_, source)
        first += in_group


def read_arrow(file: BinaryIO, slice_: Slice, source: TableSource) -> Iterator[Record]:
    """The rows of Arrow IPC in its file format or, as the `datasets` library writes it, its stream format.

    Raises:
        SourceError: for a column that the recipe names and the file has not, or has twice.
    """
    if slice_.start:
        return
    try:
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        reader = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
        names = reader.schema.names
    except DAMAGE as error:
        yield damaged(slice_, 0, error)
        return
    _check_columns(slice_, source, reader.schema)
    batches = (reader.get_batch(i) for i in range(reader.num_record_batches)) if is_file else reader
    yield from _rows(batches, 0, names, slice_, source)


def _check_columns(slice_: Slice, source: TableSource, schema: pa.Schema) -> list[str]:
    """The columns to read, of those that the file has."""
    names = schema.names
    wanted = list(dict.fromkeys([source.text_column, *other_columns(source)]))
    missing = [name for name in other_columns(source) if not _has(schema, name)]
    if missing:
        raise no_column(slice_, missing, names)
    twice = [name for name in wanted if names.count(name) > 1]
    if twice:
        raise SourceError(
            f"sources.{slice_.source}: {slice_.path} has more than one column {', '.join(twice)}; rename one"
        )
    return [name for name in wanted if _has(schema, name)]


def _has(schema: pa.Schema, name: str) -> bool:
    """Whether there is such a column, or, for a name with dots, such a field in nested ones."""
    if name in schema.names:
        return True
    outer, *inner = name.split(".")
    kind = schema.field(outer).type if schema.names.count(outer) == 1 else None
    for part in inner:
        if kind is None or not pa.types.is_struct(kind) or kind.get_field_index(part) < 0:
            return False
        kind = kind.field(part).type
    return kind is not None


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    if name in batch.schema.names:
        return batch.column(name)
    outer, *inner = name.split(".")
    column = batch.column(outer)
    column.validate(full=True)
    return pc.struct_field(column, inner)


def _rows(
    batches: Iterable[pa.RecordBatch], first: int, names: list[str], slice_: Slice, source: TableSource
) -> Iterator[Record]:
    """The rows of `batches` as Records; the first has the number `first`."""
    row = first
    try:
        for batch in batches:
            has_text = _has(batch.schema, source.text_column)
            for start in range(0, batch.num_rows, BATCH_ROWS):
                part = batch.slice(start, BATCH_ROWS)
                columns = {name: _values(_column(part, name)) for name in other_columns(source)}
                texts = _values(_column(part, source.text_column)) if has_text else [None] * part.num_rows
                for i, text in enumerate(texts):
                    fields = {name: _decode(values[i], "replace") for name, values in columns.items()}
                    if has_text:
                        yield _row(row, text, fields, slice_, source)
                    else:
                        yield missing_column(slice_, row, source.text_column, names if row == 0 else [])
                    row += 1
    except DAMAGE as error:
        yield damaged(slice_, row, error)


def _row(row: int, text: object, fields: dict[str, object], slice_: Slice, source: TableSource) -> Record:
    try:
        return record_of(slice_, row, _decode(text, "strict"), source, fields)
    except UnicodeDecodeError as error:
        return fate_of(slice_, row, "not_decodable", f"byte {error.start} of the text is not UTF-8", fields, source)


def _values(column: pa.Array) -> list[Any]:
    """A column's values: bytes for strings, `str` for dates, `int` for integers, `NotText` for others; None for null.

    Strings are looked at as bytes, since one value that is no UTF-8 must not cost the others, and are validated first,
    since a damaged file can hold offsets that lead anywhere.
    """
    if pa.types.is_dictionary(column.type):
        column.validate(full=True)
        column = column.dictionary_decode()
    kind = column.type
    if kind in _BYTES_OF:
        column = column.view(_BYTES_OF[kind])
    column.validate(full=True)
    if column.type in _BYTES_OF.values() or pa.types.is_integer(kind):
        return cast(list[Any], column.to_pylist())
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return [value and value.replace(" ", "T") for value in column.cast(pa.string()).to_pylist()]
    return [NotText(str(kind)) if is_valid else None for is_valid in column.is_valid().to_pylist()]


def _decode(value: object, errors: str) -> object:
    return value.decode("utf-8", errors) if isinstance(value, bytes) else value
