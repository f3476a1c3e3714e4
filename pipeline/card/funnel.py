"""What became of the records: one table of fates and one of decisions for each source."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.card.escape import code, escape, number, share, table
from pipeline.card.front_matter import largest_first
from pipeline.manifest import Manifest

AFTER_LIMITS = ("no_text_left", "exact_duplicate", "near_duplicate")
"""Reasons that come after the Limits, in the order of their Stages."""


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A Limit as the recipe states it: `keeps` says which values pass, as Markdown."""

    name: str
    keeps: str
    sources: tuple[str, ...]


def limits(recipe: Mapping[str, Any]) -> list[LimitRow]:
    """The Limits of a resolved recipe (presets expanded), in order."""
    rows = []
    for step in recipe.get("steps") or ():
        if step.get("type", "limit") != "limit" or "measure" not in step:
            continue
        where = step.get("where") or {}
        rows.append(LimitRow(str(step.get("name", "")), _keeps(step, where), tuple(where.get("source") or ())))
    return rows


def _keeps(step: Mapping[str, Any], where: Mapping[str, Any]) -> str:
    at_most = escape("<") if step.get("exclusive") else "≤"
    low, high = step.get("min"), step.get("max")
    text = code(step["measure"])
    if low is not None:
        text = f"{_bound(low)} {at_most} {text}"
    if high is not None:
        text = f"{text} {at_most} {_bound(high)}"
    if step.get("one_of") is not None:
        text += " is " + " or ".join(code(v) for v in step["one_of"])
    if where.get("language"):
        text += ", only for language " + " or ".join(code(v) for v in where["language"])
    return text


def _bound(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else escape(value)


def funnel(manifest: Manifest, source: str) -> str:
    """The section of one source, without its heading."""
    counts = manifest.counts
    fates: Mapping[str, int] = counts.get("fates", {}).get(source, {})
    dropped: Mapping[str, int] = counts.get("dropped", {}).get(source, {})
    records, extracted, kept = (
        int(counts.get(key, {}).get(source, 0)) for key in ("records", "extracted", "documents")
    )
    known = [row for row in limits(manifest.recipe) if not row.sources or source in row.sources]
    parts = [
        _balance(records, sum(fates.values()), extracted, sum(dropped.values()), kept),
        _fates_table(records, fates, extracted),
        _decisions_table(counts, source, known, extracted, kept),
    ]
    return "\n\n".join(parts)


def _balance(records: int, fates: int, extracted: int, dropped: int, kept: int) -> str:
    whole = records == fates + extracted and extracted == dropped + kept
    lines = [
        f"- {number(records)} records read; {number(fates)} gave no document and {number(extracted)} were extracted",
        f"- {number(extracted)} documents extracted; {number(dropped)} were dropped and {number(kept)} kept",
    ]
    if not whole:
        lines += ["", "> [!WARNING]", "> These counts do not add up: some records have no fate, or more than one."]
    return "\n".join(lines)


def _fates_table(records: int, fates: Mapping[str, int], extracted: int) -> str:
    rows = [("**records read**", number(records), share(records, records))]
    rows += [(code(name), number(n), share(n, records)) for name, n in largest_first(fates).items()]
    rows.append(("**extracted**", number(extracted), share(extracted, records)))
    return table(("fate of a record", "records:", "share:"), rows)


def _decisions_table(counts: Mapping[str, Any], source: str, known: list[LimitRow], extracted: int, kept: int) -> str:
    dropped, failed, alone = (counts.get(key, {}).get(source, {}) for key in ("dropped", "failed", "failed_alone"))
    rows = [("**extracted**", "", "", "", "", number(extracted))]
    left = extracted
    for name, keeps in _reasons(known, (*dropped, *failed)):
        n = int(dropped.get(name, 0))
        left -= n
        others = ("", "") if name in AFTER_LIMITS else (number(failed.get(name, 0)), number(alone.get(name, 0)))
        rows.append((code(name), keeps, number(n), *others, number(left)))
    rows.append(("**kept**", "", "", "", "", number(kept)))
    return table(("reason", "a document passes if", "dropped here:", "fail it:", "fail only it:", "left:"), rows)


def _reasons(known: list[LimitRow], found: Iterable[str]) -> list[tuple[str, str]]:
    """Reasons in the order in which they are decided: the recipe's Limits, reasons the recipe does not spell out (by
    name), then those of the later Stages."""
    names = {row.name for row in known}
    extra = sorted(set(found) - names - set(AFTER_LIMITS))
    later = [(name, "") for name in AFTER_LIMITS if name not in names]
    return [(row.name, row.keeps) for row in known] + [(name, "") for name in extra] + later
