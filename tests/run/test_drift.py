"""Warnings about planted drift, and silence where there is none."""

from typing import Any

import pytest

from pipeline.run import drift


def counts(records: int = 1000, kept: int = 500, **ends: int) -> dict[str, Any]:
    """Of one source, `web`; `ends` are fates and drop reasons; the rest of the records is dropped as `other`."""
    fates = {name: n for name, n in ends.items() if name.startswith(("extract_", "no_"))}
    dropped = {name: n for name, n in ends.items() if name not in fates}
    extracted = records - sum(fates.values())
    dropped["other"] = extracted - kept - sum(dropped.values())
    assert dropped["other"] >= 0
    return {
        "records": {"web": records},
        "fates": {"web": fates},
        "extracted": {"web": extracted},
        "dropped": {"web": dropped},
        "documents": {"web": kept},
    }


def test_failures_over_two_per_cent_of_pages_are_named() -> None:
    (warning,) = drift.failures(counts(extract_timeout=15, extract_crashed=6, no_text=100))
    assert (warning.kind, warning.source) == ("extract_failures", "web")
    assert "21 of 1,000 pages (2.1%" in warning.message and "extract_timeout (15)" in warning.message
    assert list(drift.failures(counts(extract_timeout=20))) == []  # 2 % is not over 2 %
    assert list(drift.failures(counts(no_text=400))) == []


def test_records_that_are_no_pages_do_not_hide_failures() -> None:
    found = counts(extract_error=3, no_page=900, kept=50)  # of 100 pages
    assert [w.kind for w in drift.failures(found)] == ["extract_failures"]
    assert list(drift.failures(found, min_pages=101)) == []


def test_an_empty_source_is_named_with_its_reasons() -> None:
    (warning,) = drift.empty(counts(kept=0, short=990, no_text=10), ["web"])
    assert (
        warning.kind == "empty"
        and "none of 1,000 records" in warning.message
        and "(short 990, no_text 10" in (warning.message)
    )
    assert [w.message for w in drift.empty({}, ["web"])] == [
        "web: its files hold no records; see its path in the recipe"
    ]
    assert list(drift.empty(counts(), ["web"])) == []


@pytest.mark.parametrize(
    ("now", "last", "warns"),
    [
        (counts(1000, 500), counts(1000, 500), False),
        (counts(1000, 390), counts(1000, 500), False),  # significant, but not far
        (counts(1000, 370), counts(1000, 500), True),
        (counts(1000, 640), counts(1000, 500), True),  # far up is suspicious, too
        (counts(20, 6), counts(1000, 500), False),  # far, but chance does that
        (counts(1000, 0), counts(1000, 500), True),
        (counts(1000, 500), counts(0, 0), False),
    ],
)
def test_a_yield_warns_if_it_is_far_and_no_chance(now: dict[str, Any], last: dict[str, Any], warns: bool) -> None:
    assert bool(list(drift.yields(now, last))) == warns


def test_a_yield_warning_has_both_numbers_and_what_moved() -> None:
    (warning,) = drift.yields(counts(2000, 400, short=1400), counts(1000, 500, short=100))
    assert "web: 20.0% of 2,000 records were kept, in the last version 50.0% of 1,000" in warning.message
    assert "(most changed: short, 10.0% -> 70.0%)" in warning.message


def test_tokens_a_document_are_compared_where_there_are_enough() -> None:
    def made(documents: int, tokens: int) -> dict[str, Any]:
        cell = {"cell": "web", "documents": documents // 2, "tokens": tokens // 2}
        return {"cells": [{**cell, "split": "train"}, {**cell, "split": "validation"}]}

    (warning,) = drift.tokens(made(2000, 2_000_000), made(2000, 800_000))
    assert "1,000 tokens a document, in the last version 400" in warning.message
    assert list(drift.tokens(made(2000, 900_000), made(2000, 800_000))) == []
    assert list(drift.tokens(made(900, 900_000), made(2000, 800_000))) == []
