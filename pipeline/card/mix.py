"""The mix by source and by language, planned and realised, and how long the documents are."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.card.escape import code, escape, number, ratio, share, table
from pipeline.card.front_matter import merged
from pipeline.card.funnel import count, of_source
from pipeline.manifest import Manifest, MixtureRow

SHOWN_LANGUAGES = 40


@dataclass(frozen=True, slots=True)
class Strand:
    """The documents of one source in one language. `part`: its share of the source's training tokens, of which the
    mixture takes `planned` and `realised` in all."""

    source: str
    language: str
    documents: int
    utf8_bytes: int
    tokens: int
    part: float
    planned: float
    realised: float
    tokens_read: int
    epochs: float


def planned(manifest: Manifest) -> list[MixtureRow]:
    """The plan of each source, largest realised share first; a source without any training row has none."""
    return sorted(manifest.mixture, key=lambda row: (-row.share, row.cell))


def strands(manifest: Manifest) -> list[Strand]:
    """By source and language, most tokens read first. A language is read as often as its source."""
    rows = []
    plans = {row.cell: row for row in manifest.mixture}
    for source in manifest.sources:
        plan = plans.get(source, MixtureRow(source, 0.0, 0.0, 0, 0, 0, 0.0))
        documents, n_bytes, train, validation = (
            of_source(manifest, key, source)
            for key in ("languages", "language_bytes", "train_tokens", "validation_tokens")
        )
        all_tokens = sum(train.values())
        for language in documents:
            part = train.get(language, 0) / all_tokens if all_tokens else 0.0
            rows.append(
                Strand(
                    source,
                    language,
                    documents[language],
                    n_bytes.get(language, 0),
                    train.get(language, 0) + validation.get(language, 0),
                    part,
                    plan.share_asked * part,
                    plan.share * part,
                    round(plan.tokens * part),
                    plan.epochs,
                )
            )
    return sorted(rows, key=lambda row: (-row.tokens_read, -row.documents, row.source, row.language))


def mix(manifest: Manifest) -> str:
    """The section `Mixture`."""
    options = manifest.recipe.get("mixture") or {}
    how = "by the recipe's weights" if options.get("weights") else "in natural proportions"
    note = (
        f"Sources are mixed {how}. *Planned* and *realised* are shares of the training tokens; *tokens packed* counts "
        "training and validation, *tokens read* what training reads when the mixture is followed once, *epochs* how "
        "often a source's training rows are then read."
    )
    parts = [f"## Mixture\n\n{note}", _by_source(manifest), _missed(manifest), _by_language(manifest)]
    return "\n\n".join(part for part in parts if part)


HEAD = ("planned:", "realised:", "documents:", "bytes:", "tokens packed:", "tokens read:", "epochs:")


def _by_source(manifest: Manifest) -> str:
    plans = planned(manifest)
    unplanned = [source for source in manifest.sources if source not in {row.cell for row in plans}]
    rows = []
    for source, plan in [*((row.cell, row) for row in plans), *((source, None) for source in unplanned)]:
        packed = sum(c.tokens for c in manifest.cells if c.cell == source)
        numbers = (count(manifest, "documents", source), count(manifest, "utf8_bytes", source), packed)
        shares = (share(plan.share_asked, 1), share(plan.share, 1)) if plan else ("–", "–")
        read = (number(plan.tokens), f"{plan.epochs:.2f}") if plan else ("–", "–")
        rows.append((code(source), *shares, *map(number, numbers), *read))
    sums = (
        sum(count(manifest, "documents", source) for source in manifest.sources),
        sum(count(manifest, "utf8_bytes", source) for source in manifest.sources),
        sum(c.tokens for c in manifest.cells),
        sum(row.tokens for row in plans),
    )
    rows.append(("**all**", "", "", *map(number, sums), ""))
    return table(("source", *HEAD), rows)


def _missed(manifest: Manifest) -> str:
    if not manifest.mixture:
        return ""
    off = max(abs(row.share - row.share_asked) for row in manifest.mixture)
    tolerance = (manifest.recipe.get("mixture") or {}).get("tolerance")
    allowed = f"; the build fails beyond {escape(f'{100 * tolerance:g}')}" if tolerance is not None else ""
    return f"Largest distance of a realised share from its plan: {100 * off:.2f} percentage points{allowed}."


def _by_language(manifest: Manifest) -> str:
    found = strands(manifest)
    shown, rest = found[:SHOWN_LANGUAGES], found[SHOWN_LANGUAGES:]
    rows = [(code(row.source), code(row.language) or "not determined", *_numbers([row])) for row in shown]
    if rest:
        rows.append((f"{number(len(rest))} more rows", "", *_numbers(rest)[:-1], ""))
    note = (
        "As the language identifier labelled them. The recipe weighs sources: a language's planned share is that of "
        "its source times its part of the source's training tokens, and it is read as often as its source."
    )
    text = table(("source", "language", *HEAD), rows) if rows else "No document was kept."
    return f"### By source and language\n\n{note}\n\n{text}"


def _numbers(rows: Sequence[Strand]) -> tuple[str, ...]:
    return (
        share(sum(row.planned for row in rows), 1),
        share(sum(row.realised for row in rows), 1),
        number(sum(row.documents for row in rows)),
        number(sum(row.utf8_bytes for row in rows)),
        number(sum(row.tokens for row in rows)),
        number(sum(row.tokens_read for row in rows)),
        f"{rows[0].epochs:.2f}",
    )


def languages(manifest: Manifest) -> str:
    """The section `Languages`: all sources together."""
    names = merged(manifest.counts.get("languages", {}))
    n_bytes, train, validation = (
        merged(manifest.counts.get(key, {})) for key in ("language_bytes", "train_tokens", "validation_tokens")
    )
    tokens = {name: train.get(name, 0) + validation.get(name, 0) for name in names}
    n_all, all_tokens = sum(names.values()), sum(tokens.values())
    shown, rest = list(names)[:SHOWN_LANGUAGES], list(names)[SHOWN_LANGUAGES:]
    groups = [(code(name) or "not determined", [name]) for name in shown]
    if rest:
        groups.append((f"{number(len(rest))} others", rest))
    rows = []
    for label, members in groups:
        n, size, packed = (sum(counts.get(name, 0) for name in members) for counts in (names, n_bytes, tokens))
        rows.append((label, number(n), share(n, n_all), number(size), number(packed), share(packed, all_tokens)))
    head = ("language", "documents:", "share:", "bytes:", "tokens packed:", "share of tokens:")
    text = table(head, rows) if rows else "No document was kept."
    return f"## Languages\n\nAs the language identifier labelled the kept documents, all sources together.\n\n{text}"


def length_bin(exponent: int) -> str:
    """The numbers of tokens that entry `exponent` of `document_tokens` counts."""
    return f"{number(1 << exponent)} to {number((2 << exponent) - 1)}"


def lengths(manifest: Manifest) -> str:
    """The section `Document lengths`."""
    rows = []
    for source in manifest.sources:
        bins = manifest.counts.get("document_tokens", {}).get(source) or []
        n = sum(bins)
        if not n:
            continue
        tokens = sum(c.tokens for c in manifest.cells if c.cell == source)
        middle = next(k for k in range(len(bins)) if 2 * sum(bins[: k + 1]) >= n)
        longest = max(k for k, found in enumerate(bins) if found)
        n_bytes = count(manifest, "utf8_bytes", source)
        rows.append((code(source), ratio(n_bytes, n), ratio(tokens, n), length_bin(middle), length_bin(longest)))
    head = ("source", "mean bytes:", "mean tokens:", "median tokens:", "most tokens:")
    note = "Tokens with the begin and end mark of each document; the median and the longest as the range they lie in."
    text = table(head, rows) if rows else "No document was kept."
    return f"## Document lengths\n\n{note}\n\n{text}"
