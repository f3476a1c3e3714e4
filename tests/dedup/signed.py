"""Documents with wished-for hashes and signatures, as the Parts that Match and Cluster read."""

import io
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.keys import keys_of, signature_column, signed_schema
from pipeline.dedup.match import KEY_SPACE, match
from pipeline.dedup.options import DedupOptions, band_names, needs_shingles
from pipeline.dedup.parts import SignedPart
from pipeline.dedup.signatures import DTYPES


def an_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def signed_table(documents: Iterable[Mapping[str, Any]], options: DedupOptions) -> pa.Table:
    """`documents`: mappings of id (number), exact (number), url (number or None), signature (numbers or None), shingles
    (numbers)."""
    rows = sorted(documents, key=lambda row: row["id"])
    dtype, width = DTYPES[options.scheme], options.bands * options.rows
    columns = {
        "id": pa.array([an_id(row["id"]) for row in rows], pa.binary(16)),
        "exact": pa.array([an_id(row.get("exact", row["id"])) for row in rows], pa.binary(16)),
        "url": pa.array([None if row.get("url") is None else an_id(row["url"]) for row in rows], pa.binary(16)),
    }
    if options.near:
        values = np.full((len(rows), width), np.iinfo(dtype).max, dtype)
        for place, row in enumerate(rows):
            if row.get("signature") is not None:
                values[place] = row["signature"]
        columns["signature"] = signature_column(values, options)
    if needs_shingles(options):
        kind = pa.large_list(pa.from_numpy_dtype(dtype))
        columns["shingles"] = pa.array([sorted(set(row.get("shingles", ()))) for row in rows], kind)
    schema = signed_schema(options)
    return pa.table({name: columns[name] for name in schema.names}).cast(schema)


def part_of(signed: pa.Table, options: DedupOptions, row_group_rows: int = 7, **fields: Any) -> SignedPart:
    batch = pa.RecordBatch.from_arrays([c.combine_chunks() for c in signed.columns], schema=signed.schema)
    file = io.BytesIO()
    pq.write_table(keys_of(signed, options), file, row_group_size=row_group_rows)
    return SignedPart(
        len(signed),
        lambda: nullcontext(batch),
        lambda rows: pq.read_table(file, filters=rows, use_threads=False),
        **fields,
    )


def all_edges(parts: list[SignedPart], options: DedupOptions, n_ranges: int = 1) -> list[pa.Table]:
    return [
        match(parts, band, (KEY_SPACE * i // n_ranges, KEY_SPACE * (i + 1) // n_ranges), options).edges
        for band in band_names(options)
        for i in range(n_ranges)
    ]


def pairs(edges: Iterable[pa.Table]) -> set[tuple[int, int]]:
    return {
        (int.from_bytes(a, "big"), int.from_bytes(b, "big"))
        for table in edges
        for a, b in zip(table["a"].to_pylist(), table["b"].to_pylist(), strict=True)
    }
