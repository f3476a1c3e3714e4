"""Rows of a table sorted by id, one row group read. Needs no pyarrow.compute, so that a look-up stays quick."""

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.document import ID_TYPE, fixed_bytes, one_array


def rows_of(path: Path, key: bytes, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a local Parquet file, sorted by `id`, that have the id `key`; of `columns` those that the file has.

    Raises:
        OSError: a page is not what its checksum says.
    """
    found: list[dict[str, Any]] = []
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        place = file.schema_arrow.get_field_index("id")
        for group in range(file.metadata.num_row_groups):
            statistics = file.metadata.row_group(group).column(place).statistics
            if statistics is not None and statistics.has_min_max and not statistics.min <= key <= statistics.max:
                continue
            ids = fixed_bytes(one_array(file.read_row_group(group, columns=["id"], use_threads=False)["id"], ID_TYPE))
            first = end = bisect_left(ids.view("V16").reshape(-1), key, key=bytes)
            while end < len(ids) and ids[end].tobytes() == key:
                end += 1
            if end > first:
                table = file.read_row_group(group, columns=list(columns), use_threads=False)
                found += table.slice(first, end - first).to_pylist()
    return found
