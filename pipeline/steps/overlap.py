"""Benchmark overlap: what documents hold of the items of benchmarks, as measures, as counts, and as lines to cut."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.steps.overlap_options import OverlapOptions
from pipeline.text.ngram_index import ngram_index, text_ngrams
from pipeline.text.overlap import find_ngrams, spans_without

Ints = npt.NDArray[np.int64]

OVERLAPS: Final = pa.list_(
    pa.struct([("benchmark", pa.string()), ("ngrams", pa.int64()), ("items", pa.list_(pa.int64()))])
)
"""What a text holds: for each benchmark that it has something of, how many different n-grams, and the items (places
among the benchmark's, from 0) that have one of them, ascending."""


_NUMBERS = r"(?<![^\W_])\d++(?:[\W_]++\d++){{{},}}(?![^\W_])"
"""A run of numbers, so many and one."""


class _Lists(NamedTuple):
    """A list of integers for each n-gram: that of n-gram i is `values[offsets[i]:offsets[i + 1]]`."""

    values: Ints
    offsets: Ints

    def of(self, ngrams: Ints, rows: Ints) -> tuple[Ints, Ints]:
        """The lists of `ngrams` one after the other, and for each value the entry of `rows` of its n-gram."""
        starts, counts = self.offsets[ngrams], np.diff(self.offsets)[ngrams]
        before = np.cumsum(counts) - counts
        at = np.repeat(starts - before, counts) + np.arange(counts.sum())
        return self.values[at], np.repeat(rows, counts)


def _lists(ngrams: Ints, values: Ints, n_ngrams: int) -> _Lists:
    """`ngrams` is ascending."""
    return _Lists(values, np.searchsorted(ngrams, np.arange(n_ngrams + 1)))


class Benchmarks:
    """The items of a recipe's benchmarks, indexed.

    Each string of an item is a text of its own: what stands between two of them on a page is not known, so no n-gram
    goes over their borders. Nor does one go over a run of as many numbers as the shortest n-gram has words: 1 2 3 4 and
    so on is on many pages, and tells no item.

    Args:
        items: benchmark -> its items, each a list of strings in the text form. The order of the benchmarks makes no
            difference.
        options: lengths of n-grams, and when one is too common.
    """

    def __init__(self, items: Mapping[str, Sequence[Sequence[str]]], options: OverlapOptions) -> None:
        self._names = sorted(items)
        sizes = np.array([len(items[name]) for name in self._names], np.int64)
        self._first_item = np.cumsum(sizes) - sizes
        self._benchmark_of = np.repeat(np.arange(len(sizes)), sizes)
        of_items = [strings for name in self._names for strings in items[name]]
        numbers = re.compile(_NUMBERS.format(options.shortest - 1))
        pieces = [[piece for string in strings for piece in numbers.split(string)] for strings in of_items]
        texts = pa.array([piece for of_item in pieces for piece in of_item], pa.large_string())
        item_of = np.repeat(np.arange(len(pieces)), np.array([len(of_item) for of_item in pieces], np.int64))
        hashes, anchors, words, ends = text_ngrams(texts, options.ngram_words, options.shortest)
        different, first, ngrams = np.unique(hashes, return_index=True, return_inverse=True)
        pairs = np.unique(ngrams * len(of_items) + np.repeat(item_of, np.diff(ends)))
        ngrams, holders = np.divmod(pairs, max(1, len(of_items)))

        by_benchmark = ngrams * len(sizes) + self._benchmark_of[holders]
        codes, at, n_items = np.unique(by_benchmark, return_inverse=True, return_counts=True)
        is_common = n_items > options.max_items
        self._n_common = np.bincount(codes[is_common] % len(sizes), minlength=len(sizes))
        self._n_ngrams = np.bincount(codes[~is_common] % len(sizes), minlength=len(sizes))
        ngrams, holders = ngrams[~is_common[at]], holders[~is_common[at]]
        left, ngrams = np.unique(ngrams, return_inverse=True)
        self._items = _lists(ngrams, holders, len(left))
        codes = np.unique(ngrams * len(sizes) + self._benchmark_of[holders])
        self._benchmarks = _lists(codes // len(sizes), codes % len(sizes), len(left))
        self._ngrams_of_item = np.bincount(holders, minlength=len(of_items))
        at_first = first[left]
        self._index = ngram_index(different[left], anchors[at_first], words[at_first], options.shortest)

    def described(self) -> dict[str, dict[str, int]]:
        """Benchmark -> `items`; `comparable_items`, which have an n-gram; `ngrams`, the different ones, and
        `common_ngrams` that were left out for being in too many items."""
        n_items = np.bincount(self._benchmark_of, minlength=len(self._names))
        comparable = np.bincount(self._benchmark_of[self._ngrams_of_item > 0], minlength=len(self._names))
        names = ("items", "comparable_items", "ngrams", "common_ngrams")
        columns = zip(n_items, comparable, self._n_ngrams, self._n_common, strict=True)
        return {
            name: {key: int(value) for key, value in zip(names, row, strict=True)}
            for name, row in zip(self._names, columns, strict=True)
        }

    def measure(self, texts: pa.LargeStringArray) -> dict[str, npt.NDArray[np.float64] | Ints | pa.ListArray]:
        """The measures `overlap_ngrams`, `overlap_fraction` and `overlap_item_fraction` of each text, and `overlaps`:
        OVERLAPS."""
        found = find_ngrams(texts, self._index)
        rows = np.repeat(np.arange(len(texts)), np.diff(found.offsets))
        items, item_rows = self._items.of(found.ngrams, rows)
        codes, n_of_item = np.unique(item_rows * len(self._benchmark_of) + items, return_counts=True)
        item_rows, items = np.divmod(codes, max(1, len(self._benchmark_of)))
        fractions = np.zeros(len(texts))
        np.maximum.at(fractions, item_rows, n_of_item / self._ngrams_of_item[items])
        return {
            "overlap_ngrams": np.diff(found.offsets),
            "overlap_fraction": found.n_covered / np.maximum(1, found.n_words),
            "overlap_item_fraction": fractions,
            "overlaps": self._overlaps(len(texts), found.ngrams, rows, items, item_rows),
        }

    def _overlaps(self, n_texts: int, ngrams: Ints, rows: Ints, items: Ints, item_rows: Ints) -> pa.ListArray:
        """`rows` and `item_rows`, both ascending, say which text has an n-gram or item."""
        n = len(self._names)
        benchmarks, benchmark_rows = self._benchmarks.of(ngrams, rows)
        codes, n_ngrams = np.unique(benchmark_rows * n + benchmarks, return_counts=True)
        item_codes = item_rows * n + self._benchmark_of[items]
        ends = np.append(np.searchsorted(item_codes, codes), len(item_codes)).astype(np.int32)
        own = pa.array(items - self._first_item[self._benchmark_of[items]], pa.int64())
        names = pa.array(self._names, pa.string()).take(pa.array(codes % n, pa.int64()))
        structs = pa.StructArray.from_arrays(
            [names, pa.array(n_ngrams, pa.int64()), pa.ListArray.from_arrays(pa.array(ends), own)],
            fields=list(OVERLAPS.value_type),
        )
        offsets = np.searchsorted(codes, np.arange(n_texts + 1) * n).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), structs)

    def spans_without(self, texts: pa.LargeStringArray) -> pa.ListArray:
        """What the line rule `benchmark_overlap` keeps: see `pipeline.text.overlap.spans_without`."""
        return spans_without(texts, self._index)


def totals(overlaps: pa.ChunkedArray) -> Iterator[tuple[str, int, int, list[int]]]:
    """Each benchmark that documents hold something of, by name: how many documents, the sum of their different n-grams,
    and the items, ascending. `overlaps`: OVERLAPS."""
    flat = pc.list_flatten(overlaps)
    table = pa.table({name: pc.struct_field(flat, name) for name in ("benchmark", "ngrams", "items")})
    for name in sorted(pc.unique(table["benchmark"]).to_pylist()):
        own = table.filter(pc.equal(table["benchmark"], name))
        items = pc.unique(pc.list_flatten(own["items"])).to_pylist()
        yield name, own.num_rows, pc.sum(own["ngrams"]).as_py(), sorted(items)
