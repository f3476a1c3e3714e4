"""Charts as SVG: few elements, no scripts, no fonts of their own, and the same bytes everywhere.

Widths are shares of the drawing's and heights are pixels, so a chart put into a page takes the page's width with
letters of one size, on a phone, too. As a file it is `WIDTH` wide. A style sheet of the page may recolour its classes.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal
from xml.etree import ElementTree

from pipeline.card.escape import visible

WIDTH = 760
LINE = 20
BAR_HEIGHT = 12
ROW_HEIGHT = LINE + BAR_HEIGHT + 4
GAP = 10
FIELD_HEIGHT = 120
"""Lengths in pixels of the drawing; FIELD_HEIGHT: of the part of a histogram or curve that has the marks."""

LINE_CHARS = 50
TITLE_CHARS = 44
LABEL_CHARS = 34
"""What fits on a line of a phone: in regular and bold letters, and beside a number."""
MAX_CHARS = 300

FONT = {"font-family": "ui-sans-serif, system-ui, sans-serif", "font-size": "13"}
TEXT = "#707983"
"""One colour for light and dark pages, with a contrast of 4.4 to 1 on white and 4.3 to 1 on GitHub's dark page
(#0d1117), which is what one colour can have on both. A style for each would follow the reader's system, and an image is
not told when the page around it has the other scheme."""
COLOURS = {"bar": "#3d7fb5", "pale": "#8c959f", "lost": "#c8702a"}
"""Kind of mark -> colour. Blue, grey and orange differ for people who see no red or no green (blue and orange are the
pair of Okabe and Ito's palette that stays apart in all kinds of colour blindness), and each has 3 to 1 or more on white
and on #0d1117."""

Kind = Literal["bar", "pale", "lost"]
Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from `start` to `start + share` (0 to 1 of the width), with a label above it on the left, a text on the
    right."""

    label: str
    share: float
    text: str
    kind: Kind = "bar"
    start: float = 0.0


@dataclass(frozen=True, slots=True)
class Group:
    """Bars under a heading; an empty heading takes no room."""

    heading: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on the horizontal axis, from 0 to 1, and what is written there."""

    place: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across the field at `place` with a label; `outside`: the side of it that is shaded, as not allowed."""

    place: float
    label: str
    outside: Literal["left", "right", ""] = ""


def bar_chart(name: str, title: str, description: str, groups: Sequence[Group]) -> bytes:
    """A chart of horizontal bars, as the bytes of an SVG file.

    Args:
        name: of the chart, in ids; unique in a page.
        title: shown on top, and read out by screen readers.
        description: read out by screen readers; what the bars mean.
        groups: from top to bottom.
    """
    root, y = _root(name, title, description)
    for group in groups:
        if group.heading:
            _text(root, _short(group.heading, TITLE_CHARS), 0, y=y + LINE - 4, is_bold=True)
            y += LINE
        for bar in group.bars:
            _text(root, _short(bar.label, LABEL_CHARS), 0, y=y + LINE - 5)
            _text(root, bar.text, 1, "end", y=y + LINE - 5)
            _rect(root, bar.kind, bar.start, bar.share, y + LINE, BAR_HEIGHT)
            y += ROW_HEIGHT
        y += GAP
    return _finished(root, y)


def histogram(
    name: str, title: str, description: str, bars: Sequence[tuple[float, str]], ticks: Sequence[Tick],
    marks: Sequence[Mark], axes: tuple[str, str],
) -> bytes:  # fmt: skip
    """Upright bars side by side.

    Args:
        name: as in `bar_chart`; so are `title` and `description`.
        bars: height (0 to 1) of each, and what a pointer on it is told.
        ticks: on the horizontal axis.
        marks: Limits.
        axes: what is on the horizontal and on the vertical axis, with units; the latter stands above the field.
    """
    root, top = _root(name, title, description)
    _text(root, axes[1], 0, y=top + LINE - 5)
    top += LINE * (1 + len(marks))
    width = 1 / max(1, len(bars))
    for place, (height, told) in enumerate(bars):
        high = max(1, round(FIELD_HEIGHT * min(1.0, height))) if height > 0 else 0
        bar = _rect(root, "bar", place * width, 0.92 * width, top + FIELD_HEIGHT - high, high)
        _child(bar, "title", told)
    return _finished(root, _around(root, top, ticks, marks, axes[0]))


def curve(
    name: str, title: str, description: str, heights: Sequence[float], ticks: Sequence[Tick],
    marks: Sequence[Mark], axes: tuple[str, str],
) -> bytes:  # fmt: skip
    """A line through `heights` (0 to 1), which are evenly apart; the rest as in `histogram`."""
    root, top = _root(name, title, description)
    _text(root, axes[1], 0, y=top + LINE - 5)
    top += LINE * (1 + len(marks))
    points = [(k / (len(heights) - 1), top + FIELD_HEIGHT * (1 - height)) for k, height in enumerate(heights)]
    for start, end in pairwise(points):
        _line(root, "bar", start, end, 2.5)
    return _finished(root, _around(root, top, ticks, marks, axes[0]))


def _around(root: ElementTree.Element, top: int, ticks: Sequence[Tick], marks: Sequence[Mark], label: str) -> int:
    """Marks with their labels above a field, and the horizontal axis below it; returns where that ends."""
    y = top + FIELD_HEIGHT
    for place, mark in enumerate(marks):
        if mark.outside:
            start, end = (0.0, mark.place) if mark.outside == "left" else (mark.place, 1.0)
            _rect(root, "lost", start, end - start, top, FIELD_HEIGHT, **{"fill-opacity": "0.2"})
        above = top - LINE * (len(marks) - place)
        _line(root, "lost", (mark.place, above + LINE - 2), (mark.place, y), 2)
        _text(root, mark.label, *_beside(mark), y=above + LINE - 5)
    _line(root, "pale", (0, y), (1, y), 1)
    for tick in ticks:
        _line(root, "pale", (tick.place, y), (tick.place, y + 4), 1)
        anchor: Anchor = "start" if tick.place < 0.04 else "end" if tick.place > 0.96 else "middle"
        _text(root, tick.label, tick.place, anchor, y=y + LINE - 2)
    _text(root, label, 0.5, "middle", y=y + 2 * LINE - 4)
    return y + 2 * LINE + 4


def _beside(mark: Mark) -> tuple[float, Anchor]:
    """Where the label of a mark stands so that it fits on a phone, and how it is aligned."""
    width = len(mark.label) / LINE_CHARS
    if mark.place + width <= 1:
        return mark.place, "start"
    return (mark.place, "end") if mark.place >= width else (1, "end")


def _root(name: str, title: str, description: str) -> tuple[ElementTree.Element, int]:
    """An SVG element with its title drawn, and the height where it ends."""
    labels = {"role": "img", "aria-labelledby": f"{name}-title {name}-description"}
    root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "width": str(WIDTH)} | labels | FONT)
    _child(root, "title", title, id=f"{name}-title")
    _child(root, "desc", description, id=f"{name}-description")
    y = 4
    for line in textwrap.wrap(visible(title, MAX_CHARS), TITLE_CHARS):
        _text(root, line, 0, y=y + LINE - 4, is_bold=True)
        y += LINE
    return root, y + GAP // 2


def _finished(root: ElementTree.Element, height: int) -> bytes:
    root.set("height", str(height))
    ElementTree.indent(root, " ")
    data: bytes = ElementTree.tostring(root, encoding="utf-8")
    return data + b"\n"


def _place(share: float) -> str:
    return f"{100 * min(1.0, max(0.0, share)):.2f}%"


def _rect(
    root: ElementTree.Element, kind: Kind, start: float, width: float, y: int, height: int, **more: str
) -> ElementTree.Element:
    """A bar of something is seen, however small, and a bar of nothing is not."""
    shown = min(max(width, 0.002), 1 - start) if width > 0 else 0
    place = {"x": _place(min(start, 0.998)), "y": str(y), "width": _place(shown or (0.002 if width > 0 else 0))}
    attributes = {**place, "height": str(height), "fill": COLOURS[kind], "class": kind, **more}
    return ElementTree.SubElement(root, "rect", attributes)


def _line(root: ElementTree.Element, kind: Kind, a: tuple[float, float], b: tuple[float, float], width: float) -> None:
    ends = {"x1": _place(a[0]), "y1": f"{a[1]:.1f}", "x2": _place(b[0]), "y2": f"{b[1]:.1f}"}
    style = {"stroke": COLOURS[kind], "stroke-width": f"{width:g}", "stroke-linecap": "round", "class": f"line-{kind}"}
    ElementTree.SubElement(root, "line", ends | style)


def _text(
    root: ElementTree.Element, text: str, place: float, anchor: Anchor = "start", *, y: int, is_bold: bool = False
) -> None:
    weight = {"font-weight": "600"} if is_bold else {}
    _child(root, "text", text, **{"x": _place(place), "y": str(y), "text-anchor": anchor, "fill": TEXT}, **weight)


def _short(text: str, n_chars: int) -> str:
    return visible(text, n_chars - 1) if len(text) > n_chars else text


def _child(root: ElementTree.Element, tag: str, text: str, **attributes: str) -> None:
    """XML holds no control characters, so they are shown by code point; ElementTree escapes the rest."""
    ElementTree.SubElement(root, tag, attributes).text = visible(text, MAX_CHARS)
