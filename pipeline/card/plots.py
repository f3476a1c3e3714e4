"""The plots beside a card. Each draws figures that the card has in a table, too."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from pipeline.card.duplicates import doubling, match_probability
from pipeline.card.escape import number, share
from pipeline.card.front_matter import largest_first, merged
from pipeline.card.funnel import AFTER_LIMITS, count, of_source
from pipeline.card.mix import length_bin, planned
from pipeline.card.svg import Bar, Group, Mark, Tick, bar_chart, curve
from pipeline.manifest import Manifest, total

SHOWN_GROUPS = 12
SHOWN_FUNNELS = 5
"""Sources with a funnel of their own, where there are several."""
SHOWN_REASONS = 6
"""Fates, and Limits, with a bar of their own; the others share one."""

CURVE_POINTS = 51
CURVE_FROM = 0.5
"""The chance of a comparison is drawn from this Jaccard similarity to 1."""

Item = TypeVar("Item")


def mixture_plot(manifest: Manifest) -> bytes:
    """Planned and realised shares by source."""
    plans = planned(manifest)
    largest = max((max(row.share, row.share_asked + row.spread) for row in plans), default=1.0) or 1.0
    groups = [
        Group(
            row.cell,
            (
                Bar("planned", asked / largest, share(asked, 1), "pale"),
                Bar("realised", row.share / largest, f"{share(row.share, 1)}, {row.epochs:.2f} epochs"),
            ),
        )
        for row in _shown(plans)
        for asked in [row.share_asked + row.spread]
    ]
    description = "Planned and realised share of the training tokens, by source."
    return bar_chart("mixture", "Mixture: share of training tokens", _cut(description, plans), groups)


def funnel_plot(manifest: Manifest) -> bytes:
    """From records to kept documents as a waterfall: of all sources together, then of each."""
    groups = [Group("all sources", _waterfall(manifest, manifest.sources))] if len(manifest.sources) != 1 else []
    shown = manifest.sources[:SHOWN_FUNNELS]
    groups += [Group(f"source {source}", _waterfall(manifest, [source])) for source in shown]
    description = "What became of the records: how many remain after each step, and how many each reason took."
    more = len(manifest.sources) - len(shown)
    description += f" {number(more)} more sources are in the table." if more > 0 else ""
    return bar_chart("funnel", "From records to documents", description, groups)


def _waterfall(manifest: Manifest, sources: Sequence[str]) -> list[Bar]:
    """A bar for what remains after Extract, after the Limits and at the end, and between them one for each reason,
    which lies where it shortens the rest."""

    def of(key: str) -> dict[str, int]:
        return merged({source: of_source(manifest, key, source) for source in sources})

    dropped = of("dropped")
    records, extracted, kept = (
        sum(count(manifest, k, s) for s in sources) for k in ("records", "extracted", "documents")
    )
    passed = kept + sum(n for reason, n in dropped.items() if reason in AFTER_LIMITS)
    limits = {reason: n for reason, n in dropped.items() if reason not in AFTER_LIMITS}
    later = {reason: dropped[reason] for reason in AFTER_LIMITS if dropped.get(reason)}
    steps: list[tuple[str, int, Mapping[str, int]]] = [
        ("records read", records, of("fates")),
        ("extracted", extracted, limits),
        ("inside all Limits", passed, later),
        ("kept", kept, {}),
    ]
    bars = []
    for label, left, lost in steps:
        bars.append(Bar(label, _part(left, records), f"{number(left)} ({share(left, records)})"))
        for reason, n in _few(lost):
            left -= n
            taken = f"−{number(n)} ({share(n, records)})"
            bars.append(Bar(reason, _part(n, records), taken, "lost", start=_part(left, records)))
    return bars


def _few(lost: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    """The largest counts, and the sum of the others."""
    ordered = [(reason, n) for reason, n in largest_first(lost).items() if n]
    if len(ordered) <= SHOWN_REASONS + 1:
        return ordered
    rest = ordered[SHOWN_REASONS:]
    return [*ordered[:SHOWN_REASONS], (f"{number(len(rest))} other reasons", sum(n for _, n in rest))]


def _part(n: int, whole: int) -> float:
    return n / whole if whole else 0.0


def lengths_plot(manifest: Manifest) -> bytes:
    """Kept documents by number of tokens, all sources together."""
    by_source = [bins for bins in manifest.counts.get("document_tokens", {}).values() if bins]
    bins = [sum(column) for column in zip(*by_source, strict=True)]
    found = [k for k, n in enumerate(bins) if n]
    rows = [(length_bin(k), bins[k]) for k in range(found[0], found[-1] + 1)] if found else []
    return _counted("lengths", "Kept documents by length in tokens", "How many documents have so many tokens.", rows)


def clusters_plot(manifest: Manifest) -> bytes:
    """Clusters of duplicates by size."""
    rows = [(label, n) for label, n, _ in doubling(manifest.counts.get("cluster_sizes", {}))]
    title = "Clusters of duplicates by size in documents"
    return _counted("clusters", title, "How many clusters have so many documents.", rows)


def languages_plot(manifest: Manifest) -> bytes:
    """Kept documents by language, all sources together."""
    names = list(merged(manifest.counts.get("languages", {})).items())
    rows = [(name or "not determined", n) for name, n in names[:SHOWN_GROUPS]]
    if rest := names[SHOWN_GROUPS:]:
        rows.append((f"{number(len(rest))} others", sum(n for _, n in rest)))
    return _counted("languages", "Kept documents by language", "How many documents are in each language.", rows)


def personal_data_plot(manifest: Manifest) -> bytes:
    """Replacements by kind of personal data, all sources together."""
    rows = list(merged(manifest.counts.get("pii", {})).items())
    title = "Personal data replaced, pieces by kind"
    return _counted("personal-data", title, "How many pieces of each kind were replaced in kept documents.", rows)


def matching_plot(manifest: Manifest) -> bytes:
    """How likely two documents are to be compared, by their similarity."""
    options = manifest.recipe["dedup"]
    step = (1 - CURVE_FROM) / (CURVE_POINTS - 1)
    heights = [match_probability(options, CURVE_FROM + k * step) for k in range(CURVE_POINTS)]
    words, bands, rows = (options[name] for name in ("ngram_words", "bands", "rows"))
    half = (1 - 0.5 ** (1 / bands)) ** (1 / rows)  # solves 1 - (1 - s^rows)^bands = 1/2
    marks = [Mark((half - CURVE_FROM) / (1 - CURVE_FROM), f"even chance at {half:.2f}")] if half > CURVE_FROM else []
    if verify := options.get("verify"):
        least = float(verify["jaccard"])
        marks.append(Mark((least - CURVE_FROM) / (1 - CURVE_FROM), f"counts from {least:g} on", "left"))
    return curve(
        "matching",
        "Chance that two documents are compared",
        f"1 - (1 - s^{rows})^{bands} for the similarity s of two documents' word {words}-grams.",
        heights,
        [Tick((s - CURVE_FROM) / (1 - CURVE_FROM), f"{s:.1f}") for s in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)],
        marks,
        (f"Jaccard similarity of word {words}-grams", "chance, from 0 to 100 %"),
    )


def _counted(name: str, title: str, description: str, rows: Sequence[tuple[str, int]]) -> bytes:
    """A bar for each count, the longest as wide as the chart."""
    whole, largest = sum(n for _, n in rows), max((n for _, n in rows), default=1)
    bars = [Bar(label, n / largest, f"{number(n)} ({share(n, whole)})") for label, n in rows]
    return bar_chart(name, title, description, [Group("", bars)])


def _shown(items: Sequence[Item]) -> Sequence[Item]:
    return items[:SHOWN_GROUPS]


def _cut(description: str, items: Sequence[object]) -> str:
    more = len(items) - SHOWN_GROUPS
    return f"{description} {number(more)} more sources are in the table." if more > 0 else description


PLOTS: dict[str, tuple[str, Callable[[Manifest], bytes]]] = {
    "mixture": ("Planned and realised share of the training tokens by source", mixture_plot),
    "languages": ("Kept documents by language", languages_plot),
    "funnel": ("What became of the records, step by step", funnel_plot),
    "lengths": ("Kept documents by length in tokens", lengths_plot),
    "clusters": ("Clusters of duplicates by size", clusters_plot),
    "matching": ("Chance that two documents are compared, by the similarity of their texts", matching_plot),
    "personal-data": ("Personal data replaced, by kind", personal_data_plot),
}
"""Name -> (what it shows, in a few words, and the function that draws it)."""


def image(name: str, shows: str = "") -> str:
    """The Markdown that shows a plot, of PLOTS or another; the card's tables have its figures."""
    return f"![{shows or f'{PLOTS[name][0]}; the tables have the figures'}](plots/{name}.svg)"


def plots(manifest: Manifest) -> dict[str, bytes]:
    """Path beside the card -> the SVG file, for the plots that have anything to show."""
    return {f"plots/{name}.svg": draw(manifest) for name, (_, draw) in PLOTS.items() if has_plot(manifest, name)}


def has_plot(manifest: Manifest, name: str) -> bool:
    """Whether there is anything to draw."""
    shown = {
        "mixture": bool(manifest.mixture),
        "languages": total(manifest.counts.get("languages", {})) > 0,
        "funnel": bool(manifest.sources),
        "lengths": total(manifest.counts.get("document_tokens", {})) > 0,
        "clusters": bool(manifest.counts.get("cluster_sizes")),
        "matching": bool((manifest.recipe.get("dedup") or {}).get("near")),
        "personal-data": total(manifest.counts.get("pii", {})) > 0,
    }
    return shown[name]
