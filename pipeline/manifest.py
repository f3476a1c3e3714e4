"""Manifests: counts that add with `+`, the files of a version, and the hash that names it.

Standard library only, since the trainer reads manifests too. A manifest holds data files and deterministic counts;
times, hosts and costs belong to `runs/*.json`.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

FORMAT = "gristmill-dataset/1"
VERSION_DIGITS = 16


def canonical_json(value: Any) -> bytes:
    """The one byte string of a JSON value: sorted keys, no spaces, UTF-8, no NaN.

    Raises:
        ValueError: for NaN or infinity.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of `value`, in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


class Counts(dict[str, Any]):
    """A tree of integers, and of equally long lists of integers, that adds with `+`; a missing leaf counts as zero."""

    def __add__(self, other: Mapping[str, Any]) -> "Counts":
        return Counts(_add(self, other))

    def take(self, other: Mapping[str, Any]) -> None:
        """Add `other` here, in time that goes by its size alone. Its branches may become branches of this tree, so it
        is not to be used again."""
        _take(self, other)

    def add(self, *path: str, n: int = 1) -> None:
        """Add `n` to the leaf at `path`."""
        node: dict[str, Any] = self
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = node.get(path[-1], 0) + int(n)


def _take(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for name, value in other.items():
        found = into.get(name)
        if isinstance(found, dict) and isinstance(value, Mapping):
            _take(found, value)
        else:
            into[name] = value if name not in into else _add(found, value)


def _add(a: Any, b: Any) -> Any:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return {k: _add(a[k], b[k]) if k in a and k in b else a.get(k, b.get(k)) for k in {**a, **b}}
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [_add(x, y) for x, y in zip(a, b, strict=True)]
    if type(a) is int and type(b) is int:
        return a + b
    raise TypeError(f"counts of different shape do not add: {type(a).__name__} and {type(b).__name__}")


def by_source(counts: Mapping[str, Any], key: str, source: str) -> Any:
    """What `counts` has below `key` for `source`, {} if nothing: for counts by Cell, the sum over its Cells."""
    found = [node for name, node in counts.get(key, {}).items() if source_of(name) == source]
    return reduce(_add, found) if found else {}


def total(tree: Any) -> int:
    """The sum of all integers below `tree`."""
    if isinstance(tree, Mapping):
        return sum(total(v) for v in tree.values())
    return sum(total(v) for v in tree) if isinstance(tree, list) else int(tree)


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a version. `path` is relative to the version's folder; `made_from`, of a shard: the files of the
    version with its documents and their decisions."""

    path: str
    kind: str
    sha256: str
    size: int
    rows: int
    source: str = ""
    cell: str = ""
    split: str = ""
    made_from: tuple[str, ...] = ()


def source_of(cell: str) -> str:
    """The source of a Cell. A Cell is called like its source, or is a part of it: SOURCE.LANGUAGE, SOURCE.MEASURE-0."""
    return cell.partition(".")[0]


@dataclass(frozen=True, slots=True)
class CellTotals:
    """What was packed for one Cell and split: `rows` Sequences holding `tokens` tokens of `documents` documents, which
    have `utf8_bytes` bytes of text. A token that two pieces of a document share counts once."""

    cell: str
    split: str
    rows: int
    tokens: int
    documents: int
    utf8_bytes: int


@dataclass(frozen=True, slots=True)
class MixtureRow:
    """What is read of one Cell in one stretch of one phase: `rows` of its `rows_available` training Sequences, which
    hold about `tokens` tokens; `epochs` = rows / rows_available.

    `share_asked` and `share` are shares of the tokens of the whole plan, all phases together: what the recipe asks for
    (its normalised weights, natural proportions if it names none), and what `rows` give. `spread` is what
    `when_short: spread` adds to the share asked; negative for a Cell that is short. Training reads the stretches of a
    phase one after another, then the next phase; each goes on in a Cell where the one before stopped.
    """

    cell: str
    share_asked: float
    share: float
    rows: int
    rows_available: int
    tokens: int
    epochs: float
    spread: float = 0.0
    phase: int = 0
    stretch: int = 0


@dataclass(frozen=True, slots=True)
class Example:
    """The beginning of a document that was kept (`reason` is "") or dropped, personal data replaced.

    `id` in hexadecimal; `n_chars`: characters of the whole text."""

    source: str
    reason: str
    id: str
    language: str
    url: str
    title: str
    n_chars: int
    text: str


OFTEN_READ = 2.0
"""Epochs above which a Cell is warned of. Repeating text up to four times costs little against new text and pays less
and less beyond (Muennighoff et al. 2023, "Scaling Data-Constrained Language Models", arXiv 2305.16264, section 5); who
comes halfway should know it."""


def by_cell(mixture: Iterable[MixtureRow]) -> list[MixtureRow]:
    """The sums of all stretches, one row for each Cell, sorted by name; `phase` and `stretch` are 0."""
    found: dict[str, list[MixtureRow]] = {}
    for row in mixture:
        found.setdefault(row.cell, []).append(row)
    summed = ("share_asked", "share", "rows", "tokens", "epochs", "spread")
    return [
        replace(rows[0], phase=0, stretch=0, **{name: sum(getattr(row, name) for row in rows) for name in summed})
        for _, rows in sorted(found.items())
    ]


def by_phase(mixture: Sequence[MixtureRow]) -> list[list[MixtureRow]]:
    """`by_cell` of each phase, in order. Shares remain those of the whole plan."""
    return [by_cell(row for row in mixture if row.phase == phase) for phase in sorted({row.phase for row in mixture})]


def planned_share(row: MixtureRow, phase: Sequence[MixtureRow]) -> float:
    """The share of a Cell in the tokens of its phase that its rows were counted for."""
    return (row.share_asked + row.spread) / (sum(other.share_asked + other.spread for other in phase) or 1.0)


def realised_share(row: MixtureRow, phase: Sequence[MixtureRow]) -> float:
    """The share of a Cell in the tokens of its phase that its rows give."""
    return row.share / (sum(other.share for other in phase) or 1.0)


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that a version consists of.

    `sources`: names in the recipe's order, which a survivor rule may use. `recipe`: as resolved, presets written out.
    `counts`: a `Counts` tree, whose keys docs/architecture.md lists. `examples`: documents drawn by their ids, to be
    looked at.
    """

    name: str
    sources: list[str]
    recipe: dict[str, Any]
    libraries: dict[str, str]
    assets: dict[str, str]
    inputs: list[dict[str, Any]]
    files: list[DataFile]
    counts: dict[str, Any]
    histograms: dict[str, Any]
    tokenizer: dict[str, Any]
    packing: dict[str, Any]
    cells: list[CellTotals]
    mixture: list[MixtureRow]
    examples: list[Example] = field(default_factory=list)
    format: str = FORMAT

    def to_bytes(self) -> bytes:
        """The bytes of `manifest.json`."""
        return json.dumps(asdict(self), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"

    @property
    def version(self) -> str:
        """The version: the first 16 hexadecimal digits of the sha256 of `manifest.json`."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:VERSION_DIGITS]


class ManifestError(Exception):
    """A manifest that is missing, damaged or of another format."""


def load_manifest(folder: Path) -> Manifest:
    """Read `folder/manifest.json`.

    Raises:
        ManifestError: if the file is missing, is no JSON, has another format.
    """
    path = folder / "manifest.json"
    try:
        return read_manifest(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such file; a dataset version is a folder that holds manifest.json") from None


def read_manifest(raw: bytes, path: str) -> Manifest:
    """The Manifest of the file at `path` with the bytes `raw`. Raises ManifestError as `load_manifest`."""
    try:
        value = json.loads(raw)
    except ValueError as error:
        raise ManifestError(
            f"{path}: not JSON ({error}): damaged; remove its folder and run the recipe again"
        ) from None
    found = value.get("format") if isinstance(value, dict) else None
    if found != FORMAT:
        raise ManifestError(f"{path}: format is {found!r}, this program reads {FORMAT!r}")
    try:
        files = [DataFile(**f | {"made_from": tuple(f.get("made_from", ()))}) for f in value.pop("files")]
        cells = [CellTotals(**c) for c in value.pop("cells")]
        mixture = [MixtureRow(**m) for m in value.pop("mixture")]
        examples = [Example(**e) for e in value.pop("examples", ())]
        return Manifest(files=files, cells=cells, mixture=mixture, examples=examples, **value)
    except (KeyError, TypeError) as error:
        raise ManifestError(
            f"{path}: not the fields of {FORMAT} ({error}); was it written by another program?"
        ) from None
