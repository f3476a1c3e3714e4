"""How many documents a line stands in: sorted runs of the lines of each Part, merged by ranges of hashes.

A line is known by 64 bits of its hash and scope: among ten thousand million different lines a given one is taken for
another with a chance of 1 in 1.8 thousand million. A document counts once for a line, however often it repeats it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.dedup.ids import id_pairs, ids_of
from pipeline.document import ID_TYPE
from pipeline.manifest import canonical_json

Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LINE_COUNTS: Final = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("n_documents", pa.int64(), nullable=False),
        pa.field("id", ID_TYPE, nullable=False),
        pa.field("line", pa.int64(), nullable=False),
    ]
)
"""Lines sorted by `key`, each once: how many documents hold it, the smallest id among them, and the number, from 0, of
the line there, the first if there are several. Of each scope one row counts its documents; its `line` is -1."""

MERGE_ROWS: Final = 1 << 23
"""Rows of runs merged at a time; in all they take about 1 GB. Bounds memory, changes no count."""

_LAST_KEY: Final = 2**64 - 1


class Scoped(NamedTuple):
    """Lines of documents within scopes.

    `keys`: uint64 [lines], 0 for what is not counted. `wholes`: uint64 [documents], the key that counts the documents
    of a document's scope, 0 if it has none. `ends`: int64 [documents + 1], as `pipeline.text.line_hashes.Lines` has it.
    """

    keys: Hashes
    wholes: Hashes
    ends: Ints


def scoped(hashes: Hashes, ends: Ints, group: Sequence[object], scopes: pa.StringArray) -> Scoped:
    """Lines with the scope of each document, of which null stands for none. `group` tells apart what is counted apart
    although its scopes have one name."""
    names = pc.dictionary_encode(scopes, null_encoding="encode")
    salts = np.array([_salt(group, name) for name in names.dictionary.to_pylist()], np.uint64)
    salt = salts[names.indices.to_numpy()] if len(salts) else np.zeros(len(scopes), np.uint64)
    of_line = np.repeat(salt, np.diff(ends))
    keys = np.where((hashes == 0) | (of_line == 0), 0, _mixed(hashes ^ of_line)).astype(np.uint64)
    return Scoped(keys, _mixed(salt), ends)  # a whole scope as if its hash were 0, which no line has


def _salt(group: Sequence[object], name: str | None) -> int:
    if name is None:
        return 0
    digest = hashlib.blake2b(canonical_json([*group, [name]]), digest_size=8, person=b"lines").digest()
    return int.from_bytes(digest, "little") or 1


def _mixed(keys: Hashes) -> Hashes:
    """`fmix64` of MurmurHash3 (Appleby, smhasher)."""
    keys = (keys ^ (keys >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    keys = (keys ^ (keys >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return keys ^ (keys >> np.uint64(33))


def count_lines(found: Iterable[Scoped], documents: pa.Table) -> pa.Table:
    """The run of a Part: LINE_COUNTS of its own documents.

    Args:
        found: the lines of the documents, once for each group of scopes.
        documents: the column `id`, ascending.

    Time: that of sorting 64-bit integers.
    """
    keys, rows, numbers = _joined(_rows_of(one) for one in found)
    order = np.argsort(keys, kind="stable")  # so that of equal keys the smallest id, and its first line, comes first
    keys, rows, numbers = keys[order], rows[order], numbers[order]
    is_new = np.ones(len(keys), np.bool_)
    is_new[1:] = keys[1:] != keys[:-1]
    is_document = is_new.copy()
    is_document[1:] |= rows[1:] != rows[:-1]
    starts = np.flatnonzero(is_new)
    n_documents = np.add.reduceat(is_document, starts, dtype=np.int64) if len(starts) else np.zeros(0, np.int64)
    ids = documents["id"].take(pa.array(rows[starts])).combine_chunks()
    return _table(keys[starts], n_documents, ids, numbers[starts])


def _rows_of(found: Scoped) -> tuple[Hashes, Ints, Ints]:
    """Keys, rows of the documents, and numbers of the lines in them, of all that counts."""
    documents = np.arange(len(found.ends) - 1)
    rows = np.repeat(documents, np.diff(found.ends))
    numbers = np.arange(len(rows)) - found.ends[rows]
    keys = np.concatenate([found.keys, found.wholes])
    counted = keys != 0
    numbers = np.concatenate([numbers, np.full(len(documents), -1)])
    return keys[counted], np.concatenate([rows, documents])[counted], numbers[counted]


def _joined(parts: Iterable[tuple[Hashes, Ints, Ints]]) -> tuple[Hashes, Ints, Ints]:
    columns = list(zip(*parts, strict=True)) or [(), (), ()]
    kinds = (np.uint64, np.int64, np.int64)
    keys, rows, numbers = (np.concatenate([np.zeros(0, k), *c]) for k, c in zip(kinds, columns, strict=True))
    return keys, rows, numbers


def _table(keys: Hashes, n_documents: Ints, ids: pa.FixedSizeBinaryArray, lines: Ints) -> pa.Table:
    return pa.Table.from_arrays([pa.array(keys), pa.array(n_documents), ids, pa.array(lines)], schema=LINE_COUNTS)


def key_ranges(n_rows: int, place: int, n_places: int) -> Iterator[tuple[int, int]]:
    """First and last key of pieces of the range `place` of `n_places` equal ones, so many that each holds about
    MERGE_ROWS of `n_rows`: keys are spread evenly."""
    n_pieces = max(1, -(-n_rows // (MERGE_ROWS * n_places)))
    bounds = [(_LAST_KEY + 1) * (place * n_pieces + i) // (n_places * n_pieces) for i in range(n_pieces + 1)]
    for low, high in pairwise(bounds):
        yield low, high - 1


def merge_lines(runs: Iterable[pa.Table]) -> pa.Table:
    """LINE_COUNTS of all lines that stand in two documents or more; the same for any order and cutting of documents.

    Args:
        runs: what `count_lines` gave for disjoint documents, or the rows of these with keys in one range.

    Memory: about 100 bytes for each row of the runs. Time: that of sorting them; a line costs one row for each run that
    holds it, however often it stands there.
    """
    counts = pa.concat_tables([LINE_COUNTS.empty_table(), *runs])
    keys, n_documents = counts["key"].to_numpy(), counts["n_documents"].to_numpy()
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    repeats = n_documents[order] > 1
    same = keys[1:] == keys[:-1]
    repeats[1:] |= same
    repeats[:-1] |= same
    counts, keys = counts.take(pa.array(order[repeats])), keys[repeats]
    pairs = id_pairs(counts, "id")
    order = np.lexsort((pairs[:, 1], pairs[:, 0], keys))
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, np.int64)
    sums = counts["n_documents"].to_numpy()[order]
    totals = np.add.reduceat(sums, starts) if len(starts) else np.zeros(0, np.int64)
    firsts = order[starts]
    return _table(keys[starts], totals, ids_of(pairs[firsts]), counts["line"].to_numpy()[firsts])


class Repeated(NamedTuple):
    """Of each line of some documents: `n_documents`, int64, that hold it (0 if it is not counted); `is_first`, bool,
    whether it is the first of several; `n_in_scope`, int64, how many documents the scope has."""

    n_documents: Ints
    is_first: Bools
    n_in_scope: Ints


def look_up(found: Scoped, documents: pa.Table, repeats: Iterable[pa.Table]) -> Repeated:
    """What is known of the lines of documents.

    Args:
        found: their lines.
        documents: the column `id`, in the order of `found`.
        repeats: what `merge_lines` gave, a range at a time. What is in none of them is held by one document.

    Memory: one of `repeats` and about 60 bytes a line. Time: one binary search a line and table.
    """
    counted = found.keys != 0
    n_documents, is_first = counted.astype(np.int64), np.zeros(len(counted), np.bool_)
    totals = (found.wholes != 0).astype(np.int64)
    rows = np.repeat(np.arange(len(found.wholes)), np.diff(found.ends))
    numbers = np.arange(len(rows)) - found.ends[rows]
    pairs = id_pairs(documents, "id")
    for table in repeats:
        keys, sums = table["key"].to_numpy(), table["n_documents"].to_numpy()
        at, here = _search(keys, found.wholes)
        totals[here] = sums[at]
        at, here = _search(keys, found.keys)
        n_documents[here] = sums[at]
        same = (id_pairs(table, "id")[at] == pairs[rows[here]]).all(axis=1)
        is_first[here] = same & (table["line"].to_numpy()[at] == numbers[here])
    return Repeated(n_documents, is_first, totals[rows])


def _search(keys: Hashes, wanted: Hashes) -> tuple[Ints, Ints]:
    """Places in the sorted `keys`, and in `wanted`, of what is in both."""
    if not len(keys):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    here = np.flatnonzero(keys[at] == wanted)  # never of a 0, which is not counted
    return at[here], here


def is_repeated(found: Repeated, min_documents: int, min_share: float, keeps_first: bool) -> Bools:
    """Which lines go: bool [lines]. `min_documents` is at least 2; `min_share` is of the documents of the scope."""
    many = found.n_documents >= min_documents
    return many & (found.n_documents >= min_share * found.n_in_scope) & ~(found.is_first & keeps_first)
