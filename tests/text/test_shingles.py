"""Shingle hashes against their definition, written with the standard library."""

import re
import unicodedata
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from datatrove.utils.text import simplify_text
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.text.characters import unicode_version
from pipeline.text.shingles import shingle_hashes

WORD_BITS = 2**64 - 1
BLOCKS = r"\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
ALONE = re.compile(rf"([{BLOCKS}\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])")


def fmix64(h: int) -> int:
    h = (h ^ (h >> 33)) * 0xFF51AFD7ED558CCD & WORD_BITS
    h = (h ^ (h >> 33)) * 0xC4CEB9FE1A85EC53 & WORD_BITS
    return h ^ (h >> 33)


def word_hash(word: str) -> int:
    h = 0xCBF29CE484222325
    for byte in word.encode():
        h = (h ^ byte) * 0x100000001B3 & WORD_BITS
    return fmix64(h)


def shingle_hash(words: list[str]) -> int:
    total = 0
    for word in words:
        total = (total * 0x9E3779B97F4A7C15 + word_hash(word)) & WORD_BITS
    mixed = fmix64(total)
    return (mixed ^ (mixed >> 32)) & 0xFFFFFFFF


def shingles(words: list[str], n: int) -> list[int]:
    if len(words) < n:
        return [shingle_hash(words)] if words else []
    return [shingle_hash(words[i : i + n]) for i in range(len(words) - n + 1)]


def hashes(texts: list[str], n: int = 5) -> list[list[int]]:
    flat, offsets = shingle_hashes(pa.array(texts, pa.large_string()), n)
    assert flat.dtype == np.uint32
    assert offsets.dtype == np.int64
    assert (offsets[0], offsets[-1], len(offsets)) == (0, len(flat), len(texts) + 1)
    return [flat[a:b].tolist() for a, b in pairwise(offsets)]


def datatrove_words(text: str) -> list[str]:
    """Words of datatrove's simplified text: runs of letters, digits and spacing marks; some letters alone."""
    words = ALONE.sub(r" \1 ", simplify_text(text))
    kept = "".join(ch if ch.isalnum() or unicodedata.category(ch) == "Mc" else " " for ch in words)
    return kept.split()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n\t ,;!", []),
        ("Hello, World", ["hello", "world"]),
        ("Ça coûte 1,234.50 € ou 12", ["ca", "coute", "0", "0", "ou", "0"]),
        ("a1b22c333", ["a0b0c0"]),
        ("3.14 1.2.3 7. x", ["0", "0", "0", "0", "x"]),
        ("٣٫١٤ ๑๒", ["0", "0"]),
        ("don't under_score e-mail", ["don", "t", "under", "score", "e", "mail"]),
        ("你好，world世界", ["你", "好", "world", "世", "界"]),
        ("ガーかな", ["カ", "ー", "か", "な"]),
        ("ที่นี่", ["ท", "น"]),
        ("soft\u00adhyphen می\u200cخواهم", ["softhyphen", "میخواهم"]),
        ("Việt Nam ΣΊΣΥΦΟΣ Ёлка", ["viet", "nam", "σισυφοσ", "елка"]),
        ("한국어 हिन्दी", ["한국어", "हिनदी"]),
        ("🙂 x 😀", ["x"]),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    for n in (1, 2, 5):
        assert hashes([text], n) == [shingles(words, n)]


PIECES = st.sampled_from(
    [
        "Word",
        "naïve",
        "Ünï",
        "12",
        "3,4",
        "5.",
        "٣",
        "中文",
        "ไทย",
        "かな",
        "-",
        "…",
        "“",
        "\n",
        " ",
        "é",
        "x_y",
        "Ж",
        "ß",
        "²",
        "´",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=30), st.integers(1, 6))
def test_words_are_those_of_datatroves_simplified_text(pieces: list[str], n: int) -> None:
    text = unicodedata.normalize("NFC", "".join(pieces))
    assert hashes([text], n) == [shingles(datatrove_words(text), n)]


@pytest.mark.skipif(unicodedata.unidata_version != unicode_version(), reason="this Python has another Unicode version")
def test_every_character_is_simplified_as_by_datatrove() -> None:
    """All letters, numbers and punctuation of the basic plane, each between two words.

    Left out: Hangul and marks that decompose into several characters (they stay as they are), and the characters
    that the module says it treats otherwise: invisible ones and the letters of its list of scripts without spaces.
    """
    chosen = []
    for point in range(0x21, 0xFFFF):
        char = chr(point)
        text = f"a{char}b c"
        left = [d for d in unicodedata.normalize("NFD", char.lower()) if unicodedata.category(d) != "Mn"]
        plain = unicodedata.category(char)[0] in "LNPSZ" and len(left) <= 1 and not ALONE.match(char)
        if plain and unicodedata.normalize("NFC", text) == text:
            chosen.append(text)
    assert len(chosen) > 11_000
    wrong = [
        text
        for text, found in zip(chosen, hashes(chosen, 1), strict=True)
        if found != shingles(datatrove_words(text), 1) and not alone_by_unicode(text[1])
    ]
    assert wrong == []


def alone_by_unicode(char: str) -> bool:
    name = unicodedata.name(char, "")
    return name.startswith(("HALFWIDTH KATAKANA", "MYANMAR"))


def test_texts_do_not_touch_each_other() -> None:
    texts = ["one two three", "", "four", "five six seven eight nine ten", "中"]
    apart = [hashes([text], 3)[0] for text in texts]
    assert hashes(texts, 3) == apart
    column = pa.array(texts, pa.large_string())[1:4]
    flat, offsets = shingle_hashes(column, 3)
    assert flat.tolist() == [h for part in apart[1:4] for h in part]
    assert offsets.tolist() == [0, 0, 1, 5]
    assert shingle_hashes(column[:0], 3)[1].tolist() == [0]


@pytest.mark.parametrize("unit", ["a ", "中", "a中", "1 ", "ｱ", "𠀀"])
@pytest.mark.parametrize("count", [1, 2, 3, 1000])
def test_the_densest_texts_fit(unit: str, count: int) -> None:
    """Texts with the most words for their bytes do not overrun the arrays set aside for them."""
    text = unit * count
    n_words = count * len(unit.strip())
    assert len(hashes([text, text[:-1], text], 1)[0]) == n_words


def test_invalid_utf8_stays_within_bounds() -> None:
    for tail in (b"\xf0\x9f", b"\xe4", b"\xff\xff", b"\xf7\xbf\xbf\xbf", b"\x80"):
        data = b"word " + tail
        offsets = pa.py_buffer(np.array([0, len(data)], np.int64))
        flat, _ = shingle_hashes(pa.LargeStringArray.from_buffers(1, offsets, pa.py_buffer(data)), 1)
        assert flat[0] == shingle_hash(["word"])


def test_shingles_hold_at_least_one_word() -> None:
    with pytest.raises(ValueError, match="ngram_words is 0"):
        shingle_hashes(pa.array(["x"], pa.large_string()), 0)
