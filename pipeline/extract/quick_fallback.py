"""trafilatura's comparison with readability, left out where readability's text could not be taken.

trafilatura 2.3 runs readability on every page and takes its text only where that is more than twice as long as its
own, or its own has no paragraph or more tables than paragraphs (`trafilatura.external._prefer_readability`).
Readability leaves text out and adds none but a word for each embedded video, so a page that shows too little text need
not be asked.
"""

from collections.abc import Callable
from typing import Any

from lxml.html import HtmlElement, fromstring
from trafilatura.utils import trim

Compare = Callable[[Any, HtmlElement, Any, str, Any], tuple[Any, str]]

UNSHOWN = ("script", "style", "fencedframe")
"""What readability takes out first."""
VIDEO_CHARS = len("VIDEO")
"""What it writes into a frame."""
EMPTY = "<html><body></body></html>"


def lazily(compare: Compare) -> Compare:
    """`compare` (`trafilatura.core.compare_extraction`), its results the same, without readability that can't win."""

    def compared(cleaned: Any, raw: HtmlElement, body: Any, text: str, options: Any) -> tuple[Any, str]:
        if options.focus != "recall" and _is_sound(body) and 0 < _longest(raw) <= 2 * len(text):
            raw = fromstring(EMPTY)
        return compare(cleaned, raw, body, text, options)

    return compared


def _is_sound(body: Any) -> bool:
    """Whether an extraction has text in paragraphs, and no more tables than paragraphs."""
    return bool(body.xpath(".//p//text()")) and len(body.findall(".//table")) <= len(body.findall(".//p"))


def _longest(raw: HtmlElement) -> int:
    """Characters that readability's text of a page can have at the most."""
    unshown = sum(len(trim(element.text_content())) for element in raw.iter(*UNSHOWN))
    return len(trim(raw.text_content())) - unshown + VIDEO_CHARS * sum(1 for _ in raw.iter("iframe")) + 1
