"""Warnings about counts that a person does not expect: failed extraction, empty sources, a yield that has moved."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipeline.manifest import source_of, total
from pipeline.run.events import Warned

MAX_FAILURES = 0.02
"""Share of pages. Of 1,404 real pages from the test sets of extractors none failed with the default limits: more
means that time or memory are too tight on this machine, or that the input is not what it is taken for."""
MIN_RECORDS = 100
"""While a stage runs, shares of fewer records are not judged."""
MAX_CHANGE = 0.25
"""Of a yield or a mean, relative to the last version's. A choice: a quarter less data is worth a look before training
on it, and a smaller change is what edits of a recipe are made for."""
MIN_DEVIATIONS = 3.0
"""Standard errors of the difference of two shares: chance alone exceeds three in 0.3 % of comparisons, so that a small
test run does not warn of itself."""
MIN_DOCUMENTS = 1000
"""To compare tokens a document. Lengths of documents kept from those pages deviate by 1.6 times their mean, so the
means of 1000 differ by 7 % by chance (standard error), and MAX_CHANGE is 3.5 of that."""

Counts = Mapping[str, Any]


def _of(counts: Counts, key: str, source: str) -> int:
    return total(counts.get(key, {}).get(source, 0))


def failures(counts: Counts, min_pages: int = 1) -> Iterator[Warned]:
    """A warning for each source where more than MAX_FAILURES of at least `min_pages` pages failed to be extracted."""
    for source, fates in counts.get("fates", {}).items():
        failed = {fate: n for fate, n in fates.items() if fate.startswith("extract_")}
        n_failed = sum(failed.values())
        n_pages = _of(counts, "extracted", source) + n_failed + fates.get("no_text", 0)
        if n_failed > MAX_FAILURES * n_pages and n_pages >= min_pages:
            most = max(failed, key=failed.__getitem__)
            yield Warned(
                "extract_failures",
                source,
                f"{source}: extraction failed on {n_failed:,} of {n_pages:,} pages ({n_failed / n_pages:.1%}; "
                f"more than {MAX_FAILURES:.0%} is not usual), most often {most} ({failed[most]:,}); see the "
                "fates in the card, and `extract` in the recipe for the limits of time and memory",
            )


def unavailable(counts: Counts) -> Iterator[Warned]:
    """A warning for each source of which some files could not be had."""
    for source, fates in counts.get("fates", {}).items():
        if n := fates.get("file_unavailable"):
            yield Warned(
                "unavailable",
                source,
                f"{source}: {n:,} of its files could not be had and are left out (fate file_unavailable); run again to "
                "try them again",
            )


def empty(counts: Counts, sources: Iterable[str], of: str = "documents") -> Iterator[Warned]:
    """A warning for each source that gave nothing, with the most frequent reasons. `of`: documents or extracted."""
    for source in sources:
        records = _of(counts, "records", source)
        if not records:
            yield Warned("empty", source, f"{source}: its files hold no records; see its path in the recipe")
        elif not _of(counts, of, source):
            ends = {**counts.get("fates", {}).get(source, {}), **counts.get("dropped", {}).get(source, {})}
            most = sorted(ends.items(), key=lambda item: (-item[1], item[0]))[:3]
            why = ", ".join(f"{reason} {n:,}" for reason, n in most)
            yield Warned("empty", source, f"{source}: none of {records:,} records became a document ({why})")


def yields(now: Counts, last: Counts, of: str = "documents", min_records: int = 1) -> Iterator[Warned]:
    """A warning for each source whose share of records that became `of` (documents or extracted) is far from the last
    version's: by more than MAX_CHANGE of it and by more than MIN_DEVIATIONS standard errors (two-proportion z-test with
    pooled variance, e.g. Agresti, Categorical Data Analysis, section 3.1)."""
    for source in now.get("records", {}):
        n, before_n = _of(now, "records", source), _of(last, "records", source)
        if n < min_records or not n or not before_n:
            continue
        share, before = _of(now, of, source) / n, _of(last, of, source) / before_n
        pooled = (share * n + before * before_n) / (n + before_n)
        error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / before_n))
        if abs(share - before) > max(MAX_CHANGE * before, MIN_DEVIATIONS * error):
            yield Warned(
                "yield",
                source,
                f"{source}: {share:.1%} of {n:,} records were {'kept' if of == 'documents' else of}, in the last "
                f"version {before:.1%} of {before_n:,}{_moved(now, last, source)}; if the recipe was not changed for "
                "that, compare the two cards",
            )


def _moved(now: Counts, last: Counts, source: str) -> str:
    """The reason whose share of the records has changed most."""

    def shares(counts: Counts) -> dict[str, float]:
        ends = {**counts.get("fates", {}).get(source, {}), **counts.get("dropped", {}).get(source, {})}
        return {reason: n / _of(counts, "records", source) for reason, n in ends.items()}

    a, b = shares(now), shares(last)
    changes = sorted((-abs(a.get(r, 0) - b.get(r, 0)), r) for r in {*a, *b})
    if not changes or not changes[0][0]:
        return ""
    reason = changes[0][1]
    return f" (most changed: {reason}, {b.get(reason, 0):.1%} -> {a.get(reason, 0):.1%})"


def tokens(now: Mapping[str, Any], last: Mapping[str, Any]) -> Iterator[Warned]:
    """A warning for each source whose tokens a document are far from the last version's. Both are manifests as JSON."""
    means, before = _tokens_per_document(now), _tokens_per_document(last)
    for source in sorted(means.keys() & before.keys()):
        mean, old = means[source], before[source]
        if abs(mean - old) > MAX_CHANGE * old:
            yield Warned(
                "tokens",
                source,
                f"{source}: {mean:,.0f} tokens a document, in the last version {old:,.0f}; if neither tokenizer nor "
                "line rules were changed for that, look at documents/ of both",
            )


def _tokens_per_document(manifest: Mapping[str, Any]) -> dict[str, float]:
    sums: dict[str, tuple[int, int]] = {}
    for cell in manifest["cells"]:
        source = source_of(cell["cell"])
        tokens, documents = sums.get(source, (0, 0))
        sums[source] = (tokens + cell["tokens"], documents + cell["documents"])
    return {source: t / n for source, (t, n) in sorted(sums.items()) if n >= MIN_DOCUMENTS}
