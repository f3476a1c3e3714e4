"""What became of the records: a summary, and for each source its fates, its Limits and its duplicates."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.card.escape import code, escape, number, share, table, warning
from pipeline.card.front_matter import largest_first
from pipeline.manifest import Manifest, by_source, total
from pipeline.measures import LOOK_PREFIX

DUPLICATES = ("exact_duplicate", "url_duplicate", "near_duplicate", "earlier_duplicate")
ON_REQUEST = ("removed_on_request", "copy_of_removed")
IF_FOUND = (*ON_REQUEST, "url_duplicate", "earlier_duplicate")
"""Reasons that are listed only where there is such a document: few recipes ask for them."""
AFTER_LIMITS = ("no_text_left", *ON_REQUEST, *DUPLICATES)
"""Reasons that come after the Limits, in the order of their Stages."""

SHOWN_KINDS = 50
"""Kinds of records, and reasons of datatrove's filters, listed for a source."""
SHOWN_BOUNDS = 3
"""Bounds of Limits of one name written out."""
SHOWN_SOURCES = 20
"""Sources whose records are followed one by one; the summary has all."""


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A Limit as the recipe states it: `keeps` says which values pass, as Markdown."""

    name: str
    keeps: str


def limits(recipe: Mapping[str, Any], source: str, counted: Container[str] = ()) -> list[LimitRow]:
    """The Limits of a resolved recipe (presets expanded) that apply to a source, in order.

    Limits of one name, which are for different languages, are one reason and so one row, which has the least and the
    greatest of more than SHOWN_BOUNDS. Of datatrove's classes those
    are filters, and so Limits, whose names are `counted`; the others are formatters.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for step in recipe.get("steps") or ():
        where = _where(step)
        is_filter = step.get("type") == "datatrove" and step.get("name") in counted
        if not is_filter and (step.get("type", "limit") != "limit" or "measure" not in step):
            continue
        if not where.get("source") or source in where["source"]:
            found.setdefault(str(step.get("name", "")), []).append(step)
    return [LimitRow(name, _all_keep(steps)) for name, steps in found.items()]


def _where(step: Mapping[str, Any]) -> Mapping[str, Any]:
    return step.get("where") or {}


def _all_keep(steps: list[Mapping[str, Any]]) -> str:
    """What Limits of one name let pass."""
    numbers = {side: [step[side] for step in steps if step.get(side) is not None] for side in ("min", "max")}
    sides = [side for side, values in numbers.items() if len(values) == len(steps)]
    if len(steps) <= SHOWN_BOUNDS or not sides or len({step["measure"] for step in steps}) > 1:
        return "; ".join(map(_keeps, steps))
    least, most = ({**steps[0], "where": {}, **{s: pick(numbers[s]) for s in sides}} for pick in (min, max))
    return f"by language, from {_keeps(least)} to {_keeps(most)}"


def _keeps(step: Mapping[str, Any]) -> str:
    where = _where(step)
    if "class" in step:
        return f"{code(step['class'])} keeps it{_only(where)}"
    at_most = escape("<") if step.get("exclusive") else "≤"
    low, high = step.get("min"), step.get("max")
    text = code(step["measure"])
    if low is not None:
        text = f"{_bound(low)} {at_most} {text}"
    if high is not None:
        text = f"{text} {at_most} {_bound(high)}"
    if step.get("one_of") is not None:
        text += " is " + " or ".join(code(v) for v in step["one_of"])
    return text + _only(where)


def _only(where: Mapping[str, Any]) -> str:
    languages = where.get("language")
    return ", only for language " + " or ".join(map(code, languages)) if languages else ""


def _bound(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else escape(value)


def of_source(manifest: Manifest, key: str, source: str) -> dict[str, int]:
    """A count of one source by name; empty if nothing was counted."""
    return dict(by_source(manifest.counts, key, source))


def count(manifest: Manifest, key: str, source: str) -> int:
    """A count of one source; by name, the sum."""
    return total(by_source(manifest.counts, key, source))


def funnels(manifest: Manifest) -> str:
    """The section `From records to documents`."""
    note = (
        "Each record ends in one place: it gives no document (its *fate* says why), or its document is dropped, for "
        "the first Limit it fails in the recipe's order or as a duplicate, or the document is kept."
    )
    legend = (
        "In the tables that follow, *dropped here* counts documents for which this is the first Limit failed, *fail "
        "only this* those that no other Limit would have dropped, *fail others, too* those that another would have "
        "dropped as well. *Bytes dropped* are bytes of UTF-8 of the text as extracted."
    )
    parts = [f"## From records to documents\n\n{note}", _summary(manifest), legend]
    if removals := manifest.counts.get("removals"):
        parts.insert(2, _removals(removals))
    shown = manifest.sources[:SHOWN_SOURCES]
    parts += [f"### Source {code(source)}\n\n{_funnel(manifest, source)}" for source in shown]
    if len(manifest.sources) > len(shown):
        n = number(len(manifest.sources) - len(shown))
        parts.append(f"{n} more sources are in the counts of {code('manifest.json')}.")
    return "\n\n".join(parts)


def _removals(counted: Mapping[str, int]) -> str:
    entries, matched = counted["entries"], counted["matched"]
    return (
        f"Removal on request: of {number(entries)} entries {number(matched)} name a document or more; the others name "
        "none of these records. What they name is neither in the dataset nor among the dropped texts."
    )


def _summary(manifest: Manifest) -> str:
    rows = []
    sums = [0] * 6
    for source in manifest.sources:
        dropped = of_source(manifest, "dropped", source)
        copies = sum(dropped.get(reason, 0) for reason in DUPLICATES)
        numbers = [
            count(manifest, "records", source),
            count(manifest, "fates", source),
            count(manifest, "extracted", source),
            sum(dropped.values()) - copies,
            copies,
            count(manifest, "documents", source),
        ]
        sums = [a + b for a, b in zip(sums, numbers, strict=True)]
        rows.append((code(source), *map(number, numbers), share(numbers[-1], numbers[0])))
    rows.append(("**all**", *map(number, sums), share(sums[-1], sums[0])))
    head = (
        "source",
        "records:",
        "no document:",
        "extracted:",
        "outside a Limit:",
        "duplicates:",
        "kept:",
        "kept of records:",
    )
    return table(head, rows)


def _funnel(manifest: Manifest, source: str) -> str:
    records, extracted, kept = (count(manifest, key, source) for key in ("records", "extracted", "documents"))
    fates, dropped = (of_source(manifest, key, source) for key in ("fates", "dropped"))
    decisions = _decisions_table(manifest, source, extracted, kept)
    kinds = _by_kind(manifest, source, "fate_kinds", ("fate of a record", "its kind", "records:"))
    looks = _looks(manifest, fates)
    parts = [_fates_table(records, fates, extracted), *filter(None, [looks, kinds]), decisions]
    if records != sum(fates.values()) + extracted or extracted != sum(dropped.values()) + kept:
        parts.insert(0, warning("These counts do not add up: some records have no fate, or more than one."))
    if rewritten := _rewritten(manifest, source):
        parts.append(rewritten)
    heads = ("step", "reason that its class gives", "documents:")
    if reasons := _by_kind(manifest, source, "filter_reasons", heads):
        parts.append(reasons)
    return "\n\n".join(parts)


def _fates_table(records: int, fates: Mapping[str, int], extracted: int) -> str:
    rows = [("**records read**", number(records), share(records, records))]
    rows += [(code(name), number(n), share(n, records)) for name, n in largest_first(fates).items()]
    rows.append(("**extracted**", number(extracted), share(extracted, records)))
    return table(("fate of a record", "records:", "share:"), rows)


def _looks(manifest: Manifest, fates: Mapping[str, int]) -> str:
    """What the looks ask of a page, where they dropped some."""
    if not any(fate.startswith(LOOK_PREFIX) for fate in fates):
        return ""
    looks = manifest.recipe["extract"]["looks"]
    asked = ", ".join(f"{code(LOOK_PREFIX + look['measure'])}: {_keeps(look)}" for look in looks)
    return f"A page is extracted only if what it shows, menus and all, is within these bounds. {asked}."


def _decisions_table(manifest: Manifest, source: str, extracted: int, kept: int) -> str:
    keys = ("dropped", "failed", "failed_alone", "dropped_bytes")
    dropped, failed, alone, n_bytes = (of_source(manifest, key, source) for key in keys)
    n_extracted = count(manifest, "extracted_bytes", source)
    rows = [("**extracted**", "", "", "", "", number(n_extracted), number(extracted))]
    left = extracted
    for name, keeps in _reasons(limits(manifest.recipe, source, failed), (*dropped, *failed)):
        n = dropped.get(name, 0)
        left -= n
        only = alone.get(name, 0)
        others = ("", "") if name in AFTER_LIMITS else (number(only), number(failed.get(name, 0) - only))
        rows.append((code(name), keeps, number(n), *others, number(n_bytes.get(name, 0)), number(left)))
    rows.append(("**kept**", "", "", "", "", number(n_extracted - sum(n_bytes.values())), number(kept)))
    head = (
        "reason",
        "a document passes if",
        "dropped here:",
        "fail only this:",
        "fail others, too:",
        "bytes dropped:",
        "documents left:",
    )
    return table(head, rows)


def _reasons(known: list[LimitRow], found: Iterable[str]) -> list[tuple[str, str]]:
    """Reasons in the order in which they are decided: the recipe's Limits, reasons the recipe does not spell out (by
    name), then those of the later Stages."""
    names, given = {row.name for row in known}, set(found)
    extra = sorted(given - names - set(AFTER_LIMITS))
    later = [(name, "") for name in AFTER_LIMITS if name not in names and (name in given or name not in IF_FOUND)]
    return [(row.name, row.keeps) for row in known] + [(name, "") for name in extra] + later


def _by_kind(manifest: Manifest, source: str, key: str, head: tuple[str, ...]) -> str:
    """A table of counts whose names are `WHAT: KIND`: kinds of records, and what datatrove's filters gave as reasons,
    each of them for every document that it was asked about."""
    found = of_source(manifest, key, source)
    if not found:
        return ""
    rows = [(*map(code, name.split(": ", 1)), number(n)) for name, n in sorted(found.items())[:SHOWN_KINDS]]
    more = count(manifest, f"distinct_{key}", source) - len(rows)
    note = f"\n\n{number(more)} more are not shown." if more > 0 else ""
    return table(head, rows) + note


def _rewritten(manifest: Manifest, source: str) -> str:
    before = count(manifest, "extracted_bytes", source) - count(manifest, "dropped_bytes", source)
    after = count(manifest, "utf8_bytes", source)
    if before == after:
        return ""
    has_classes = any(step.get("type") == "datatrove" for step in manifest.recipe.get("steps") or ())
    rules = "line rules, datatrove's classes" if has_classes else "line rules"
    return (
        f"The kept documents have {number(before)} bytes as extracted, and {number(after)} after "
        f"{rules} and the replacement of personal data."
    )
