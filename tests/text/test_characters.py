import sys
import unicodedata

import numpy as np
import pytest

from pipeline.text import characters as c

SAMPLES = "aZ_0٣½ \n\u2028é中あア한งກક「!$…\u0301\U0001f600ſİΣ"


@pytest.fixture(scope="module")
def tables() -> c.CharacterTables:
    return c.character_tables()


POINTS = [*range(0x20000), *range(0x20000, sys.maxunicode + 1, 101)]


def chars_with(tables: c.CharacterTables, bit: int) -> set[int]:
    return set(np.flatnonzero(tables.flags & bit).tolist()) & set(POINTS)


@pytest.mark.skipif(
    unicodedata.unidata_version != c.unicode_version(),
    reason=f"this Python has Unicode {unicodedata.unidata_version}, the tables {c.unicode_version()}",
)
def test_flags_are_those_of_this_python(tables: c.CharacterTables) -> None:
    assert chars_with(tables, c.LETTER) == {p for p in POINTS if chr(p).isalpha()}
    assert chars_with(tables, c.DIGIT) == {p for p in POINTS if chr(p).isdecimal()}
    assert chars_with(tables, c.SPACE) == {p for p in POINTS if chr(p).isspace()}
    assert chars_with(tables, c.PUNCTUATION) == {p for p in POINTS if unicodedata.category(chr(p))[0] == "P"}
    assert chars_with(tables, c.NONSPACING_MARK) == {p for p in POINTS if unicodedata.category(chr(p)) == "Mn"}
    assert chars_with(tables, c.LINE_BREAK) == {p for p in POINTS if chr(p).splitlines() == [""]}
    assert all(tables.lower[p] == ord(chr(p).lower()[0]) for p in POINTS)


def test_base_letters(tables: c.CharacterTables) -> None:
    assert "".join(chr(tables.base[ord(char)]) for char in "éÅçñǖøß中 1") == "eAcnuøß中 1"


def test_scripts_without_spaces(tables: c.CharacterTables) -> None:
    flags = {char: int(tables.flags[ord(char)]) for char in SAMPLES}
    assert {char for char in SAMPLES if flags[char] & c.IDEOGRAPH} == {"中"}
    assert {char for char in SAMPLES if flags[char] & c.KANA} == {"あ", "ア"}
    assert {char for char in SAMPLES if flags[char] & c.UNSPACED} == {"ง", "ກ"}


def test_tables_are_whole_and_read_only(tables: c.CharacterTables) -> None:
    assert [len(table) for table in tables] == [c.N_CODE_POINTS] * 3
    with pytest.raises(ValueError, match="read-only"):
        tables.flags[0] = 1
