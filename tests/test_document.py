"""The document id is a hash of (source, path, offset), and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.document import document_id

GOLDEN = {
    ("web", "a/b.warc.gz", 0): "a93e8e5cd076f0eef3486d7d597ea544",
    ("web", "a/b.warc.gz", 2**40): "bc3e5ad094386026e4aee8fba6a4d0ec",
    ("büro", "päth", 7): "9a9a90a75dbf46e3649a56dfe236b815",
}


@pytest.mark.parametrize(("triple", "expected"), GOLDEN.items())
def test_ids_stay_what_they_are(triple: tuple[str, str, int], expected: str) -> None:
    assert document_id(*triple).hex() == expected


@given(st.tuples(st.text(), st.text(), st.integers(0, 2**62)), st.tuples(st.text(), st.text(), st.integers(0, 2**62)))
def test_two_records_never_share_an_id(a: tuple[str, str, int], b: tuple[str, str, int]) -> None:
    surrogates = any("\ud800" <= c <= "\udfff" for part in (*a[:2], *b[:2]) for c in part)
    if not surrogates:
        assert (document_id(*a) == document_id(*b)) == (a == b)


def test_moving_a_character_between_fields_changes_the_id() -> None:
    assert document_id("ab", "c", 1) != document_id("a", "bc", 1)
