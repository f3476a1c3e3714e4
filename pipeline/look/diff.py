"""What is different between two versions: recipe, records, mixture, measures, and which documents came and went."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ledger.layout import DROPPED, KEPT, NO_DOCUMENT, Bucket
from pipeline.ledger.read import Ledger
from pipeline.manifest import Manifest, by_cell, by_source, total
from pipeline.plan import differences

EXAMPLES = 3
"""Ids named of the documents that came or went for one reason."""
NOT_READ = "not read"

Numbers = tuple[float, float]
"""Of the one version and of the other."""
Row = tuple[str, str, int, int]
"""Source, what is counted, and how many of it: of the one version and of the other."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Documents that only one version keeps, by what the other says of their records: `kind` and `reason` of its
    bucket, or NOT_READ. `examples`: ids, hexadecimal, the least first."""

    kind: str
    reason: str
    documents: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure of the extracted documents: about half of them are below each of `medians`; `moved` is the share of
    documents that would have to be in another bin of the histogram for the two to be equal."""

    name: str
    medians: Numbers
    moved: float


def recipe_changes(a: Manifest, b: Manifest) -> list[str]:
    """`field: old -> new` of each field of the recipes that differs, and of the libraries and assets."""
    pairs = (_by_name(a.recipe), _by_name(b.recipe))
    return [
        *differences(*pairs),
        *(f"libraries.{line}" for line in differences(a.libraries, b.libraries)),
        *(f"assets.{line}" for line in differences(a.assets, b.assets)),
    ]


def _by_name(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe with its steps by name, so that a Limit more or less moves no other."""
    steps: dict[str, Any] = {}
    for step in recipe.get("steps") or ():
        name = str(step.get("name") or step.get("rule") or step["type"])
        where = "".join(f" {value}" for values in (step.get("where") or {}).values() for value in values)
        label, number = f"{name}{where}", 2
        while label in steps:
            label, number = f"{name}{where} ({number})", number + 1
        steps[label] = step
    return {**recipe, "steps": steps}


def funnel(a: Manifest, b: Manifest) -> Iterator[Row]:
    """Source, what is counted, and both numbers: records, each fate, extracted, each drop reason, kept."""
    for source in dict.fromkeys([*a.sources, *b.sources]):
        yield _total("records", "records", source, a, b)
        yield from _by_reason("fates", source, a, b)
        yield _total("extracted", "extracted", source, a, b)
        yield from _by_reason("dropped", source, a, b)
        yield _total("documents", KEPT, source, a, b)


def _total(key: str, name: str, source: str, a: Manifest, b: Manifest) -> Row:
    return source, name, total(by_source(a.counts, key, source)), total(by_source(b.counts, key, source))


def _by_reason(key: str, source: str, a: Manifest, b: Manifest) -> Iterator[Row]:
    one, other = (dict(by_source(m.counts, key, source)) for m in (a, b))
    for reason in dict.fromkeys([*one, *other]):
        yield source, f"  {reason}", one.get(reason, 0), other.get(reason, 0)


def mix(a: Manifest, b: Manifest) -> Iterator[tuple[str, Numbers, Numbers]]:
    """Cell, tokens read of it, and its share of all tokens read."""
    one, other = ({row.cell: row for row in by_cell(m.mixture)} for m in (a, b))
    for cell in dict.fromkeys([*one, *other]):
        rows = [found.get(cell) for found in (one, other)]
        tokens, shares = ([getattr(row, name) if row else 0 for row in rows] for name in ("tokens", "share"))
        yield cell, (tokens[0], tokens[1]), (shares[0], shares[1])


def measures(a: Manifest, b: Manifest) -> list[Measured]:
    """Measures that both versions have and that differ, those that differ most first."""
    found = []
    for name in a.histograms.keys() & b.histograms.keys():
        one, other = a.histograms[name], b.histograms[name]
        if one["edges"] != other["edges"]:
            continue
        counts = [np.sum([*each["counts"].values()], axis=0) for each in (one, other)]
        shares = [n / max(1, n.sum()) for n in counts]
        if moved := float(np.abs(shares[0] - shares[1]).sum() / 2):
            medians = [_median(n, one["edges"]) for n in counts]
            found.append(Measured(name, (medians[0], medians[1]), moved))
    return sorted(found, key=lambda each: (-each.moved, each.name))


def _median(counts: npt.NDArray[Any], edges: Sequence[float]) -> float:
    """The upper edge of the bin that holds the median; of values beyond the last edge, that edge."""
    place = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
    return float(edges[min(place, len(edges) - 1)])


def moved(a: Ledger, b: Ledger) -> tuple[list[Moved], list[Moved]]:
    """Documents that entered, with what `a` says of them, and those that left, with what `b` says; the most first.

    Both ledgers are gone through once, in the order of ids; a range of ids is held at a time.
    """
    entered, left = _Tally(), _Tally()
    n = min(a.records.n_batches, b.records.n_batches)
    for place in range(n):
        one, other = (_range(ledger, place, n) for ledger in (a, b))
        entered.add(_kept(other, b), one, a.contents.buckets)
        left.add(_kept(one, a), other, b.contents.buckets)
    return entered.sorted(), left.sorted()


def _range(ledger: Ledger, place: int, n: int) -> pa.Table:
    """The records in range `place` of `n`."""
    each = ledger.records.n_batches // n
    table = pa.Table.from_batches([ledger.records.batch(place * each + k) for k in range(each)])
    if table.num_rows and pc.max(table["bucket"]).as_py() >= len(ledger.contents.buckets):
        raise ledger.damaged("a record is in a bucket that there is not")
    return table


def _kept(records: pa.Table, ledger: Ledger) -> pa.ChunkedArray:
    places = [place for place, bucket in enumerate(ledger.contents.buckets) if bucket.kind == KEPT]
    return records["id"].filter(pc.is_in(records["bucket"], value_set=pa.array(places, pa.uint16())))


class _Tally:
    """Counts documents by the bucket that the other version has for them."""

    def __init__(self) -> None:
        self._documents: Counter[Bucket] = Counter()
        self._examples: dict[Bucket, list[str]] = {}

    def add(self, ids: pa.ChunkedArray, others: pa.Table, buckets: Sequence[Bucket]) -> None:
        """Count `ids`, ascending, by their bucket among `others`; those that are kept there, too, not at all."""
        found = pc.fill_null(others["bucket"].cast(pa.int64()).take(pc.index_in(ids, others["id"])), -1).to_numpy()
        for value, n in zip(*(each.tolist() for each in np.unique(found, return_counts=True)), strict=True):
            bucket = buckets[value] if value >= 0 else Bucket(NOT_READ, "")
            if bucket.kind == KEPT:
                continue
            self._documents[bucket] += n
            known = self._examples.setdefault(bucket, [])
            if len(known) < EXAMPLES:
                first = np.flatnonzero(found == value)[: EXAMPLES - len(known)]
                known += [ids[int(row)].as_py().hex() for row in first]

    def sorted(self) -> list[Moved]:
        """The most documents first."""
        order = {kind: place for place, kind in enumerate((DROPPED, NO_DOCUMENT, NOT_READ))}
        found = sorted(self._documents.items(), key=lambda each: (-each[1], order[each[0].kind], each[0].reason))
        return [Moved(b.kind, b.reason, n, tuple(self._examples[b])) for b, n in found]


def changed(rows: Iterable[Row]) -> list[Row]:
    """The rows of a funnel whose numbers differ."""
    return [row for row in rows if row[2] != row[3]]
