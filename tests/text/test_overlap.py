"""N-grams of items in texts, and the lines that they touch, against their definition in plain Python."""

import unicodedata

import numpy as np
import pyarrow as pa
from datatrove.utils.text import TextNormConfig, simplify_text
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.text.ngram_index import NgramIndex, ngram_index, text_ngrams
from pipeline.text.overlap import find_ngrams, spans_without
from pipeline.text.spans import apply_spans
from tests.text.test_shingles import ALONE

Ngram = tuple[str, ...]

WORDS = st.sampled_from(["a", "B", "á", "c", "12", "13", "3.5", "中文", "ไท", "-", ".", "\n", "\n\n", " \n "])
TEXTS = st.lists(st.lists(WORDS, max_size=40).map(" ".join), max_size=4)


def large(texts: list[str]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def words_of(text: str) -> list[str]:
    """Words as in tests/text/test_shingles.py, digits as they are."""
    simple = simplify_text(unicodedata.normalize("NFC", text), TextNormConfig(norm_numbers=False))
    words = ALONE.sub(r" \1 ", simple)
    return "".join(ch if ch.isalnum() or unicodedata.category(ch) == "Mc" else " " for ch in words).split()


def ngrams_of(text: str, ngram_words: int, min_words: int) -> list[Ngram]:
    words = words_of(text)
    width = min(ngram_words, len(words))
    return [tuple(words[i : i + width]) for i in range(len(words) - width + 1)] if len(words) >= min_words else []


def indexed(items: list[str], ngram_words: int, min_words: int) -> tuple[NgramIndex, list[Ngram]]:
    """The index of all n-grams of `items`, and which n-gram each of its numbers stands for."""
    hashes, anchors, sizes, offsets = text_ngrams(large(items), ngram_words, min_words)
    expected = [ngrams_of(item, ngram_words, min_words) for item in items]
    assert np.diff(offsets).tolist() == [len(ngrams) for ngrams in expected]
    flat = [ngram for ngrams in expected for ngram in ngrams]
    assert sizes.tolist() == [len(ngram) for ngram in flat]
    different, first = np.unique(hashes, return_index=True)
    assert len(different) == len(set(flat))
    index = ngram_index(different, anchors[first], sizes[first], min_words)
    return index, [flat[i] for i in first]


@settings(max_examples=300)
@given(TEXTS, TEXTS, st.integers(1, 6), st.integers(1, 6))
def test_texts_hold_the_n_grams_of_their_definition(
    items: list[str], texts: list[str], ngram_words: int, min_words: int
) -> None:
    min_words = min(min_words, ngram_words)
    index, named = indexed(items, ngram_words, min_words)
    wanted = set(named)
    texts = [*texts, *items, " ".join(items)]
    found = find_ngrams(large(texts), index)
    spans = spans_without(large(texts), index)
    left = apply_spans(large(texts), spans).to_pylist()
    assert spans.is_null().to_pylist() == [text == rest for text, rest in zip(texts, left, strict=True)]
    for i, text in enumerate(texts):
        lines = text.splitlines(keepends=True)
        words = [(word, line) for line, part in enumerate(lines) for word in words_of(part)]
        held, covered = set(), set()
        for first in range(len(words)):
            for width in {len(ngram) for ngram in wanted}:
                ngram = tuple(word for word, _ in words[first : first + width])
                if ngram in wanted and len(ngram) == width:
                    held.add(ngram)
                    covered |= set(range(first, first + width))
        numbers = found.ngrams[found.offsets[i] : found.offsets[i + 1]].tolist()
        assert len(numbers) == len(set(numbers))
        assert {named[n] for n in numbers} == held
        assert (found.n_words[i], found.n_covered[i]) == (len(words), len(covered))
        hit_lines = {words[word][1] for word in covered}
        assert left[i] == "".join(line for n, line in enumerate(lines) if n not in hit_lines)


def test_texts_do_not_touch_each_other() -> None:
    index, _ = indexed(["one two three four", "中文字典"], 3, 2)
    column = large(["four one two", "three", "", "one two three\nfour\nfive", "一中文字。典"])
    apart = [find_ngrams(column[i : i + 1], index) for i in range(len(column))]
    for start, end in ((0, 5), (1, 4), (3, 5), (2, 2)):
        found = find_ngrams(column[start:end], index)
        assert found.ngrams.tolist() == [n for one in apart[start:end] for n in one.ngrams]
        assert found.n_covered.tolist() == [one.n_covered[0] for one in apart[start:end]]
        assert found.offsets[-1] == len(found.ngrams)
    assert [one.n_covered[0] for one in apart] == [0, 0, 0, 4, 4]
    assert apply_spans(column[3:], spans_without(column[3:], index)).to_pylist() == ["five", ""]


def test_more_n_grams_than_there_is_room_for_at_first() -> None:
    item = " ".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}" for n in range(5000))
    index, named = indexed([item], 13, 8)
    found = find_ngrams(large(["nothing here", item + " " + item, item]), index)
    assert np.diff(found.offsets).tolist() == [0, len(named), len(named)]
    assert len(named) == 4988
    assert found.n_covered.tolist() == [0, 10_000, 5000]


def test_an_index_without_n_grams_finds_nothing() -> None:
    index, named = indexed(["too short", ""], 13, 8)
    assert named == []
    found = find_ngrams(large(["too short to hold any of the eight words"]), index)
    assert (found.n_words.tolist(), found.n_covered.tolist(), len(found.ngrams)) == ([9], [0], 0)
    assert spans_without(large(["too short", ""]), index).null_count == 2
