"""The page's section on measures: how each is distributed over the documents, with its Limits drawn in."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.card.escape import code, folded, number, share
from pipeline.card.funnel import of_source
from pipeline.card.plots import image
from pipeline.card.svg import Mark, Tick, histogram
from pipeline.manifest import Manifest
from pipeline.measures import measure_of

SHOWN_CHARTS = 200
"""Measures are some 70; a Limit for some sources only has a chart of its own."""
SHOWN_MARKS = 4
"""Bounds drawn one by one; of more, as for a Limit by language, the least and the greatest."""
TICKS = 5


@dataclass(frozen=True, slots=True)
class Chart:
    """A histogram to be drawn: a measure over `sources`, with the Limits that are for just these."""

    name: str
    measure: str
    sources: tuple[str, ...]
    limits: tuple[Mapping[str, Any], ...]


def distributions(manifest: Manifest) -> tuple[str, dict[str, bytes]]:
    """The section `Measures` and the plots it shows, by path; empty if nothing was measured."""
    charts = list(_charts(manifest))
    shown = charts[:SHOWN_CHARTS]
    drawn = {chart.name: data for chart in shown if (data := _drawn(manifest, chart))}
    if not drawn:
        return "", {}
    note = (
        "How the documents are spread over what was measured of them, as extracted and before any was dropped. A bar "
        "is a range of values; ranges are drawn equally wide. An orange line is the bound of a Limit, and the shaded "
        "side is outside. A Limit that is for some sources is drawn over the documents of these sources."
    )
    images = {c.name: image(c.name, f"{c.measure} of documents, with its Limits") for c in shown if c.name in drawn}
    limited = [images[chart.name] for chart in shown if chart.limits and chart.name in drawn]
    others = [images[chart.name] for chart in shown if not chart.limits and chart.name in drawn]
    parts = [f"## Measures\n\n{note}", *(limited or ["The recipe has no Limit on a number."])]
    if others:
        parts.append(folded(f"{number(len(others))} measures without a Limit", "\n\n".join(others)))
    if len(charts) > len(shown):
        parts.append(f"{number(len(charts) - len(shown))} more are under {code('histograms')} in manifest.json.")
    return "\n\n".join(parts), {f"plots/{name}.svg": data for name, data in drawn.items()}


def _charts(manifest: Manifest) -> Iterator[Chart]:
    """Charts with a Limit first, in the recipe's order; then the other measures, as the manifest has them."""
    limits: dict[tuple[str, tuple[str, ...]], list[Mapping[str, Any]]] = {}
    for step in manifest.recipe.get("steps") or ():
        if step.get("type", "limit") == "limit" and step.get("measure") in manifest.histograms:
            named = (step.get("where") or {}).get("source") or manifest.sources
            sources = tuple(source for source in manifest.sources if source in named)
            limits.setdefault((str(step["measure"]), sources), []).append(step)
    for place, ((measure, sources), own) in enumerate(limits.items()):
        yield Chart(f"measure-{place}", measure, sources, tuple(own))
    limited = {measure for measure, _ in limits}
    for place, measure in enumerate(sorted(manifest.histograms.keys() - limited), len(limits)):
        yield Chart(f"measure-{place}", measure, tuple(manifest.sources), ())


def _drawn(manifest: Manifest, chart: Chart) -> bytes:
    """The chart; empty if there is no document to count."""
    found = manifest.histograms[chart.measure]
    columns = [found["counts"][source] for source in chart.sources if source in found["counts"]]
    counts = [sum(column) for column in zip(*columns, strict=True)]
    whole = sum(counts)
    if not whole:
        return b""
    axis = _Axis(found["edges"], counts, [v for limit in chart.limits for v in _bounds(limit).values()])
    entry = measure_of(chart.measure)
    unit = entry.unit if entry else chart.measure
    shown = counts[axis.first : axis.last + 1]
    largest = max(shown)
    bars = [
        (n / largest, f"{axis.range(axis.first + k)}: {number(n)} ({share(n, whole)})") for k, n in enumerate(shown)
    ]
    is_part = len(chart.sources) < len(manifest.sources)
    title = chart.measure + (f", source {', '.join(chart.sources)}" if is_part else "")
    return histogram(
        chart.name,
        title,
        f"{entry.description if entry else title} Documents as extracted, by {unit}.",
        bars,
        axis.ticks(),
        _marks(manifest, chart, axis),
        (unit, f"documents; the highest bar has {number(largest)} of {number(whole)}"),
    )


def _bounds(limit: Mapping[str, Any]) -> dict[str, float]:
    return {side: float(limit[side]) for side in ("min", "max") if limit.get(side) is not None}


class _Axis:
    """Bins of equal width: bin k holds values from `edges[k - 1]` up to `edges[k]`, as `pipeline.measures` has them."""

    def __init__(self, edges: Sequence[float], counts: Sequence[int], values: Sequence[float]) -> None:
        self.edges = edges
        self._is_whole = all(float(edge).is_integer() for edge in edges)
        found = [k for k, n in enumerate(counts) if n] + [bisect_right(edges, value) for value in values]
        self.first, self.last = min(found), max(found)

    def place(self, value: float, holds_equal: bool) -> float:
        """Where `value` lies, from 0 to 1. `holds_equal`: whether a document with this very value is left of it."""
        k = bisect_right(self.edges, value)
        within = 0.5
        if 0 < k < len(self.edges):
            low, high = self.edges[k - 1], self.edges[k]
            is_single = self._is_whole and high - low == 1  # a bin of one whole number
            within = 1.0 if holds_equal and is_single else (value - low) / (high - low)
        elif k:
            within = 0.0
        return (k - self.first + within) / (self.last - self.first + 1)

    def range(self, k: int) -> str:
        """The values of bin `k`."""
        if k == 0:
            return f"below {_short(self.edges[0])}"
        low = _short(self.edges[k - 1])
        if k == len(self.edges):
            return f"{low} or more"
        if self._is_whole and self.edges[k] - self.edges[k - 1] == 1:
            return low
        return f"{low} up to {_short(self.edges[k])}"

    def ticks(self) -> list[Tick]:
        """A few edges, evenly apart."""
        n = self.last - self.first + 1
        inner = [k for k in range(self.first, self.last + 2) if 0 < k <= len(self.edges)]
        step = max(1, -(-len(inner) // TICKS))
        return [Tick((k - self.first) / n, _short(self.edges[k - 1])) for k in inner[::step]]


def _marks(manifest: Manifest, chart: Chart, axis: _Axis) -> list[Mark]:
    """The Limits' bounds; where they are many, the least and the greatest of each side."""
    marks = []
    for side, outside in (("min", "left"), ("max", "right")):
        named = [(_bounds(limit), str(limit.get("name", "")), bool(limit.get("exclusive"))) for limit in chart.limits]
        found = sorted((bounds[side], name, exclusive) for bounds, name, exclusive in named if side in bounds)
        if len(found) > SHOWN_MARKS // 2:
            found = [found[0], found[-1]]
        for place, (value, name, exclusive) in enumerate(found):
            n = sum(of_source(manifest, "failed", source).get(name, 0) for source in chart.sources)
            sign = {"min": "≥", "max": "≤"}[side] if not exclusive else {"min": ">", "max": "<"}[side]
            is_outer = place == (0 if side == "min" else len(found) - 1)
            at = axis.place(value, holds_equal=(side == "min") == exclusive)
            label = f"{name} {sign} {_short(value)}: {number(n)} outside"
            marks.append(Mark(at, label, outside if is_outer else ""))  # type: ignore[arg-type]
    return marks


def _short(value: float) -> str:
    """A number for an axis: 20k rather than 20000."""
    for bound, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= bound:
            return f"{value / bound:g}{unit}"
    return f"{value:g}"
