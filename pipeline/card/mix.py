"""The mix by source and by language, planned and realised, and how long the documents are."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.card.escape import code, escape, number, ratio, share, table, warning
from pipeline.card.front_matter import merged
from pipeline.card.funnel import count, of_source
from pipeline.manifest import (
    OFTEN_READ,
    Manifest,
    MixtureRow,
    by_cell,
    by_phase,
    planned_share,
    realised_share,
    source_of,
)

SHOWN_LANGUAGES = 40


@dataclass(frozen=True, slots=True)
class Strand:
    """The documents of one source in one language, of which the mixture takes `planned` and `realised` in all."""

    source: str
    language: str
    documents: int
    utf8_bytes: int
    tokens: int
    planned: float
    realised: float
    tokens_read: int
    epochs: float


def planned(manifest: Manifest) -> list[MixtureRow]:
    """What is read of each Cell in all, largest realised share first; a Cell without any training row has none."""
    return sorted(by_cell(manifest.mixture), key=lambda row: (-row.share, row.cell))


def strands(manifest: Manifest) -> list[Strand]:
    """By source and language, most tokens read first. A language is read as often as the Cells that it is in."""
    rows = []
    plans = by_cell(manifest.mixture)
    train: dict[str, dict[str, int]] = {c.cell: manifest.counts.get("train_tokens", {}).get(c.cell, {}) for c in plans}
    for source in manifest.sources:
        own = [row for row in plans if source_of(row.cell) == source]
        documents, n_bytes, in_train, validation = (
            of_source(manifest, key, source)
            for key in ("languages", "language_bytes", "train_tokens", "validation_tokens")
        )
        for language in documents:
            tokens = {row.cell: train[row.cell].get(language, 0) for row in own}
            parts = {row.cell: tokens[row.cell] / (sum(train[row.cell].values()) or 1) for row in own}
            weights = tokens if sum(tokens.values()) else dict.fromkeys(tokens, 1)
            rows.append(
                Strand(
                    source,
                    language,
                    documents[language],
                    n_bytes.get(language, 0),
                    in_train.get(language, 0) + validation.get(language, 0),
                    sum((row.share_asked + row.spread) * parts[row.cell] for row in own),
                    sum(row.share * parts[row.cell] for row in own),
                    round(sum(row.tokens * parts[row.cell] for row in own)),
                    sum(row.epochs * weights[row.cell] for row in own) / (sum(weights.values()) or 1),
                )
            )
    return sorted(rows, key=lambda row: (-row.tokens_read, -row.documents, row.source, row.language))


HOW = {
    "token_targets": "by the recipe's token targets",
    "weights": "by the recipe's weights",
    "alpha": "in proportion to their size to a power (`alpha`)",
    "unimax": "evenly, up to `max_epochs` (UniMax)",
}
"""Field of the recipe's mixture -> what it makes."""


def mix(manifest: Manifest) -> str:
    """The section `Mixture`."""
    options = manifest.recipe.get("mixture") or {}
    how = next((words for field, words in HOW.items() if options.get(field)), "in natural proportions")
    what = "Cells" if any("." in row.cell for row in manifest.mixture) else "Sources"
    note = (
        f"{what} are mixed {how}. *Planned* and *realised* are shares of the training tokens; *tokens packed* counts "
        "training and validation, *tokens read* what training reads when the mixture is followed once, *epochs* how "
        "often a source's training rows are then read."
    )
    parts = [f"## Mixture\n\n{note}", _all_phases(manifest), _missed(manifest), _short(manifest), _often(manifest)]
    return "\n\n".join(part for part in (*parts, _by_phase(manifest), _by_language(manifest)) if part)


HEAD = ("planned:", "realised:", "documents:", "bytes:", "tokens packed:", "tokens read:", "epochs:")


def _all_phases(manifest: Manifest) -> str:
    plans = planned(manifest)
    mixed = {row.cell for row in plans} | {source_of(row.cell) for row in plans}
    rows = []
    for cell, plan in [*((row.cell, row) for row in plans), *((s, None) for s in manifest.sources if s not in mixed)]:
        own = [c for c in manifest.cells if c.cell == cell]
        numbers = (sum(getattr(c, name) for c in own) for name in ("documents", "utf8_bytes", "tokens"))
        shares = (share(plan.share_asked + plan.spread, 1), share(plan.share, 1)) if plan else ("–", "–")
        read = (number(plan.tokens), f"{plan.epochs:.2f}") if plan else ("–", "–")
        rows.append((code(cell), *shares, *map(number, numbers), *read))
    sums = (sum(getattr(c, name) for c in manifest.cells) for name in ("documents", "utf8_bytes", "tokens"))
    rows.append(("**all**", "", "", *map(number, sums), number(sum(row.tokens for row in plans)), ""))
    return table(("Cell" if any("." in row.cell for row in plans) else "source", *HEAD), rows)


def _missed(manifest: Manifest) -> str:
    if not manifest.mixture:
        return ""
    phases = by_phase(manifest.mixture)
    off = max(abs(realised_share(row, phase) - planned_share(row, phase)) for phase in phases for row in phase)
    tolerance = (manifest.recipe.get("mixture") or {}).get("tolerance")
    allowed = f"; the build fails beyond {escape(f'{100 * tolerance:g}')}" if tolerance is not None else ""
    return f"Largest distance of a realised share from its plan: {100 * off:.2f} percentage points{allowed}."


def _short(manifest: Manifest) -> str:
    """Which Cells have less than the recipe asks for, where it wants that spread over the others."""
    short = [row for row in planned(manifest) if row.spread < 0]
    asked = ", ".join(f"{code(row.cell)} ({share(row.share_asked, 1)})" for row in short)
    return f"The recipe asks for more than there is of {asked}; the rest is spread over the others." if short else ""


def _often(manifest: Manifest) -> str:
    """A warning of Cells that are read often."""
    often = ", ".join(
        f"{code(row.cell)} {row.epochs:.2f} times" for row in planned(manifest) if row.epochs > OFTEN_READ
    )
    advice = "repeated text pays less each time, and little beyond four (Muennighoff et al. 2023, arXiv 2305.16264)"
    return warning(f"Read more than {OFTEN_READ:g} times: {often}; {advice}.") if often else ""


def _by_phase(manifest: Manifest) -> str:
    phases = by_phase(manifest.mixture)
    orders = _orders(manifest)
    if len(phases) < 2 and not any(orders):
        return ""
    whole, rows = sum(row.share for row in by_cell(manifest.mixture)), []
    for place, phase in enumerate(phases):
        label = f"{place + 1}: {share(sum(row.share for row in phase), whole)} of the tokens" + (
            f", {orders[place]}" if orders[place] else ""
        )
        for row in sorted(phase, key=lambda row: (-row.share, row.cell)):
            shares = (share(planned_share(row, phase), 1), share(realised_share(row, phase), 1))
            if row.rows or row.share_asked:
                rows.append((label, code(row.cell), *shares, number(row.tokens), f"{row.epochs:.2f}"))
                label = ""
    note = (
        "Phases follow each other; in each a Cell is read on from where the one before stopped. Shares are those of "
        "the phase's tokens."
    )
    text = table(("phase", "Cell", "planned:", "realised:", "tokens read:", "epochs:"), rows)
    return f"### By phase\n\n{note}\n\n{text}"


def _orders(manifest: Manifest) -> list[str]:
    """Of each phase by what measure its rows are ordered, if by any."""
    options = manifest.recipe.get("mixture") or {}
    phases = options.get("phases") or [{}]
    found = [phase.get("order") or options.get("order") for phase in phases]
    return [f"{code(order['measure'])} from {escape(order['first'])} values on" if order else "" for order in found]


def _by_language(manifest: Manifest) -> str:
    found = strands(manifest)
    shown, rest = found[:SHOWN_LANGUAGES], found[SHOWN_LANGUAGES:]
    rows = [(code(row.source), code(row.language) or "not determined", *_numbers([row])) for row in shown]
    if rest:
        rows.append((f"{number(len(rest))} more rows", "", *_numbers(rest)[:-1], ""))
    note = (
        "As the language identifier labelled them. A language's planned share is its part of the training tokens of a "
        "Cell times the share of the Cell, summed over the Cells of the source."
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
        tokens = sum(c.tokens for c in manifest.cells if source_of(c.cell) == source)
        middle = next(k for k in range(len(bins)) if 2 * sum(bins[: k + 1]) >= n)
        longest = max(k for k, found in enumerate(bins) if found)
        n_bytes = count(manifest, "utf8_bytes", source)
        rows.append((code(source), ratio(n_bytes, n), ratio(tokens, n), length_bin(middle), length_bin(longest)))
    head = ("source", "mean bytes:", "mean tokens:", "median tokens:", "most tokens:")
    note = "Tokens with the begin and end mark of each document; the median and the longest as the range they lie in."
    text = table(head, rows) if rows else "No document was kept."
    return f"## Document lengths\n\n{note}\n\n{text}"
