"""Bar charts as SVG files: few elements, no scripts, no fonts of their own, and the same bytes everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from pipeline.card.escape import visible

WIDTH = 760
MARGIN = 12
LABEL_WIDTH = 172
BAR_WIDTH = 270
ROW_HEIGHT = 24
BAR_HEIGHT = 14
HEADING_HEIGHT = 32
GAP = 8
"""Lengths in pixels of the drawing; a page that is narrower scales the whole."""

MAX_CHARS = 300

FONT = {"font-family": "ui-sans-serif, system-ui, sans-serif", "font-size": "14"}
TEXT = "#707983"
"""One colour for light and dark pages, with a contrast of 4.4 to 1 on white and 4.3 to 1 on GitHub's dark page
(#0d1117), which is what one colour can have on both. A style for each would follow the reader's system, and an image is
not told when the page around it has the other scheme."""
BAR = "#3d7fb5"  # 4.3 to 1 and 4.4 to 1
PALE_BAR = "#8c959f"  # 3.0 to 1 and 6.2 to 1


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of `share` (0 to 1) of the full width, with a label before and a text behind it."""

    label: str
    share: float
    text: str
    is_pale: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Bars under a heading; an empty heading takes no room."""

    heading: str
    bars: Sequence[Bar]


def bar_chart(title: str, description: str, groups: Sequence[Group]) -> bytes:
    """A chart of horizontal bars, as the bytes of an SVG file.

    Args:
        title: shown on top, and read out by screen readers.
        description: read out by screen readers; what the bars mean.
        groups: from top to bottom.
    """
    height = 2 * MARGIN + HEADING_HEIGHT
    height += sum(GAP + HEADING_HEIGHT * bool(group.heading) + ROW_HEIGHT * len(group.bars) for group in groups)
    size = {"width": str(WIDTH), "height": str(height), "viewBox": f"0 0 {WIDTH} {height}"}
    root = ElementTree.Element(
        "svg",
        {"xmlns": "http://www.w3.org/2000/svg", **size, "role": "img", "aria-labelledby": "title description"} | FONT,
    )
    _child(root, "title", title, id="title")
    _child(root, "desc", description, id="description")
    y = MARGIN + 18
    _text(root, title, MARGIN, y, is_bold=True)
    y += HEADING_HEIGHT - 18
    for group in groups:
        y += GAP
        if group.heading:
            _text(root, group.heading, MARGIN, y + 20, is_bold=True)
            y += HEADING_HEIGHT
        for bar in group.bars:
            _draw(root, bar, y)
            y += ROW_HEIGHT
    ElementTree.indent(root, " ")
    data: bytes = ElementTree.tostring(root, encoding="utf-8")
    return data + b"\n"


def _draw(root: ElementTree.Element, bar: Bar, y: int) -> None:
    width = max(1, round(BAR_WIDTH * min(1.0, bar.share))) if bar.share > 0 else 0
    left = MARGIN + LABEL_WIDTH + GAP
    fill = PALE_BAR if bar.is_pale else BAR
    _text(root, bar.label, MARGIN + LABEL_WIDTH, y + 16, anchor="end")
    place = {"x": str(left), "y": str(y + 4), "width": str(width), "height": str(BAR_HEIGHT)}
    ElementTree.SubElement(root, "rect", {**place, "fill": fill})
    _text(root, bar.text, left + width + GAP, y + 16)


def _text(root: ElementTree.Element, text: str, x: int, y: int, anchor: str = "start", is_bold: bool = False) -> None:
    weight = {"font-weight": "600"} if is_bold else {}
    _child(root, "text", text, **{"x": str(x), "y": str(y), "text-anchor": anchor, "fill": TEXT}, **weight)


def _child(root: ElementTree.Element, tag: str, text: str, **attributes: str) -> None:
    """XML holds no control characters, so they are shown by code point; ElementTree escapes the rest."""
    ElementTree.SubElement(root, tag, attributes).text = visible(text, MAX_CHARS)
