"""Hashes of lines against their definition, and texts without lines against plain Python."""

import time
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.text import line_hashes
from pipeline.text.line_hashes import MAX_LINE_BYTES, hash_lines, joined, spans_without
from pipeline.text.spans import apply_spans
from tests.text.test_shingles import PIECES, datatrove_words, word_hash

TEXTS = st.lists(PIECES | st.sampled_from(["\n", "\r\n", "\n\n"]), max_size=30).map(
    lambda pieces: unicodedata.normalize("NFC", "".join(pieces))
)


def column(texts: list[str]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def line_hash(line: str, min_words: int) -> int:
    words = datatrove_words(line)
    total = 0
    for word in words:
        total = (total * 0x9E3779B97F4A7C15 + word_hash(word)) % 2**64
    return total if len(words) >= min_words else 0


@given(st.lists(TEXTS, max_size=5), st.integers(1, 4))
def test_hashes_are_those_of_the_simplified_words(texts: list[str], min_words: int) -> None:
    found = hash_lines(column(texts), min_words)
    lines = [text.split("\n") for text in texts]
    assert found.hashes.tolist() == [line_hash(line, min_words) for own in lines for line in own]
    assert found.ends.tolist() == [0, *np.cumsum([len(own) for own in lines]).tolist()]
    sizes = [len(line.encode()) + (i + 1 < len(own)) for own in lines for i, line in enumerate(own)]
    assert found.n_bytes.tolist() == sizes


@given(st.lists(TEXTS, max_size=6), st.integers(0, 3), st.integers(0, 3))
def test_neighbours_and_slices_change_nothing(texts: list[str], skip: int, cut: int) -> None:
    whole, sliced = column(texts), column(["x\ny", *texts])[1:]
    expected = hash_lines(whole, 1)
    for found in (hash_lines(sliced, 1), joined([hash_lines(whole[:cut], 1), hash_lines(whole[cut:], 1)])):
        assert [part.tolist() for part in found] == [part.tolist() for part in expected]
    own = hash_lines(whole[skip:], 1)
    assert own.hashes.tolist() == expected.hashes[expected.ends[min(skip, len(texts))] :].tolist()


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("Read more!", "READ   MORE"),
        ("Posted on 12.5.2024 by Ann", "Posted on 3.11.1999 by Ann"),
        ("Déjà vu", "deja vu"),
        ("All rights reserved.\r", "All rights reserved"),
        ("soft\u00adhyphen", "softhyphen"),
    ],
)
def test_lines_that_say_the_same(line: str, same: str) -> None:
    first, second = hash_lines(column([line, same]), 1).hashes
    assert first == second != 0


@pytest.mark.parametrize("other", ["more read", "read", "read more more", "read mor e", "readmore"])
def test_lines_that_do_not(other: str) -> None:
    first, second = hash_lines(column(["read more", other]), 1).hashes
    assert first != second


def test_a_huge_line_has_no_hash_and_needs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    size = MAX_LINE_BYTES // 2
    sizes = []
    monkeypatch.setattr(line_hashes, "_hash_lines", lambda *given: sizes.append(given[4].nbytes))
    hash_lines(column(["a " * 40 * size]), 1)
    assert sizes[0] < 5 * MAX_LINE_BYTES
    monkeypatch.undo()
    hashes = hash_lines(column(["a " * size, "a " * size + "b", "one\n" + "中" * size + "\none"]), 1).hashes
    assert (hashes != 0).tolist() == [True, False, True, False, True]
    assert hashes[2] == hashes[4]


def test_a_line_has_a_word_at_least() -> None:
    with pytest.raises(ValueError, match="min_words is 0"):
        hash_lines(column(["x"]), 0)


def without(text: str, dropped: list[bool]) -> str:
    """What `spans_without` says of one text."""
    lines = text.split("\n")
    if not any(dropped[: len(lines)]):
        return text
    kept: list[str] = []
    behind = False
    for line, gone in zip(lines, dropped, strict=False):
        if gone:
            behind = True
        elif line.strip() or not behind or (kept and kept[-1].strip()):
            kept.append(line)
            behind = False
    ends_in_newline = kept and len(kept) < len(lines)
    return ("\n".join(kept) + "\n" * bool(ends_in_newline)).strip()


SHORT = st.lists(st.sampled_from(["a b", "é", "\n", "\n", " ", "\u3000", "x"]), max_size=14).map("".join)


@given(st.lists(st.tuples(SHORT, st.lists(st.booleans(), min_size=15, max_size=15)), max_size=5))
@example([("A\n\nB\n\nC", [False, False, True, False, False] + [False] * 10)])
@example([("A\nB\n\nC", [False, True, False, False] + [False] * 11)])
def test_what_is_left_of_texts(given_: list[tuple[str, list[bool]]]) -> None:
    texts = column([text for text, _ in given_])
    dropped = [flag for text, flags in given_ for flag in flags[: text.count("\n") + 1]]
    spans = spans_without(texts, np.array(dropped, np.bool_), hash_lines(texts, 1).ends)
    spans.validate(full=True)
    assert apply_spans(texts, spans).to_pylist() == [without(text, flags) for text, flags in given_]
    for (text, _), bounds in zip(given_, spans.to_pylist(), strict=True):
        assert bounds is None or bounds != [0, len(text.encode())]


def test_a_paragraph_stays_one_when_a_line_between_two_goes() -> None:
    texts = column(["A\n\nmenu\n\nB", "A\nmenu\n\nB", "A\nmenu\nB", "menu\n\nA", "A\n\nmenu", "menu"])
    hashes = hash_lines(texts, 1)
    (menu,) = hash_lines(column(["menu"]), 1).hashes
    left = apply_spans(texts, spans_without(texts, hashes.hashes == menu, hashes.ends)).to_pylist()
    assert left == ["A\n\nB", "A\n\nB", "A\nB", "A", "A", ""]


def test_marks_of_other_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="1 texts and 1 marks, but lines of 2 texts"):
        spans_without(column(["a"]), np.zeros(1, np.bool_), np.array([0, 1, 2]))


@pytest.mark.parametrize("unit", ["\n", "a\n", " \n", " ", "a ", "1,", "中", "\n\n\n a"])
def test_time_is_linear(unit: str) -> None:
    texts = column([unit * (4_000_000 // len(unit))])
    start = time.process_time()
    found = hash_lines(texts, 1)
    spans_without(texts, found.hashes != 0, found.ends)
    assert time.process_time() - start < 10
