"""What a dataset's folder holds beside its versions, sorted by who needs it. Reads markers only."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.files import MARKER, DamagedError, Marker, PartStore
from pipeline.plan import STAGES, Part
from pipeline.versions import MANIFEST, WORK

RUNS = "runs"
Name = tuple[str, str]
"""Stage and key of a Part."""


@dataclass(slots=True)
class Leftovers:
    """Folders of a dataset on a local disk.

    - `unneeded`: Parts that only dropped or replaced versions were made from, Parts that were never committed, and what
      a crash left aside.
    - `logs`: logs and job files of all runs but the newest.
    - `unfinished`: committed Parts that no version was made from yet.
    - `behind_versions`: Parts that the present versions were made from. No version needs them, but a run of a changed
      recipe starts from them.
    """

    unneeded: list[Path] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)
    unfinished: list[Path] = field(default_factory=list)
    behind_versions: list[Path] = field(default_factory=list)


def find(dataset: Path) -> Leftovers:
    """Sort what lies in `dataset`. The Describe Parts of present versions are in no list: they say that all is done."""
    store = PartStore(str(dataset))
    present, gone = _described(dataset, store)
    needed = {name for marker in present for name in lineage(store, marker)}
    was_needed = {name for marker in gone for name in lineage(store, marker)}
    present_keys = {marker.key for marker in present}
    found = Leftovers(unneeded=sorted(path for path in dataset.glob(".aside-*") if path.is_dir()))
    for stage in STAGES:
        for folder in sorted((dataset / WORK / stage).glob("*")):
            name = (stage, folder.name)
            if stage == "describe" and folder.name in present_keys:
                continue
            if name in needed:
                found.behind_versions.append(folder)
            elif name in was_needed or stage == "describe" or not (folder / MARKER).is_file():
                found.unneeded.append(folder)
            else:
                found.unfinished.append(folder)
    found.logs = sorted((dataset / WORK / RUNS).glob("*"))[:-1]
    return found


def _described(dataset: Path, store: PartStore) -> tuple[list[Marker], list[Marker]]:
    """Markers of Describe: of each present version the newest, and all others."""
    dated = sorted((dataset / WORK / "describe").glob(f"*/{MARKER}"), key=lambda path: (path.stat().st_mtime_ns, path))
    newest: dict[str, Marker] = {}
    rest: list[Marker] = []
    for path in dated:
        marker = _marker(store, "describe", path.parent.name)
        if marker is None:
            continue
        version = str(marker.facts.get("version"))
        if not (dataset / version / MANIFEST).is_file():
            rest.append(marker)
            continue
        rest += [newest[version]] if version in newest else []
        newest[version] = marker
    return list(newest.values()), rest


def _marker(store: PartStore, stage: str, key: str) -> Marker | None:
    try:
        return store.marker(stage, key)
    except (FileNotFoundError, DamagedError):
        return None


def lineage(store: PartStore, described: Marker | Part) -> Iterator[Name]:
    """Every Part that a version was made from, by the inputs in the markers (see `pipeline.plan`); `described`: of
    Describe, which is one of them."""
    cluster, selected, dropped, tokenizer, packed = described.ingredients["inputs"]
    yield "describe", described.key
    yield "cluster", cluster
    yield "tokenizer", tokenizer
    yield from (("pack", key) for key in packed)
    yield from (("select", key) for key in dropped)
    repeats: set[str] = set()
    for key in selected:
        yield "select", key
        row: dict[str, str] = next(iter(_inputs(store, "select", key)), {})
        yield from row.items()
        if "lines" in row and (measured := _marker(store, "measure", row["measure"])):
            repeats.update(measured.ingredients["inputs"][1:])
    yield from (("repeats", key) for key in repeats)
    _, matched, earlier = _inputs(store, "cluster", cluster) or ("", [], [])
    yield from (("match", key) for key in matched)
    yield from (("measure", key) for key in earlier)


def _inputs(store: PartStore, stage: str, key: str) -> list[Any]:
    """The inputs of a Part; none if it is gone."""
    marker = _marker(store, stage, key)
    return list(marker.ingredients["inputs"]) if marker else []
