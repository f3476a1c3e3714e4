from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.text import words as module
from pipeline.text.words import MAX_WORD_CHARS, WORD_COUNTS, count_words, piece_end


def pieces(text: str) -> list[str]:
    data, classes, out, start = np.frombuffer(text.encode(), np.uint8), module._classes(), [], 0
    while start < len(data):
        stop = piece_end(data, start, len(data), classes)
        out.append(bytes(data[start:stop]).decode())
        start = stop
    return out


def counted(texts: list[str]) -> pa.Table:
    return count_words(pa.array(texts, pa.large_string()))


def expected(texts: list[str]) -> list[dict[str, object]]:
    counts = Counter(piece for text in texts for piece in pieces(text))
    return [{"word": word, "count": counts[word]} for word in sorted(counts, key=str.encode)]


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", []),
        ("Hello, world.", ["Hello,", " world."]),
        (" a  b ", [" a", "  b", " "]),
        ("a\n\nb\tc  \n    d", ["a", "\n", "\n", "b", "\t", "c", "  ", "\n", "    d"]),
        ("你好，世界。 再见！ok", ["你好", "，", "世界", "。", " 再见", "！ok"]),
        ("「ガー」と　言う・人々", ["「", "ガー", "」", "と", "\u3000", "言う", "・", "人々"]),
        ("ภาษาไทย(ที่)นี่", ["ภาษาไทย", "(", "ที่", ")", "นี่"]),
        ("用Python3写", ["用Python3写"]),
        ("x" * 600, ["x" * 256, "x" * 256, "x" * 88]),
        (" " + "中" * 256 + "a", [" " + "中" * 255, "中a"]),
    ],
)
def test_where_a_text_is_cut(text: str, cut: list[str]) -> None:
    assert pieces(text) == cut


texts = st.text(st.sampled_from("ab,. \n\t中文。ไท「カ́é🙂\u3000\u00a01") | st.characters(codec="utf-8"), max_size=60)


@settings(max_examples=300, deadline=None)
@given(texts)
def test_the_pieces_are_the_text(text: str) -> None:
    cut = pieces(text)
    assert "".join(cut) == text
    for piece in cut:
        assert " " not in piece.lstrip(" ")
        assert piece in "\n\t" or not set(piece) & set("\n\t")


@settings(max_examples=300, deadline=None)
@given(texts, texts)
def test_a_cut_depends_on_its_two_neighbours_only(left: str, right: str) -> None:
    """So that a model trained on pieces has no token that a cut elsewhere would forbid."""
    text = left + right

    def cuts(text: str) -> set[int]:
        ends = np.cumsum([len(piece) for piece in pieces(text)])
        return set(ends.tolist()) - {len(text)}

    neighbours = {position for position, pair in enumerate(pairwise(text), 1) if len(pieces("".join(pair))) == 2}
    assert cuts(text) == neighbours


@settings(max_examples=100, deadline=None)
@given(st.lists(texts, max_size=8))
def test_counts_are_those_of_a_counter(texts: list[str]) -> None:
    result = counted(texts)
    assert result.schema.equals(WORD_COUNTS)
    result.validate(full=True)
    assert result.to_pylist() == expected(texts)


def test_many_distinct_words_make_the_table_grow() -> None:
    texts = [" ".join(f"w{(i * j) % 30_011}" for i in range(1, 3000)) for j in range(1, 40)]
    assert counted(texts).to_pylist() == expected(texts)


def test_sliced_texts() -> None:
    texts = ["left out", "one two", "", "two three\n", "left out"]
    assert count_words(pa.array(texts, pa.large_string())[1:4]).to_pylist() == expected(texts[1:4])
    assert counted([]).equals(WORD_COUNTS.empty_table())
    assert counted([""]).num_rows == 0


def test_bound_fits_a_sentencepiece_line() -> None:
    assert len(("\U0001f642" * MAX_WORD_CHARS).encode()) < 4192
