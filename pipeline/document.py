"""A Document: its Arrow schema, its column names, its id.

Tables that pass from room to room are Arrow tables sorted by `id`. Text columns are `large_string` (64-bit offsets), so
that the kernels of `pipeline.text` meet one layout only.
"""

import hashlib
import struct

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
        pa.field("title", pa.string(), nullable=False),
        pa.field("date", pa.string(), nullable=False),
        pa.field("licence", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
    ]
)
"""What Extract writes. `offset`: byte offset of the archive record in its file as stored (compressed bytes for a
compressed archive), or the row number in a table. `url`, `title`, `date` (ISO 8601) and `licence` are "" if unknown."""

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


def document_id(source: str, path: str, offset: int) -> bytes:
    """The 16-byte id of the record at `offset` of `path` (relative to the source's root) in `source`.

    BLAKE2b with a 128-bit digest over length-prefixed fields, so that no two triples share an encoding.
    """
    name, where = source.encode(), path.encode("utf-8", "surrogateescape")
    packed = struct.pack("<I", len(name)) + name + struct.pack("<I", len(where)) + where + struct.pack("<q", offset)
    return hashlib.blake2b(packed, digest_size=ID_BYTES).digest()
