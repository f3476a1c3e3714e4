"""The keys under which Match looks for duplicates: sorted runs of 64-bit hashes, one a Part.

A key is a hash of 64 bits of what has to be equal. Rows with equal keys are compared by the thing itself, so a chance
collision costs time, and never a document.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.dedup.ids import one_array
from pipeline.dedup.options import BAND_PREFIX, EXACT, URL, DedupOptions, band_names, needs_shingles
from pipeline.dedup.signatures import DTYPES, without_shingles
from pipeline.document import ID_TYPE, fixed_bytes
from pipeline.kernels import leaf
from pipeline.text.hashes import FNV_BASIS, fmix64, fnv_byte

KEYS = pa.schema(
    [
        pa.field("band", pa.int16(), nullable=False),
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("row", pa.uint32(), nullable=False),
    ]
)
"""Sorted by all columns. `band`: `band_code` of a name; `key`: hash of the value that must be equal; `row`: of the
document in the Part's signatures."""
_CODES: Mapping[str, int] = {EXACT: -2, URL: -1}


def band_code(name: str) -> int:
    """The number of a name of `band_names` in a table of KEYS."""
    return _CODES[name] if name in _CODES else int(name.removeprefix(BAND_PREFIX))


def signature_type(options: DedupOptions) -> pa.DataType:
    """The Arrow type of a signature: the little-endian bytes of its values."""
    return pa.binary(DTYPES[options.scheme].itemsize * options.bands * options.rows)


def signed_schema(options: DedupOptions) -> pa.Schema:
    """What is kept of a document to find its duplicates. `exact`: hash of the kept text; `url`: hash of the page's
    address, null without one; `signature`: null without shingles; `shingles`: their different hashes, ascending. Rows
    are sorted by id."""
    fields = [pa.field("id", ID_TYPE, nullable=False), pa.field("exact", pa.binary(16), nullable=False)]
    if options.url != "off":
        fields.append(pa.field("url", pa.binary(16)))
    if options.near:
        fields.append(pa.field("signature", signature_type(options)))
    if needs_shingles(options):
        fields.append(pa.field("shingles", pa.large_list(pa.from_numpy_dtype(DTYPES[options.scheme]))))
    return pa.schema(fields)


def signature_column(signatures: np.ndarray, options: DedupOptions) -> pa.Array:
    """Signatures, shape (n, bands * rows), as a column of `signature_type`.

    Raises:
        ValueError: `signatures` has another shape than the options say.
    """
    width = options.bands * options.rows
    if signatures.ndim != 2 or signatures.shape[1] != width:
        raise ValueError(f"expected signatures of shape (n, {width}), found {signatures.shape}")
    dtype = DTYPES[options.scheme].newbyteorder("<")
    empty = without_shingles(signatures)
    validity = pa.py_buffer(np.packbits(~empty, bitorder="little")) if empty.any() else None
    values = pa.py_buffer(signatures.astype(dtype, order="C", copy=False))
    return pa.Array.from_buffers(signature_type(options), len(signatures), [validity, values])


def signature_values(signed: pa.Table | pa.RecordBatch, options: DedupOptions) -> npt.NDArray[Any]:
    """Signatures as numbers, shape (n, bands * rows), without a copy; of documents without shingles, anything."""
    return _raw(signed, "signature").view(DTYPES[options.scheme].newbyteorder("<"))


def value_width(band: str, options: DedupOptions) -> int:
    """Bytes that must be equal under a key of `band`."""
    return 16 if band in _CODES else DTYPES[options.scheme].itemsize * options.rows


def value_bytes(signed: pa.Table | pa.RecordBatch, band: str, options: DedupOptions) -> npt.NDArray[np.uint8]:
    """The bytes that must be equal under a key of `band`, uint8 [n, width], without a copy; of a null, anything."""
    if band in _CODES:
        return _raw(signed, band)
    start = band_code(band) * (width := value_width(band, options))
    return _raw(signed, "signature")[:, start : start + width]


def _raw(signed: pa.Table | pa.RecordBatch, name: str) -> npt.NDArray[np.uint8]:
    column = one_array(signed, name)
    if column.null_count:
        column = pa.Array.from_buffers(column.type, len(column), [None, column.buffers()[1]], offset=column.offset)
    return fixed_bytes(column)


def keys_of(signed: pa.Table, options: DedupOptions) -> pa.Table:
    """The sorted run of a Part's documents: a table of KEYS, from one of `signed_schema`."""
    tables = []
    for name in band_names(options):
        column = one_array(signed, name if name in _CODES else "signature")
        values = value_bytes(signed, name, options)
        hashes = np.empty(len(values), np.uint64)
        _hash_rows(np.ascontiguousarray(values), hashes)
        rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False)).astype(np.uint32)
        order = np.argsort(hashes[rows], kind="stable")
        bands = np.full(len(rows), band_code(name), np.int16)
        tables.append(pa.Table.from_arrays([bands, hashes[rows[order]], rows[order]], schema=KEYS))
    return pa.concat_tables([KEYS.empty_table(), *tables])


@leaf
def _hash_rows(raw: np.ndarray, out: np.ndarray) -> None:
    """FNV-1a, finished by `fmix64`, so that keys fill their range evenly."""
    for row in range(len(raw)):
        h = FNV_BASIS
        for byte in raw[row]:
            h = fnv_byte(h, byte)
        out[row] = fmix64(h)
