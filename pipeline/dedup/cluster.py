"""Cluster: edges -> clusters of documents, one survivor each.

Union-find (Tarjan 1975, "Efficiency of a good but not linear set union algorithm"; path halving: Tarjan, van Leeuwen
1984) over the documents that edges name, in the order of their ids. The root of a set is always its smallest member, so
the result depends neither on the order of edges nor on the cutting of documents into Parts.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.dedup.ids import id_pairs, ids_of, one_array
from pipeline.dedup.keys import signature_values, value_bytes
from pipeline.dedup.members import Members, gather_members
from pipeline.dedup.options import EXACT, URL, BestBy, DedupOptions
from pipeline.dedup.parts import Rows, SignedPart, gather
from pipeline.dedup.signatures import DTYPES
from pipeline.dedup.verify import jaccard_of_signatures
from pipeline.document import ID_TYPE
from pipeline.kernels import leaf

EXACT_DUPLICATE, URL_DUPLICATE, NEAR_DUPLICATE = "exact_duplicate", "url_duplicate", "near_duplicate"
EARLIER_DUPLICATE = "earlier_duplicate"

CLUSTERED = pa.schema(
    [
        pa.field("id", ID_TYPE, nullable=False),
        pa.field("cluster", ID_TYPE, nullable=False),
        pa.field("survivor", ID_TYPE, nullable=False),
        pa.field("size", pa.int32(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("similarity", pa.float32()),
        pa.field("part", pa.int32(), nullable=False),
    ]
)
"""One row for each document in a cluster of two or more. `cluster`: the cluster's smallest id. `survivor`: the document
that stays. `size`: documents in the cluster. `reason`: "" for the survivor; for others `exact_duplicate` if their text
is the survivor's, `url_duplicate` if their page is, else `near_duplicate`; `earlier_duplicate` for all if the survivor
is of an earlier version. `similarity`: of the text with the survivor's, 1 if they are equal, else the Jaccard
similarity of shingles as estimated from the signatures; null for the survivor, and where there are none. `part`: the
place of its Part."""

BLOCK_ROWS = 131_072
"""Documents that are compared with their survivors at a time."""

Ranks = Callable[[int, Rows], pa.Table]
"""Place of a Part, rows of it -> what the survivor rules read of them; see `cluster`."""


def cluster(
    edges: Callable[[], Iterable[pa.Table]], parts: Sequence[SignedPart], ranks: Ranks, options: DedupOptions
) -> pa.Table:
    """The clusters that `edges` make of documents, and their survivors.

    Args:
        edges: the tables of schema `pipeline.dedup.match.EDGES`, one at a time; they are read twice.
        parts: all documents.
        ranks: for rows of a Part that is of no earlier version, what the rules of `options.survivor` read:
            `source_rank` (integer, the source's place in the recipe) for "source", `n_chars` (integer) for "longest",
            `date` (string, ISO 8601 in UTC, compared as text; "" unknown) for "earliest" and "latest", and the measure
            of a `BestBy` by its name (NaN comes last).
        options: gives `survivor`, the rules that choose, in order. A document of an earlier version comes before all
            others; ties go to the smallest id.

    Returns:
        A table of schema `CLUSTERED`, by part and id; no document of an earlier version has a row.

    Memory: about 150 bytes for each document that an edge names, and one Part's ids.

    Raises:
        ValueError: an edge names an id that no Part has; a column that is needed is missing or holds nulls.
    """
    members = gather_members(edges(), parts)
    roots = np.arange(len(members.ids), dtype=np.int64)
    for table in edges():
        _join(roots, members.places(id_pairs(table, "a")), members.places(id_pairs(table, "b")))
    _flatten(roots)
    sizes = np.bincount(roots, minlength=len(roots))
    survivors = _survivors(roots, _all_ranks(members, ranks, options))
    order = _by_part(members)
    order = order[(sizes[roots[order]] > 1) | members.is_earlier[order]]
    reasons, similarities = _compared(members, parts, order, survivors[order], options)
    return pa.Table.from_arrays(
        [
            ids_of(members.ids[order]),
            ids_of(members.ids[roots[order]]),
            ids_of(members.ids[survivors[order]]),
            pa.array(sizes[roots[order]].astype(np.int32)),
            reasons,
            similarities,
            pa.array(members.part[order]),
        ],
        schema=CLUSTERED,
    )


def _survivors(roots: npt.NDArray[np.int64], ranks: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """The member that stays, for each member."""
    order = np.lexsort((np.arange(len(roots)), *reversed(ranks), roots))
    first = order[np.flatnonzero(np.diff(roots[order], prepend=-1))]
    survivor_of = np.zeros(len(roots), np.int64)
    survivor_of[roots[first]] = first
    survivors: npt.NDArray[np.int64] = survivor_of[roots]
    return survivors


def _all_ranks(members: Members, ranks: Ranks, options: DedupOptions) -> list[npt.NDArray[Any]]:
    """One array of numbers by member for each rule, smaller stays; before them one for earlier versions."""
    found = [(~members.is_earlier).astype(np.int64)]
    at = _by_part(members)
    if not len(at) or not options.survivor:
        return found
    by_part = np.split(at, np.flatnonzero(np.diff(members.part[at])) + 1)
    table = pa.concat_tables([ranks(int(members.part[here[0]]), members.row[here]) for here in by_part])
    for rule in options.survivor:
        values = _rank(table, rule)
        spread = np.zeros(len(members.ids), values.dtype)
        spread[at] = values
        found.append(spread)
    return found


def _by_part(members: Members) -> npt.NDArray[np.int64]:
    """The members that some Part has, by Part and row, and so by Part and id."""
    order: npt.NDArray[np.int64] = np.argsort(members.part.astype(np.int64) << 32 | members.row)  # a Part has < 2**32
    return order[members.part[order] >= 0]


def _rank(table: pa.Table, rule: str | BestBy) -> npt.NDArray[Any]:
    if isinstance(rule, BestBy):
        numbers = one_array(table, rule.measure).cast(pa.float64()).to_numpy(zero_copy_only=False)
        return np.asarray(-numbers if rule.prefer == "highest" else numbers)
    if rule == "source":
        return _integers(table, "source_rank")
    if rule == "longest":
        return -_integers(table, "n_chars")
    dates = pc.fill_null(one_array(table, "date"), "")
    ordered = "ascending" if rule == "earliest" else "descending"
    dense = pc.rank(dates, ordered, tiebreaker="dense").to_numpy().astype(np.int64)
    return np.where(pc.equal(dates, "").to_numpy(zero_copy_only=False), np.iinfo(np.int64).max, dense)


def _integers(table: pa.Table, name: str) -> npt.NDArray[np.int64]:
    values = one_array(table, name)
    if not pa.types.is_integer(values.type) or values.null_count:
        raise ValueError(
            f"column {name!r} holds {values.type} with {values.null_count} nulls; expected integers, no null"
        )
    return np.asarray(values.to_numpy(), np.int64)


def _compared(
    members: Members,
    parts: Sequence[SignedPart],
    rows: npt.NDArray[np.int64],
    survivors: npt.NDArray[np.int64],
    options: DedupOptions,
) -> tuple[pa.Array, pa.Array]:
    """Reasons and similarities of the members `rows`, whose survivors are the members `survivors`."""
    reasons, similarities = [pa.array([], pa.string())], [pa.array([], pa.float32())]
    for start in range(0, len(rows), BLOCK_ROWS):
        mine, theirs = rows[start : start + BLOCK_ROWS], survivors[start : start + BLOCK_ROWS]
        is_earlier = members.is_earlier[theirs]
        part = np.where(is_earlier, members.earlier_part[theirs], members.part[theirs])
        row = np.where(is_earlier, members.earlier_row[theirs], members.row[theirs])
        a = gather(parts, members.part[mine], members.row[mine], partial(_features, options=options))
        b = gather(parts, part, row, partial(_features, options=options))
        equal, same_page = (
            (a[name] == b[name]).all(axis=1) & a[f"has_{name}"] & b[f"has_{name}"] for name in (EXACT, URL)
        )
        said = np.where(equal, EXACT_DUPLICATE, np.where(same_page, URL_DUPLICATE, NEAR_DUPLICATE))
        said = np.where(is_earlier, EARLIER_DUPLICATE, np.where(mine == theirs, "", said))
        reasons.append(pa.array(said, pa.string()))
        alike = np.where(equal, np.float32(1), jaccard_of_signatures(a["signature"], b["signature"]))
        known = (equal | (a["has_signature"] & b["has_signature"])) & (is_earlier | (mine != theirs))
        similarities.append(pa.array(alike, pa.float32(), mask=~known))
    return pa.concat_arrays(reasons), pa.concat_arrays(similarities)


def _features(signed: pa.RecordBatch, rows: Rows, options: DedupOptions) -> npt.NDArray[np.void]:
    """What two documents are compared by, and whether they have it: a structured array."""
    n_values = options.bands * options.rows if options.near else 1
    kinds = {EXACT: (np.uint8, 16), URL: (np.uint8, 16), "signature": (DTYPES[options.scheme], n_values)}
    fields = [(name, *kind) for name, kind in kinds.items()] + [(f"has_{name}", np.bool_) for name in kinds]
    out = np.zeros(len(rows), np.dtype(fields))
    for name in kinds:
        if name in signed.schema.names:
            whole = signature_values(signed, options) if name == "signature" else value_bytes(signed, name, options)
            out[name] = whole[rows]
            out[f"has_{name}"] = one_array(signed, name).is_valid().to_numpy(zero_copy_only=False)[rows]
    return out


@leaf
def _root(parents: np.ndarray, i: int) -> int:
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i


@leaf
def _join(parents: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """Unite the sets of `a[i]` and `b[i]`; the smaller root stays root."""
    for i in range(len(a)):
        x, y = _root(parents, a[i]), _root(parents, b[i])
        if x < y:
            parents[y] = x
        elif y < x:
            parents[x] = y


@leaf
def _flatten(parents: np.ndarray) -> None:
    """Make every document point at its root. Parents are never larger than their children: one pass is enough."""
    for i in range(len(parents)):
        parents[i] = parents[parents[i]]
