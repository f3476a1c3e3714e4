"""The markers of all Parts -> the counts, files and totals of a version."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline import manifest
from pipeline.files import PartStore
from pipeline.measures import measure_of
from pipeline.plan import Part

TOP_VALUES = 200
"""Domains, licences and reasons of filters listed by source: data may hold any number of them, and that is counted."""


class CountsError(Exception):
    """The counts of a run do not add up: a defect of the program, never of the data."""


def joined_counts(part: Part, store: PartStore) -> tuple[manifest.Counts, dict[str, Any], list[dict[str, Any]]]:
    """Counts, histograms and input digests of all Parts, summed; integers add up to the same in any order."""
    counts = manifest.Counts(store.marker("cluster", part.work["cluster"]).counts)
    inputs: list[dict[str, Any]] = []
    removals: list[dict[str, Any]] = []
    overlap = OverlapItems()
    for row in part.work["rows"]:
        markers = [store.marker(stage, row[stage]) for stage in ("extract", "measure", "judge", "select")]
        for marker in markers:
            counts.take(marker.counts)
            overlap.add(marker.label.split(":")[0], marker.facts)
        inputs += markers[0].facts["inputs"]
        removals += [marker.facts["removals"] for marker in markers if "removals" in marker.facts]
    for key in part.work["pack"]:
        counts.take(store.marker("pack", key).counts)
    if removals:
        found = {place for one in removals for place in one["found"]}
        counts["removals"] = {"entries": removals[0]["entries"], "matched": len(found)}
    overlap.count(counts)
    measured = counts.pop("histograms", {})
    edges = {name: list(measure.edges) for name in sorted(measured) if (measure := measure_of(name))}
    histograms = {name: {"edges": edges[name], "counts": measured[name]} for name in edges}
    return counts, histograms, inputs


class OverlapItems:
    """The benchmark items that Parts found: items of two Parts may be the same, so they are joined and then counted."""

    def __init__(self) -> None:
        self._benchmarks: dict[str, dict[str, int]] = {}
        self._items: dict[str, dict[tuple[str, str], set[int]]] = {"overlap_items": {}, "kept_overlap_items": {}}

    def add(self, source: str, facts: Mapping[str, Any]) -> None:
        """Add the facts of a Part's marker."""
        self._benchmarks |= facts.get("benchmarks", {})
        for key, found in self._items.items():
            for benchmark, items in facts.get(key, {}).items():
                found.setdefault((source, benchmark), set()).update(items)

    def count(self, counts: manifest.Counts) -> None:
        """Add the numbers of different items by source and benchmark, and each benchmark's own numbers."""
        for key, found in self._items.items():
            for (source, benchmark), items in found.items():
                counts.add(key, source, benchmark, n=len(items))
        for name, described in self._benchmarks.items():
            for key, n in described.items():
                counts.add("benchmarks", name, key, n=n)
            for key, found in self._items.items():
                items = set().union(*(items for (_, benchmark), items in found.items() if benchmark == name))
                counts.add("benchmarks", name, key, n=len(items))


def shortened(counts: manifest.Counts) -> manifest.Counts:
    """`counts` with the `TOP_VALUES` most frequent domains, licences, kinds of fates and filters' reasons of each
    source, and how many there were."""
    short = manifest.Counts(counts)
    for key, also in (("domains", ()), ("fate_kinds", ()), ("filter_reasons", ()), ("licences", ("licence_bytes",))):
        for source, names in counts.get(key, {}).items():
            largest = sorted(names, key=lambda name: (-names[name], name))[:TOP_VALUES]
            short[f"distinct_{key}"] = {**short.get(f"distinct_{key}", {}), source: len(names)}
            for listed in (key, *also):
                short[listed] = {**short[listed], source: {name: counts[listed][source][name] for name in largest}}
    return short


SUMS = (
    ("records", ("fates", "extracted")),
    ("extracted", ("dropped", "documents")),
    ("documents", ("languages",)),
    ("documents", ("licences",)),
    ("documents", ("years",)),
    ("documents", ("document_tokens",)),
    ("utf8_bytes", ("language_bytes",)),
    ("utf8_bytes", ("licence_bytes",)),
)
"""Counts of a source, and the counts that must add up to them."""


def check_sums(counts: Mapping[str, Any], cells: Iterable[manifest.CellTotals]) -> None:
    """Every record ends in exactly one bucket, and every document is packed.

    Raises:
        CountsError: naming the source and all numbers, if a sum is off.
    """

    def of(key: str, name: str) -> int:
        return manifest.total(counts.get(key, {}).get(name, 0))

    for name in counts["records"]:
        for whole, parts in SUMS:
            found = {part: of(part, name) for part in parts}
            if of(whole, name) != sum(found.values()):
                added = " + ".join(f"{n} {part}" for part, n in found.items())
                raise CountsError(f"{name}: {of(whole, name)} {whole}, but {added}")
    for cell in cells:
        if cell.tokens != (n := of(f"{cell.split}_tokens", cell.cell)):
            raise CountsError(f"{cell.cell}: {cell.tokens} {cell.split} tokens packed, but {n} by language")


def data_files(
    part: Part, store: PartStore, decisions: bool = True, signatures: bool = True
) -> tuple[list[manifest.DataFile], list[str]]:
    """The files of the version, and for each the committed file (relative to the store) that it is.

    `decisions`: with the row of every record that says what became of it; `signatures`: with what duplicates of the
    documents are found by.
    """
    files: list[manifest.DataFile] = []
    origins: list[str] = []
    taken: dict[str, int] = {}
    of_part: dict[str, list[str]] = {}  # key of a Select Part -> its documents and decisions

    def add(stage: str, key: str, name: str, folder: str, stem: str, kind: str, **fields: Any) -> None:
        committed = store.marker(stage, key).file(name)
        if committed.rows == 0 and kind != "tokenizer":
            return
        number = taken[f"{folder}/{stem}"] = taken.get(f"{folder}/{stem}", -1) + 1
        suffix = Path(name).suffix
        path = f"{folder}/{stem}{suffix}" if stem == "tokenizer" else f"{folder}/{stem}-{number:05d}{suffix}"
        files.append(
            manifest.DataFile(path, kind, sha256=committed.sha256, size=committed.size, rows=committed.rows, **fields)
        )
        origins.append(f"{stage}/{key}/{name}")
        if kind in ("documents", "decisions"):
            of_part.setdefault(key, []).append(path)

    for row in part.work["rows"]:
        source = store.marker("extract", row["extract"]).label.split(":")[0]
        add("select", row["select"], "documents.parquet", "documents", source, kind="documents", source=source)
        if decisions:
            add("select", row["select"], "decisions.parquet", "decisions", source, kind="decisions", source=source)
        if signatures:
            add("select", row["select"], "signatures.arrow", "signatures", source, kind="signatures", source=source)
    for key in part.work["dropped"]:
        source = store.marker("select", key).label.split(":")[0]
        add("select", key, "dropped.parquet", "dropped", source, kind="dropped", source=source)
    for file in store.marker("tokenizer", part.work["tokenizer"]).files:
        add("tokenizer", part.work["tokenizer"], file.name, "tokenizer", "tokenizer", kind="tokenizer")
    for key in part.work["pack"]:
        marker = store.marker("pack", key)
        made_from = tuple(path for select in marker.ingredients["inputs"][0] for path in of_part.get(select, ()))
        for file in marker.files:
            split, _, name = file.name.partition("-")
            cell = name.rpartition("-")[0]
            about = {"cell": cell, "split": split, "made_from": made_from}
            add("pack", key, file.name, f"shards/{split}", cell, kind="shard", **about)
    return files, origins


def cell_totals(part: Part, store: PartStore) -> list[manifest.CellTotals]:
    """What was packed, by Cell and split, summed over Parts."""
    totals: dict[tuple[str, str], manifest.Counts] = {}
    for key in part.work["pack"]:
        for cell in store.marker("pack", key).facts["cells"]:
            place = (cell["cell"], cell["split"])
            numbers = {k: v for k, v in cell.items() if k not in ("cell", "split")}
            totals[place] = totals.get(place, manifest.Counts()) + numbers
    return [manifest.CellTotals(cell=cell, split=split, **numbers) for (cell, split), numbers in totals.items()]
