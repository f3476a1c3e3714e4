"""The whole story of one record of a version: from the archive to the rows of its shards.

The version's ledger says what became of a record; the Parts that it went through, as far as they are still there, say
what was measured on the way. Of each file one row group is read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline.ledger.layout import KEPT, NO_DOCUMENT, limits_of
from pipeline.ledger.read import Entry, Ledger, Piece
from pipeline.look.rows import rows_of
from pipeline.manifest import Manifest
from pipeline.measures import LOOK_PREFIX, QUALITY_PREFIX, VERDICT_PREFIX
from pipeline.versions import WORK

Outcome = Literal["passes", "fails", "not taken"]
Rows = list[dict[str, Any]]

PAGE_BOUNDS = {
    "page_bytes": ("min_page_bytes", "max_page_bytes", ("page_too_small", "page_too_large")),
    "page_tags": ("", "max_tags", ("page_too_many_tags",)),
    "page_depth": ("", "max_depth", ("page_too_deep",)),
}
"""Of what the first look counts: the fields of `extract` that bound it, and the fates of pages outside."""
DESCRIBED = ["title", "date", "licence", "declared_language", "extractor"]
DECIDED = ["source", "path", "offset", "url"]
SHOWN_WORDS = 8
"""Allowed words of a bound written out."""


@dataclass(frozen=True, slots=True)
class Check:
    """A look or a Limit that a record met: `value` of `measure` (None if it was not taken), and in words which values
    pass."""

    name: str
    measure: str
    value: float | str | None
    bounds: str
    outcome: Outcome


@dataclass(slots=True)
class Story:
    """What is known of a record.

    Ids are hexadecimal. `kind` and `reason` are those of its Bucket, `value` what put it there. `record`: source, path,
    offset and URL; `document`: what the page states; `scores`: language, and the quality models' opinions; each is
    empty if it is not known. `survivor_url` of a duplicate. `replaced`: pieces of personal data by kind. `missing`:
    what cannot be told and why, a sentence each.
    """

    id: str
    kind: str
    reason: str
    value: str
    record: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    looks: list[Check] = field(default_factory=list)
    scores: dict[str, float | str] = field(default_factory=dict)
    chars: dict[str, int] = field(default_factory=dict)
    limits: list[Check] = field(default_factory=list)
    cluster: str = ""
    cluster_size: int | None = None
    survivor: str = ""
    survivor_url: str = ""
    similarity: float | None = None
    replaced: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    pieces: list[Piece] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def story(folder: Path, described: Manifest, ledger: Ledger, entry: Entry) -> Story:
    """Tell of a record.

    Args:
        folder: a version on a local disk.
        described: its manifest.
        ledger: its ledger.
        entry: the record's.

    Raises:
        DamagedError, OSError: a file is not what was written.
    """
    parts = _Parts(folder, entry)
    told = Story(entry.id.hex(), entry.bucket.kind, entry.bucket.reason, entry.value)
    told.record = _decision(folder, ledger, entry, parts)
    _tell_extraction(told, described, parts)
    if entry.bucket.kind != NO_DOCUMENT:
        _tell_measures(told, described, entry, parts)
    _tell_cluster(told, folder, ledger, entry, parts)
    if entry.bucket.kind == KEPT:
        told.pieces = ledger.pieces(entry.id)
        told.tokens = max((piece.start + piece.n_tokens for piece in told.pieces), default=0)
        for row in parts.rows("select", "replacements.parquet", ["kind", "count"], is_always=False):
            told.replaced[row["kind"]] = row["count"]
    told.missing += parts.missing()
    if not told.record:
        told.missing.append("The version does not say which record this is (keep.fates is false).")
    return told


class _Parts:
    """The tables of one record's Parts; notes which are gone."""

    def __init__(self, folder: Path, entry: Entry) -> None:
        self.work = folder.resolve().parent / WORK
        self.entry = entry
        self.gone: dict[str, None] = {}

    def path(self, stage: str, name: str, key: str = "", *, is_always: bool = True) -> Path | None:
        """A file of the Part of a stage. `is_always`: every such Part has one."""
        found = self.work / stage / (key or self.entry.part.keys.get(stage, "-")) / name
        if found.is_file():
            return found
        if is_always or not found.parent.is_dir():
            self.gone[stage] = None
        return None

    def rows(self, stage: str, name: str, columns: Sequence[str], key: str = "", *, is_always: bool = True) -> Rows:
        """The record's rows of a table."""
        path = self.path(stage, name, key, is_always=is_always)
        return rows_of(path, self.entry.id, columns) if path else []

    def row(self, stage: str, name: str, columns: Sequence[str], key: str = "") -> dict[str, Any]:
        """The record's row; empty if there is none."""
        return next(iter(self.rows(stage, name, columns, key)), {})

    def missing(self) -> list[str]:
        """What is gone, in a sentence."""
        if not self.gone:
            return []
        what = ", ".join(self.gone)
        why = "(`pipeline clean --all` removes them, and a copy of a version has none)"
        return [f"Some Parts that this record went through are gone: {what} {why}. What they held is not told here."]


def _decision(folder: Path, ledger: Ledger, entry: Entry, parts: _Parts) -> dict[str, Any]:
    """Source, path, offset and URL of a record."""
    path: Path | None = folder / entry.part.decisions
    if not (entry.part.decisions and path and path.is_file()):
        path = parts.path("select", "decisions.parquet")
    if path is None:
        return {}
    found = rows_of(path, entry.id, DECIDED)
    if not found:
        raise ledger.damaged(f"record {entry.id.hex()} is not in {path}, where the index has it")
    return found[0]


def _tell_extraction(told: Story, described: Manifest, parts: _Parts) -> None:
    """The looks, and what the page states of itself."""
    if told.kind != NO_DOCUMENT:
        told.document = parts.row("extract", "documents.parquet", DESCRIBED)
    options = described.recipe["extract"]
    bounds = [] if options["looks"] == "off" else options["looks"]
    names = [*PAGE_BOUNDS, *(look["measure"] for look in bounds)]
    rows = parts.rows("extract", "looks.parquet", names, is_always=False)
    if not rows:
        return
    found = rows[0]
    for name, (low, high, fates) in PAGE_BOUNDS.items():
        limit = {"min": options.get(low) or None, "max": options.get(high)}
        told.looks.append(Check(name, name, found[name], _bounds(limit), "fails" if told.reason in fates else "passes"))
    for look in bounds:
        value = found[look["measure"]]
        fails = told.reason == LOOK_PREFIX + look["measure"] and told.kind == NO_DOCUMENT
        outcome: Outcome = "fails" if fails else "not taken" if value is None else "passes"
        told.looks.append(Check(LOOK_PREFIX + look["measure"], look["measure"], value, _bounds(look), outcome))


def _tell_measures(told: Story, described: Manifest, entry: Entry, parts: _Parts) -> None:
    """Languages and scores, and each Limit that is for the document."""
    limits = limits_of(described)
    scores = ["language", "language_score"]
    scores += [QUALITY_PREFIX + name for name in described.recipe.get("quality_models") or ()]
    chars = ["n_chars", "kept_n_chars"]
    names = dict.fromkeys([*scores, *chars, *(limit["measure"] for limit in limits)])
    found = parts.row("measure", "measures.parquet", list(names))
    judged = parts.row("judge", "decisions.parquet", ["failed"])
    if not found or not judged:
        return
    told.scores = {name: found[name] for name in scores}
    told.chars = {name: int(found[name]) for name in chars}
    for place, limit in enumerate(limits):
        if _is_for(limit.get("where") or {}, entry.part.source, found["language"]):
            value = found.get(limit["measure"])
            outcome: Outcome = "fails" if place in judged["failed"] else "passes"
            told.limits.append(Check(limit["name"], limit["measure"], value, _bounds(limit), outcome))


def _is_for(where: Mapping[str, Sequence[str]], source: str, language: str) -> bool:
    pairs = ((where.get("source"), source), (where.get("language"), language))
    return all(not names or name in names for names, name in pairs)


def _tell_cluster(told: Story, folder: Path, ledger: Ledger, entry: Entry, parts: _Parts) -> None:
    """Cluster and survivor, with the survivor's URL."""
    found = ledger.cluster(entry.id)
    told.cluster, told.survivor, told.similarity = found.cluster.hex(), found.survivor.hex(), found.similarity
    if entry.bucket.kind != NO_DOCUMENT and (key := ledger.contents.cluster):
        row = parts.row("cluster", f"clusters-{entry.place:05d}.parquet", ["size"], key)
        told.cluster_size = row.get("size", 1) if "cluster" not in parts.gone else None
    if found.survivor == entry.id:
        return
    if (survivor := ledger.entry(found.survivor)) is None:
        told.missing.append("The survivor is a document of an earlier version, which dedup.against names.")
    else:
        told.survivor_url = _decision(folder, ledger, survivor, _Parts(folder, survivor)).get("url", "")


def _bounds(limit: Mapping[str, Any]) -> str:
    """Which values pass, in words; "" if all do."""
    if str(limit.get("measure", "")).startswith(VERDICT_PREFIX):
        return f"no reason of {limit['class']}"
    if (words := limit.get("one_of")) is not None:
        return _one_of(words)
    low, high = ("above", "below") if limit.get("exclusive") else ("at least", "at most")
    sides = ((low, limit.get("min")), (high, limit.get("max")))
    return ", ".join(f"{word} {value:.12g}" for word, value in sides if value is not None)


def _one_of(words: Iterable[str]) -> str:
    words = list(words)
    more = f" or {len(words) - SHOWN_WORDS} more" if len(words) > SHOWN_WORDS else ""
    return " or ".join(words[:SHOWN_WORDS]) + more
