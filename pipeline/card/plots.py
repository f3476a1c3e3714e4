"""The plots beside a card. Each is a bar chart of figures that the card has in a table, too."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pipeline.card.duplicates import CURVE, doubling, match_probability
from pipeline.card.escape import number, share
from pipeline.card.funnel import DUPLICATES, count, of_source
from pipeline.card.mix import length_bin, planned
from pipeline.card.svg import Bar, Group, bar_chart
from pipeline.manifest import Manifest, total

SHOWN_GROUPS = 12

Item = TypeVar("Item")


def mixture_plot(manifest: Manifest) -> bytes:
    """Planned and realised shares by source."""
    plans = planned(manifest)
    largest = max((max(row.share, row.share_asked + row.spread) for row in plans), default=1.0) or 1.0
    groups = [
        Group(
            row.cell,
            (
                Bar("planned", asked / largest, share(asked, 1), is_pale=True),
                Bar("realised", row.share / largest, f"{share(row.share, 1)}, {row.epochs:.2f} epochs"),
            ),
        )
        for row in _shown(plans)
        for asked in [row.share_asked + row.spread]
    ]
    description = "Planned and realised share of the training tokens, by source."
    return bar_chart("Mixture: share of training tokens", _cut(description, plans), groups)


def funnel_plot(manifest: Manifest) -> bytes:
    """Records, extracted, inside all Limits, kept, by source."""
    groups = []
    for source in _shown(manifest.sources):
        dropped = of_source(manifest, "dropped", source)
        kept = count(manifest, "documents", source)
        passed = kept + sum(dropped.get(reason, 0) for reason in DUPLICATES)
        steps = {
            "records read": count(manifest, "records", source),
            "extracted": count(manifest, "extracted", source),
            "inside all Limits": passed,
            "kept": kept,
        }
        records = steps["records read"]
        bars = [
            Bar(label, n / records if records else 0.0, f"{number(n)} ({share(n, records)})", label != "kept")
            for label, n in steps.items()
        ]
        groups.append(Group(source, bars))
    description = "How many records of each source were read, gave a document, passed all Limits, and were kept."
    return bar_chart("From records to documents", _cut(description, manifest.sources), groups)


def lengths_plot(manifest: Manifest) -> bytes:
    """Kept documents by number of tokens, all sources together."""
    by_source = [bins for bins in manifest.counts.get("document_tokens", {}).values() if bins]
    bins = [sum(column) for column in zip(*by_source, strict=True)]
    found = [k for k, n in enumerate(bins) if n]
    rows = [(length_bin(k), bins[k]) for k in range(found[0], found[-1] + 1)] if found else []
    return _histogram("Kept documents by length in tokens", "How many documents have so many tokens.", rows)


def clusters_plot(manifest: Manifest) -> bytes:
    """Clusters of duplicates by size."""
    rows = [(label, n) for label, n, _ in doubling(manifest.counts.get("cluster_sizes", {}))]
    return _histogram("Clusters of duplicates by size in documents", "How many clusters have so many documents.", rows)


def matching_plot(manifest: Manifest) -> bytes:
    """How likely two documents are to be compared, by their similarity."""
    options = manifest.recipe["dedup"]
    bars = [Bar(f"{s:.2f}", p, f"{100 * p:.1f} %") for s in CURVE for p in [match_probability(options, s)]]
    title = "Chance that two documents are compared, by Jaccard similarity"
    words, bands, rows = (options[name] for name in ("ngram_words", "bands", "rows"))
    description = f"1 - (1 - s^{rows})^{bands} for the similarity s of two documents' word {words}-grams."
    return bar_chart(title, description, [Group("", bars)])


def _histogram(title: str, description: str, rows: Sequence[tuple[str, int]]) -> bytes:
    whole, largest = sum(n for _, n in rows), max((n for _, n in rows), default=1)
    bars = [Bar(label, n / largest, f"{number(n)} ({share(n, whole)})") for label, n in rows]
    return bar_chart(title, description, [Group("", bars)])


def _shown(items: Sequence[Item]) -> Sequence[Item]:
    return items[:SHOWN_GROUPS]


def _cut(description: str, items: Sequence[object]) -> str:
    more = len(items) - SHOWN_GROUPS
    return f"{description} {number(more)} more sources are in the table." if more > 0 else description


PLOTS: dict[str, tuple[str, Callable[[Manifest], bytes]]] = {
    "mixture": ("Planned and realised share of the training tokens by source", mixture_plot),
    "funnel": ("Records, extracted, inside all Limits and kept by source", funnel_plot),
    "lengths": ("Kept documents by length in tokens", lengths_plot),
    "clusters": ("Clusters of duplicates by size", clusters_plot),
    "matching": ("Chance that two documents are compared, by the similarity of their texts", matching_plot),
}
"""Name -> (what it shows, in a few words, and the function that draws it)."""


def image(name: str) -> str:
    """The Markdown that shows a plot; the card's tables have its figures."""
    return f"![{PLOTS[name][0]}; the tables have the figures](plots/{name}.svg)"


def plots(manifest: Manifest) -> dict[str, bytes]:
    """Path beside the card -> the SVG file, for the plots that have anything to show."""
    return {f"plots/{name}.svg": draw(manifest) for name, (_, draw) in PLOTS.items() if has_plot(manifest, name)}


def has_plot(manifest: Manifest, name: str) -> bool:
    """Whether there is anything to draw."""
    shown = {
        "mixture": bool(manifest.mixture),
        "funnel": bool(manifest.sources),
        "lengths": total(manifest.counts.get("document_tokens", {})) > 0,
        "clusters": bool(manifest.counts.get("cluster_sizes")),
        "matching": bool((manifest.recipe.get("dedup") or {}).get("near")),
    }
    return shown[name]
