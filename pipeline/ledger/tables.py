"""Tables sorted by a 16-byte key: written in bounded memory, and looked into without being read.

A table is an Arrow IPC file of 2^k record batches; batch i holds the keys whose first k bits are i. Keys are hashes, so
batches are of about one size. A key is found in its batch by bisection of the memory-mapped file, which touches a few
pages of it whatever the table's size.
"""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.document import ID_BYTES, fixed_bytes, one_array
from pipeline.files import DamagedError

BATCH_ROWS = 1 << 18
"""Rows of a batch, at most about so many."""
SPILL_ROWS = 1 << 20
"""Rows held before they are sorted and put aside."""
PREFIXES = 256
"""Ranges of the key that are sorted one after another, each in memory."""


class Sorter:
    """Takes rows in any order and writes them sorted by their first column, which holds 16-byte keys.

    Rows of one key stay in the order in which they came. Memory: SPILL_ROWS, and a 256th of all rows. `scratch`: a
    local folder, for as much as the table has.
    """

    def __init__(self, schema: pa.Schema, scratch: Path, name: str) -> None:
        self.schema = schema
        self.rows = 0
        self._path = scratch / f"{name}.spilled"
        self._writer: Any = None
        self._spills = 0
        self._held: list[pa.Table] = []
        self._n_held = 0

    def add(self, table: pa.Table) -> None:
        """Add rows of the schema."""
        self._held.append(table)
        self._n_held += table.num_rows
        self.rows += table.num_rows
        if self._n_held >= SPILL_ROWS:
            self._spill()

    def _spill(self) -> None:
        """Put what is held aside: a batch for each prefix, sorted."""
        table = sorted_by_key(pa.concat_tables([self.schema.empty_table(), *self._held]))
        self._held, self._n_held = [], 0
        if self._writer is None:
            self._writer = pa.ipc.new_file(str(self._path), self.schema)
        first_bytes = _keys(table)[:, 0]
        ends = np.searchsorted(first_bytes, np.arange(1, PREFIXES + 1))
        start = 0
        for end in ends.tolist():
            self._writer.write_batch(_one_batch(table.slice(start, end - start), self.schema))
            start = end
        self._spills += 1

    def write(self, path: Path) -> None:
        """Write the table; the sorter takes no more rows."""
        self._spill()
        self._writer.close()
        bits = max(0, -(-self.rows // BATCH_ROWS) - 1).bit_length()
        with pa.ipc.new_file(str(path), self.schema) as out, pa.memory_map(str(self._path)) as spilled:
            reader = pa.ipc.open_file(spilled)
            joined = PREFIXES >> bits if bits < 8 else 1
            for first in range(0, PREFIXES, joined):
                places = (spill * PREFIXES + first + k for spill in range(self._spills) for k in range(joined))
                table = pa.Table.from_batches([reader.get_batch(place) for place in places], self.schema)
                for batch in _cut(sorted_by_key(table), bits, first):
                    out.write_batch(batch)
        self._path.unlink()


def _cut(table: pa.Table, bits: int, prefix: int) -> Iterator[pa.RecordBatch]:
    """The batches of a sorted range of keys: one, or several where a batch is for more than 8 bits."""
    if bits <= 8:
        yield _one_batch(table, table.schema)
        return
    keys = _keys(table)[:, :8].copy().view(">u8").reshape(-1)
    n = 1 << (bits - 8)
    starts = [((prefix << (bits - 8)) + i) << (64 - bits) for i in range(n)]
    places = [*np.searchsorted(keys, np.array(starts, ">u8")).tolist(), table.num_rows]
    for start, end in pairwise(places):
        yield _one_batch(table.slice(start, end - start), table.schema)


def sorted_by_key(table: pa.Table) -> pa.Table:
    """Rows by their first column; those of one key stay in their order."""
    pairs = np.ascontiguousarray(_keys(table)).view(">u8").astype(np.uint64).reshape(-1, 2)
    return table.take(pa.array(np.lexsort((pairs[:, 1], pairs[:, 0]))))


def _keys(table: pa.Table | pa.RecordBatch) -> npt.NDArray[np.uint8]:
    return fixed_bytes(one_array(table.column(0), table.schema.field(0).type))


def _one_batch(table: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [one_array(table[name], schema.field(name).type) for name in schema.names], schema=schema
    )


class SortedTable:
    """A table that `Sorter` wrote. `advice`: what to do if it is damaged.

    Raises:
        DamagedError: the file is no such table; also raised by what reads it.
    """

    def __init__(self, path: Path, schema: pa.Schema, advice: str) -> None:
        self.path, self._advice = path, advice
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(path)))
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from None
        self.n_batches: int = self._reader.num_record_batches
        if self._reader.schema != schema or self.n_batches & (self.n_batches - 1) or not self.n_batches:
            raise self._damaged("not the columns and batches of this table")

    def _damaged(self, what: object) -> DamagedError:
        return DamagedError(f"{self.path}: {what}; {self._advice}")

    def batch(self, number: int) -> pa.RecordBatch:
        """The rows of a range of keys."""
        try:
            return self._reader.get_batch(number)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, by key."""
        return (self.batch(number) for number in range(self.n_batches))

    def find(self, key: bytes) -> list[dict[str, Any]]:
        """The rows of a key, in order."""
        bits = self.n_batches.bit_length() - 1
        batch = self.batch(int.from_bytes(key) >> (8 * ID_BYTES - bits) if bits else 0)
        keys = _keys(batch)
        first = end = bisect_left(range(len(keys)), key, key=lambda row: keys[row].tobytes())
        while end < len(keys) and keys[end].tobytes() == key:
            end += 1
        try:
            rows: list[dict[str, Any]] = batch.slice(first, end - first).to_pylist()
        except (pa.ArrowException, ValueError, IndexError) as error:  # strings that are none
            raise self._damaged(error) from None
        return rows
