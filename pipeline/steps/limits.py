"""Judge: measures of documents -> which Limits each one fails."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.document import ID_TYPE
from pipeline.steps.options import Limit, Where

Bools = npt.NDArray[np.bool_]

JUDGED: Final = pa.schema(
    [
        pa.field("id", ID_TYPE, nullable=False),
        pa.field("drop_reason", pa.string(), nullable=False),
        pa.field("failed", pa.list_(pa.field("item", pa.uint16(), nullable=False)), nullable=False),
    ]
)
"""What `judge` returns. `drop_reason`: name of the first failed Limit, "" if none; `failed`: the places of all failed
Limits in the list of Limits, ascending."""


def judge(table: pa.Table, limits: tuple[Limit, ...]) -> pa.Table:
    """Hold each document against each Limit.

    Args:
        table: columns `id`, each Limit's measure, and `source` or `language` where a Limit's `where` names some.
        limits: in the order of the recipe.

    Returns:
        A table of schema JUDGED, rows in the order of `table`. A measure that is null or NaN fails its Limit.

    Raises:
        ValueError: a column is missing.
    """
    failed = np.zeros((table.num_rows, len(limits)), np.bool_)
    for k, limit in enumerate(limits):
        failed[:, k] = applies(table, limit.where, f"limit {limit.name!r}") & ~_passes(table, limit)
    _rows, places = np.nonzero(failed)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(failed.sum(axis=1))]).astype(np.int32)
    names = np.array(["", *(limit.name for limit in limits)], object)
    any_failed = failed.any(axis=1)
    first = np.where(any_failed, failed.argmax(axis=1) + 1, 0) if len(limits) else np.zeros(table.num_rows, np.int64)
    lists = pa.ListArray.from_arrays(
        pa.array(ends), pa.array(places.astype(np.uint16)), type=JUDGED.field("failed").type
    )
    ids = _column(table, "id", "the table").cast(ID_TYPE)
    return pa.table([ids, pa.array(names[first], pa.string()), lists], schema=JUDGED)


def _column(table: pa.Table, name: str, wanted_by: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise ValueError(f"no column {name!r}, which {wanted_by} needs; the table has {', '.join(table.column_names)}")
    return table.column(name)


def _is_in(column: pa.ChunkedArray, values: tuple[str, ...]) -> Bools:
    """Which rows hold one of `values`; nulls do not."""
    found = pc.is_in(column, value_set=pa.array(values, column.type))
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)


def applies(table: pa.Table, where: Where, wanted_by: str) -> Bools:
    """The rows of `table` that a step is for: bool [rows]. `wanted_by` names the step in errors.

    Raises:
        ValueError: if `where` speaks of `source` or `language` and the table has no such column.
    """
    rows = np.ones(table.num_rows, np.bool_)
    for column, values in (("source", where.source), ("language", where.language)):
        if values:
            rows &= _is_in(_column(table, column, f"`where` of {wanted_by}"), values)
    return rows


def _passes(table: pa.Table, limit: Limit) -> Bools:
    """The rows whose measure is known and within the Limit."""
    column = _column(table, limit.measure, f"limit {limit.name!r}")
    if limit.one_of is not None:
        return _is_in(column, limit.one_of)
    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    passed = ~np.isnan(values)
    if limit.min is not None:
        passed &= values > limit.min if limit.exclusive else values >= limit.min
    if limit.max is not None:
        passed &= values < limit.max if limit.exclusive else values <= limit.max
    return np.asarray(passed, np.bool_)
