"""Adding up sorted word counts of any number of Parts in bounded memory: an external merge."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.text.words import WORD_COUNTS

FAN_IN: Final = 64
"""Runs that are merged at a time. Of each a table is in memory, 16,384 rows of a committed file: a megabyte."""

BLOCK_ROWS: Final = 16_384
"""Rows of a table of a run that is written aside."""

Run = Callable[[], Iterable[pa.Table]]
"""Gives tables of a schema like WORD_COUNTS, sorted by `word` within and among them, no word twice."""


def merge_counts(runs: Sequence[Run], scratch: Path) -> Iterator[pa.Table]:
    """The sum of sorted runs, as one: the same words and counts for any order and grouping of them.

    More than `FAN_IN` runs are first merged to longer ones, which are written below `scratch` and read once.

    Args:
        runs: integer columns beside `word` are added up.
        scratch: a folder on a local disk for at most twice what the runs hold, uncompressed.

    Memory: a table of each of `FAN_IN` runs, twice.

    Raises:
        ValueError: a table does not begin with the columns of WORD_COUNTS.
    """
    level = 0
    while len(runs) > FAN_IN:
        groups = [runs[i : i + FAN_IN] for i in range(0, len(runs), FAN_IN)]
        merged = (_merge([run() for run in group]) for group in groups)
        runs = [_aside(tables, scratch / f"{level}-{i}.arrow") for i, tables in enumerate(merged)]
        level += 1
    yield from _merge([run() for run in runs])


def _merge(runs: Iterable[Iterable[pa.Table]]) -> Iterator[pa.Table]:
    """All rows up to the least last word of the tables at hand are complete in them; then the next tables come in."""
    waiting = [(head, run) for run in map(iter, runs) if (head := _next(run)) is not None]
    while waiting:
        bound = min(head["word"][-1].as_py() for head, _ in waiting)
        complete, rest = [], []
        for head, run in waiting:
            end = _end(head["word"], bound)
            complete.append(head.slice(0, end))
            left: pa.Table | None = head.slice(end) if end < len(head) else _next(run)
            rest += [(left, run)] * (left is not None)
        yield _sum([table for table in complete if len(table)])
        waiting = rest


def _end(words: pa.ChunkedArray, bound: str) -> int:
    """How many of the sorted `words` are not above `bound`; strings compare as their bytes of UTF-8 do."""
    return bisect_right(range(len(words)), bound, key=lambda i: words[i].as_py())


def _next(run: Iterator[pa.Table]) -> pa.Table | None:
    """The next table that is not empty."""
    for table in run:
        if table.schema.names[:2] != WORD_COUNTS.names or table.schema.field(0).type != WORD_COUNTS.field(0).type:
            raise ValueError(f"expected the columns word (large_string) and count (int64), found {table.schema}")
        if len(table):
            return table
    return None


def _sum(tables: list[pa.Table]) -> pa.Table:
    if len(tables) == 1:
        return tables[0]
    # Arrow's group_by takes six times as long for tables of this size.
    rows = pa.concat_tables(tables).sort_by("word").combine_chunks()
    words = rows["word"].chunk(0)
    is_first = np.append(True, pc.not_equal(words[1:], words[:-1]).to_numpy(zero_copy_only=False))
    firsts = np.flatnonzero(is_first)
    sums = [pa.array(np.add.reduceat(column.to_numpy(), firsts)) for column in rows.columns[1:]]
    return pa.Table.from_arrays([words.take(pa.array(firsts)), *sums], schema=rows.schema)


def _aside(tables: Iterable[pa.Table], path: Path) -> Run:
    writer = None
    with pa.OSFile(str(path), "wb") as file:
        for table in tables:
            writer = writer or pa.ipc.new_stream(file, table.schema)
            writer.write_table(table, max_chunksize=BLOCK_ROWS)
        if writer is None:
            return tuple
        writer.close()
    return partial(_read, path)


def _read(path: Path) -> Iterator[pa.Table]:
    with pa.OSFile(str(path), "rb") as file, pa.ipc.open_stream(file) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])
    path.unlink()
