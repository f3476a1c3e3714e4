import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.extract.textform import MAX_COMBINING_RUN, text_form

ANYTHING = st.text(st.characters()) | st.text(
    st.sampled_from("a\u0301\u0344\u0323\u1ea5\r\n\x0b\x85\u2028\ufeff\ud800\0 ")
)


@given(ANYTHING)
def test_the_form_holds_and_is_idempotent(text: str) -> None:
    form = text_form(text)
    assert text_form(form) == form
    assert form.encode().decode() == form
    assert unicodedata.is_normalized("NFC", form)
    assert not [char for char in form if unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t"]
    assert not {"\u2028", "\u2029", "\ufeff", "\ufffe", "\U0010ffff", "\ufdd0"} & set(form)


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Mn", "Mc", "Me", "Zl", "Zp", "Cn", "Cf"))))
def test_nothing_else_changes(text: str) -> None:
    assert text_form(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", ""),
        ("plain\ttext\n", "plain\ttext\n"),
        ("a\r\nb\rc\x0bd\x0ce\x85f\u2028g\u2029h", "a\nb\nc\nd\ne\nf\ng\nh"),
        ("a\r\r\n\nb", "a\n\n\nb"),
        ("nul\0bell\x07\x7f\x9f\ufeffend", "nulbellend"),
        ("e\u0301\u00e9", "\u00e9\u00e9"),
        ("e\x00\u0301", "\u00e9"),
        ("\ud83d\ude00 \ud83d", "\ufffd\ufffd \ufffd"),
        ("\u200b\u00ad\u200d", "\u200b\u00ad\u200d"),
        ("\ufdd0\U0001fffe\ufffd", "\ufffd"),
    ],
)
def test_examples(text: str, form: str) -> None:
    assert text_form(text) == form


def test_marks_that_come_apart_are_cut_again() -> None:
    """NFC takes U+0344 apart, so a run of 30 grows to 60."""
    form = text_form("a" + "\u0344" * MAX_COMBINING_RUN)
    assert len(form) == 1 + MAX_COMBINING_RUN
    assert text_form(form) == form


def test_a_tower_of_marks_is_cut_and_does_not_stop_a_worker() -> None:
    tower = "a" + "\u0301\u0323" * 500_000
    start = time.process_time()
    form = text_form(tower + "b" + tower)
    assert time.process_time() - start < 5
    marks = [unicodedata.combining(char) != 0 for char in form]
    assert form.count("b") == 1
    assert sum(marks) <= 2 * MAX_COMBINING_RUN
    assert unicodedata.is_normalized("NFC", form)


def test_all_combining_characters_are_known() -> None:
    highest = max(code for code in range(sys.maxunicode + 1) if unicodedata.combining(chr(code)))
    assert highest < 0x20000
