"""The true Jaccard similarity of all pairs of documents, by brute force, and what a way to find duplicates makes of it.

Shingles are restated here without the code under test: words of the simplified text (lower case, numbers to "0",
diacritics stripped) and their n-grams, numbered, not hashed, so two are equal only if their words are.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numba
import numpy as np

from pipeline.dedup.options import DedupOptions

Array = np.ndarray[Any, np.dtype[Any]]
NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
WORD = re.compile(r"[^\W_]+")
LEAST = 0.15
"""Pairs below are not listed: each shares a band with a probability under 4e-6."""


def words_of(text: str) -> list[str]:
    """The words of a text whose n-grams are its shingles."""
    spelled = unicodedata.normalize("NFD", NUMBER.sub("0", text.lower()))
    return WORD.findall("".join(c for c in spelled if not unicodedata.combining(c)))


def shingle_sets(texts: Sequence[str], ngram_words: int) -> tuple[Array, Array]:
    """The distinct shingles of each text as numbers, int64, sorted within it; offsets, int64, length n + 1."""
    known: dict[str, int] = {}
    rows = [[known.setdefault(word, len(known)) for word in words_of(text)] for text in texts]
    flat = np.array([number for row in rows for number in row], np.int64)
    document = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    numbers = flat
    for more in range(1, ngram_words):  # number the n-grams of 2, 3, ... words: (the one before, the next word)
        numbers = np.unique(numbers[:-1] * len(known) + flat[more:], return_inverse=True)[1]
    whole = document[: len(numbers)] == document[ngram_words - 1 :]
    n_shingles = int(numbers.max()) + 1
    found = np.unique(document[: len(numbers)][whole] * n_shingles + numbers[whole])
    return found % n_shingles, np.searchsorted(found, np.arange(len(texts) + 1) * n_shingles)


def alike(shingles: Array, offsets: Array) -> tuple[Array, Array]:
    """All pairs (i < j), int64 of shape (m, 2), with a Jaccard similarity of `LEAST` or more, and it, float64 [m]."""
    documents = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((documents, shingles))
    starts = np.searchsorted(shingles[order], np.arange(shingles.max() + 2))
    args = (shingles, offsets, documents[order], starts, LEAST)
    n = _pairs(*args, np.empty((0, 2), np.int64), np.empty(0))
    pairs, values = np.empty((n, 2), np.int64), np.empty(n)
    _pairs(*args, pairs, values)
    return pairs, values


@numba.njit
def _pairs(
    shingles: Array, offsets: Array, postings: Array, starts: Array, least: float, pairs: Array, values: Array
) -> int:
    """For each document, count shared shingles with those before it; write pairs while there is room; their number."""
    n = 0
    common = np.zeros(len(offsets) - 1, np.int64)
    touched = np.empty(len(offsets) - 1, np.int64)
    for j in range(len(offsets) - 1):
        n_touched = 0
        for shingle in shingles[offsets[j] : offsets[j + 1]]:
            for place in range(starts[shingle], starts[shingle + 1]):
                i = postings[place]
                if i >= j:
                    break
                if common[i] == 0:
                    touched[n_touched] = i
                    n_touched += 1
                common[i] += 1
        for i in touched[:n_touched]:
            union = offsets[i + 1] - offsets[i] + offsets[j + 1] - offsets[j] - common[i]
            if common[i] >= least * union:
                if n < len(pairs):
                    pairs[n, 0], pairs[n, 1], values[n] = i, j, common[i] / union
                n += 1
            common[i] = 0
    return n


def pairs_of(groups: Sequence[Array]) -> Array:
    """All pairs (i < j) within groups of document numbers, each once, int64 of shape (m, 2)."""
    found = [np.zeros((0, 2), np.int64)]
    for group in groups:
        members = np.sort(group)
        i, j = np.triu_indices(len(members), 1)
        found.append(np.stack([members[i], members[j]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def groups_of(keys: Array) -> list[Array]:
    """The places of equal keys, groups of two or more. `keys`: one dimension, any sortable dtype."""
    order = np.argsort(keys, kind="stable")
    ends = np.flatnonzero(keys[order][1:] != keys[order][:-1]) + 1
    return [group for group in np.split(order, ends) if len(group) > 1]


def codes(pairs: Array) -> Array:
    """One int64 for a pair, so that sets of pairs can be compared."""
    return pairs[:, 0] << 32 | pairs[:, 1]


def chance_of_a_band(likeness: Array, options: DedupOptions) -> Array:
    """1 - (1 - s**rows)**bands: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4.2."""
    return 1 - (1 - likeness**options.rows) ** options.bands


def curve(likeness: Array, is_found: Array, options: DedupOptions) -> list[dict[str, float]]:
    """By bins of .05 of the true similarity, from .5: pairs, the share of them found, and what theory says of them.

    `deviation`: of the share, by theory, were the pairs independent.
    """
    rows = []
    expected = chance_of_a_band(likeness, options)
    for low, high in pairwise(np.linspace(0.5, 1, 11)):
        within = (likeness >= low) & (likeness < high if high < 1 else likeness <= 1)
        if n := int(within.sum()):
            p = expected[within]
            rows.append({
                "from": round(float(low), 2),
                "to": round(float(high), 2),
                "pairs": n,
                "likeness": float(likeness[within].mean()),
                "found": float(is_found[within].mean()),
                "theory": float(p.mean()),
                "deviation": float(np.sqrt((p * (1 - p)).sum()) / n),
            })  # fmt: skip
    return rows


def score(found: Array, pairs: Array, likeness: Array, at_least: float) -> dict[str, float]:
    """Of pairs `found`, against the true ones: those of `pairs` whose `likeness` is `at_least` that."""
    true = codes(pairs[likeness >= at_least])
    both = int(np.isin(codes(found), true).sum())
    return {"found": len(found), "recall": both / max(1, len(true)), "precision": both / max(1, len(found))}


def draw(rows: Sequence[Mapping[str, float]], options: DedupOptions, n_documents: int, path: Path) -> None:
    """The curve as an SVG file: what was measured, over theory."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "gristmill", "svg.fonttype": "none"}
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    s = np.linspace(0.4, 1, 200)
    axes.plot(
        s, chance_of_a_band(s, options), color="#8c959f", label=f"theory, {options.bands} bands of {options.rows}"
    )
    axes.errorbar(
        [row["likeness"] for row in rows],
        [row["found"] for row in rows],
        [2 * row["deviation"] for row in rows],
        fmt="o",
        color="#3d7fb5",
        capsize=3,
        label=f"measured, {n_documents:,} documents, two deviations",
    )
    axes.set(xlabel="true Jaccard similarity of a pair", ylabel="share of pairs with an equal band", ylim=(-0.02, 1.05))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    pyplot.close(figure)
