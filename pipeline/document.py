"""A Document: its Arrow schema, its column names, its id.

Tables that pass from room to room are Arrow tables sorted by `id`. Text columns are `large_string` (64-bit offsets), so
that the kernels of `pipeline.text` meet one layout only.
"""

import hashlib
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

ID_BYTES = 16
ID_TYPE = pa.binary(ID_BYTES)

RAW_DOCUMENT = pa.schema(
    [
        pa.field("id", ID_TYPE, nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("canonical_url", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("date", pa.string(), nullable=False),
        pa.field("published", pa.string(), nullable=False),
        pa.field("licence", pa.string(), nullable=False),
        pa.field("declared_language", pa.string(), nullable=False),
        pa.field("extractor", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
    ]
)
"""What Extract writes. `offset`: byte offset of the archive record in its file as stored (compressed bytes for a
compressed archive), or the row number in a table. Other columns are "" if unknown. `date` (ISO 8601): when the record
was made, of a page when it was crawled. `canonical_url`, `published` (YYYY-MM-DD) and `declared_language` are what the
page says of itself; `extractor`: what made the text of a page."""

FATE = pa.schema(
    [
        pa.field("id", ID_TYPE, nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("fate", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)
"""One row for each archive record that did not become a document. `fate` is a bucket name such as `not_a_page`;
`detail` is a short explanation without any text of the page."""


DOCUMENT = pa.schema(
    [
        pa.field("id", ID_TYPE, nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("canonical_url", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("date", pa.string(), nullable=False),
        pa.field("published", pa.string(), nullable=False),
        pa.field("licence", pa.string(), nullable=False),
        pa.field("declared_language", pa.string(), nullable=False),
        pa.field("extractor", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("cluster", ID_TYPE, nullable=False),
        pa.field("cluster_size", pa.int32(), nullable=False),
        pa.field("hash", pa.binary(16), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
    ]
)
"""A clean document, as Select writes it. `cluster` is the smallest id of the document's cluster of duplicates (its own
id if it has none), `cluster_size` the number of documents in it, 1 for a single one; `hash` is the 128-bit BLAKE2b of
the text, which has personal data replaced."""

DECISION = pa.schema(
    [
        pa.field("id", ID_TYPE, nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("survivor", ID_TYPE, nullable=False),
        pa.field("cluster", ID_TYPE, nullable=False),
        pa.field("similarity", pa.float32()),
    ]
)
"""One row for every record read: `reason` is "" for a kept document, else its drop reason or fate; `survivor` is the
document that stays for a duplicate, else the record's own id; `cluster` as in DOCUMENT; `similarity`: how alike a
duplicate's text is to its survivor's, from 0 to 1, null where that is not known (see `pipeline.dedup.cluster`)."""

SIGNATURE_COLUMNS = ("source", "language")
"""What a version's signature files hold besides the columns of `pipeline.dedup.keys.signed_schema`."""


def document_id(source: str, path: str, offset: int) -> bytes:
    """The 16-byte id of the record at `offset` of `path` (relative to the source's root) in `source`.

    BLAKE2b with a 128-bit digest over length-prefixed fields, so that no two triples share an encoding.
    """
    name, where = source.encode(), path.encode("utf-8", "surrogateescape")
    packed = struct.pack("<I", len(name)) + name + struct.pack("<I", len(where)) + where + struct.pack("<q", offset)
    return hashlib.blake2b(packed, digest_size=ID_BYTES).digest()


def sorted_table(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """Rows (tuples in the order of `schema`, id first) as a table sorted by id. `rows` is sorted in place."""
    rows.sort(key=lambda row: row[0])
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)], schema=schema)


def one_array(column: pa.ChunkedArray | pa.Array, kind: pa.DataType) -> pa.Array:
    """A column as one array of type `kind`."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return whole if whole.type == kind else whole.cast(kind)


def fixed_bytes(values: pa.Array) -> npt.NDArray[np.uint8]:
    """The bytes of a FixedSizeBinary array: uint8, shape (n, width), read-only, without a copy.

    Raises:
        ValueError: the array has another type, or holds nulls.
    """
    if not pa.types.is_fixed_size_binary(values.type):
        raise ValueError(f"expected a column of fixed-size binary, found {values.type}")
    if values.null_count:
        raise ValueError(f"{values.null_count} of {len(values)} values are null")
    width, data = values.type.byte_width, values.buffers()[1]
    if len(values) == 0 or data is None:
        return np.zeros((len(values), width), np.uint8)
    return np.frombuffer(data, np.uint8, len(values) * width, values.offset * width).reshape(len(values), width)
