"""The markers of all Parts -> the counts, files and totals of a version."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import manifest
from pipeline.files import PartStore
from pipeline.measures import MEASURES
from pipeline.plan import Part

TOP_DOMAINS = 200  # domains listed by source; the number of all is counted


class CountsError(Exception):
    """The counts of a run do not add up: a defect of the program, never of the data."""


def joined_counts(part: Part, store: PartStore) -> tuple[manifest.Counts, dict[str, Any], list[dict[str, Any]]]:
    """Counts, histograms and input digests of all Parts, summed; integers add up to the same in any order."""
    counts = manifest.Counts(store.marker("cluster", part.work["cluster"]).counts)
    inputs: list[dict[str, Any]] = []
    for row in part.work["rows"]:
        markers = [store.marker(stage, row[stage]) for stage in ("extract", "measure", "judge", "select")]
        for marker in markers:
            counts = counts + marker.counts
        inputs += markers[0].facts["inputs"]
    measured = counts.pop("histograms", {})
    histograms = {name: {"edges": list(MEASURES[name].edges), "counts": by} for name, by in sorted(measured.items())}
    for name, hosts in counts.get("domains", {}).items():
        counts.setdefault("distinct_domains", {})[name] = len(hosts)
        largest = sorted(hosts.items(), key=lambda item: (-item[1], item[0]))[:TOP_DOMAINS]
        counts["domains"][name] = dict(largest)
    return counts, histograms, inputs


def check_sums(counts: Mapping[str, Any]) -> None:
    """Every record ends in exactly one bucket.

    Raises:
        CountsError: naming the source and both numbers, if a sum is off.
    """
    for name, records in counts["records"].items():
        fates, dropped = (manifest.total(counts.get(k, {}).get(name, {})) for k in ("fates", "dropped"))
        extracted, kept = (counts.get(k, {}).get(name, 0) for k in ("extracted", "documents"))
        if records != fates + extracted:
            raise CountsError(f"{name}: {records} records, but {fates} fates + {extracted} extracted documents")
        if extracted != dropped + kept:
            raise CountsError(f"{name}: {extracted} extracted documents, but {dropped} dropped + {kept} kept")


def data_files(part: Part, store: PartStore) -> tuple[list[manifest.DataFile], list[str]]:
    """The files of the version, and for each the committed file (relative to the store) that it is."""
    files: list[manifest.DataFile] = []
    origins: list[str] = []
    taken: dict[str, int] = {}

    def add(stage: str, key: str, name: str, folder: str, stem: str, **fields: Any) -> None:
        committed = store.marker(stage, key).file(name)
        if committed.rows == 0 and not name.endswith(".model"):
            return
        number = taken[f"{folder}/{stem}"] = taken.get(f"{folder}/{stem}", -1) + 1
        suffix = Path(name).suffix
        path = f"{folder}/{stem}{suffix}" if stem == "tokenizer" else f"{folder}/{stem}-{number:05d}{suffix}"
        files.append(
            manifest.DataFile(path, sha256=committed.sha256, size=committed.size, rows=committed.rows, **fields)
        )
        origins.append(f"{stage}/{key}/{name}")

    for row in part.work["rows"]:
        source = store.marker("extract", row["extract"]).label.split(":")[0]
        add("select", row["select"], "documents.parquet", "documents", source, kind="documents", source=source)
        add("select", row["select"], "decisions.parquet", "decisions", source, kind="decisions", source=source)
    add("tokenizer", part.work["tokenizer"], "tokenizer.model", "tokenizer", "tokenizer", kind="tokenizer")
    for key in part.work["pack"]:
        marker = store.marker("pack", key)
        cell = marker.facts["cells"][0]["cell"]
        for file in marker.files:
            split = file.name.split("-")[0]
            add("pack", key, file.name, f"shards/{split}", cell, kind="shard", cell=cell, split=split)
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
