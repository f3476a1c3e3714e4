"""The committed Parts that a version was made from, and how its recipe was written."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pipeline.files import MARKER, DamagedError, Marker, PartStore
from pipeline.recipe import Recipe
from pipeline.versions import WORK, VersionError

RUNS = "runs"


class GoneError(VersionError):
    """A version whose Parts, or some of them, have been removed."""


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """The Parts behind a version.

    `rows`: for each Extract Part, in the order of the plan, the keys of what was made from it, by stage (`extract`,
    `measure`, `judge`). `cluster`: key of the Cluster Part, whose file `clusters-<place in rows>.parquet` is of a row.
    """

    store: PartStore
    rows: tuple[Mapping[str, str], ...]
    cluster: str


def made_from(version: Path) -> MadeFrom:
    """The Parts of a version on a local disk that Limits were decided from; they are there when this returns.

    Raises:
        GoneError: if some are not, with what is gone and how to make it again.
    """
    folder = version.resolve()
    store = PartStore(str(folder.parent))
    described = described_by(folder, store)
    if described is None:
        raise GoneError(_advice(folder, f"no Parts of it lie in {folder.parent / WORK}"))
    cluster, selected, *_ = described.ingredients["inputs"]
    keys = [key for key in selected if store.is_done("select", key)]
    rows = tuple(store.marker("select", key).ingredients["inputs"][0] for key in keys)
    gone = {"select": len(selected) - len(keys), "cluster": int(not store.is_done("cluster", cluster))}
    gone |= {stage: sum(not store.is_done(stage, row[stage]) for row in rows) for stage in ("measure", "judge")}
    if any(gone.values()):
        counted = ", ".join(f"{n} of {stage}" for stage, n in gone.items() if n)
        raise GoneError(_advice(folder, f"of its Parts in {folder.parent / WORK} some are gone: {counted}"))
    return MadeFrom(store, rows, cluster)


def described_by(version: Path, store: PartStore) -> Marker | None:
    """The newest Describe marker that names the version, None if there is none."""
    found = (version.parent / WORK / "describe").glob(f"*/{MARKER}")
    for path in sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        try:
            marker = store.marker("describe", path.parent.name)
        except (FileNotFoundError, DamagedError):
            continue
        if marker.facts.get("version") == version.name:
            return marker
    return None


def _advice(version: Path, what: str) -> str:
    output = version.parent.parent
    return (
        f"{version}: {what} (`pipeline clean --all` removes them, and a copy of a version has none). Measures and "
        f"decisions are read from there. To make them again: pipeline drop {version.name} --output {output}, then "
        "`pipeline run` with its recipe, which reads the archives anew"
    )


def written_recipe(version: Path) -> tuple[str, Recipe] | None:
    """The newest run that made a version, and the recipe as it was written, presets not expanded; None if not known."""
    for path, run in _runs(version.resolve().parent / RUNS):
        if run.get("version") == version.resolve().name:
            try:
                return path.stem, Recipe.model_validate(run["recipe"])
            except (KeyError, ValidationError):  # of a program with other fields
                return None
    return None


def _runs(folder: Path) -> Iterator[tuple[Path, dict[str, object]]]:
    for path in sorted(folder.glob("*.json"), reverse=True):
        try:
            run = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(run, dict):
            yield path, run
