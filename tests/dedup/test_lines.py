"""Counts of lines against a dictionary, for any order and cutting of documents."""

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dedup import lines as module
from pipeline.dedup.lines import (
    LINE_COUNTS,
    Scoped,
    count_lines,
    is_repeated,
    key_ranges,
    look_up,
    merge_lines,
    scoped,
)

Document = tuple[int, str | None, list[int]]
"""Id, scope, and hashes of lines, 0 for one that has none."""


def ids_of(documents: list[Document]) -> pa.Table:
    return pa.table({"id": pa.array([key.to_bytes(16, "big") for key, _, _ in documents], pa.binary(16))})


def lines_of(documents: list[Document]) -> Scoped:
    hashes = np.array([line for _, _, own in documents for line in own], np.uint64)
    ends = np.cumsum([0, *(len(own) for _, _, own in documents)])
    return scoped(hashes, ends, ["test"], pa.array([scope for _, scope, _ in documents], pa.string()))


def run_of(documents: list[Document]) -> pa.Table:
    return count_lines([lines_of(documents)], ids_of(documents))


def merged(parts: list[list[Document]], n_ranges: int) -> list[pa.Table]:
    runs = [run_of(part) for part in parts]
    found = []
    for place in range(n_ranges):
        for low, high in key_ranges(sum(map(len, runs)), place, n_ranges):
            own = [(run, run["key"].to_numpy()) for run in runs]
            found.append(merge_lines(run.filter(pa.array((low <= keys) & (keys <= high))) for run, keys in own))
    return found


def expected(documents: list[Document], min_documents: int, min_share: float, keeps_first: bool) -> list[list[bool]]:
    holders: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    sizes: dict[str, int] = defaultdict(int)
    for key, scope, own in documents:
        if scope is not None:
            sizes[scope] += 1
            for number, line in enumerate(own):
                holders[scope, line].append((key, number))

    def goes(key: int, scope: str | None, number: int, line: int) -> bool:
        if scope is None or line == 0:
            return False
        n = len({holder for holder, _ in holders[scope, line]})
        is_first = (key, number) == min(holders[scope, line])
        return n >= min_documents and n / sizes[scope] >= min_share and not (keeps_first and is_first)

    return [[goes(key, scope, *entry) for entry in enumerate(own)] for key, scope, own in documents]


def found(parts: list[list[Document]], n_ranges: int, *rule: float) -> dict[int, list[bool]]:
    repeats = merged(parts, n_ranges)
    marks = {}
    for part in parts:
        own = lines_of(part)
        flags = is_repeated(look_up(own, ids_of(part), repeats), *rule)
        for row, (key, _, _) in enumerate(part):
            marks[key] = flags[own.ends[row] : own.ends[row + 1]].tolist()
    return marks


HASHES = [0, 1, 2, 3, 2**64 - 1]
# Ids from both ends of the range, so that a signed comparison would show; few lines, so that they repeat.
keys = st.one_of(st.integers(0, 30), st.integers(2**128 - 30, 2**128 - 1), st.just(2**127), st.just(2**63))
documents_ = st.lists(
    st.tuples(keys, st.sampled_from([None, "", "a", "b"]), st.lists(st.sampled_from(HASHES), max_size=6)),
    max_size=25,
    unique_by=lambda document: document[0],
)


@settings(max_examples=200)
@given(
    documents_,
    st.randoms(use_true_random=False),
    st.integers(1, 7),
    st.integers(1, 3),
    st.integers(2, 4),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    st.booleans(),
)
def test_marks_are_those_of_a_dictionary_for_any_order_and_cutting(
    documents: list[Document], random, size: int, n_ranges: int, min_documents: int, min_share: float, first: bool
) -> None:
    truth = dict(
        zip([key for key, _, _ in documents], expected(documents, min_documents, min_share, first), strict=True)
    )
    random.shuffle(documents)
    parts = [sorted(documents[i : i + size]) for i in range(0, len(documents), size)]
    random.shuffle(parts)
    assert found(parts, n_ranges, min_documents, min_share, first) == truth


@settings(max_examples=50)
@given(documents_, st.randoms(use_true_random=False), st.integers(1, 7))
def test_repeats_have_the_same_bytes_for_any_cutting(documents: list[Document], random, size: int) -> None:
    whole = merge_lines([run_of(sorted(documents))])
    assert whole.schema.equals(LINE_COUNTS)
    random.shuffle(documents)
    parts = [sorted(documents[i : i + size]) for i in range(0, len(documents), size)]
    assert pa.concat_tables([LINE_COUNTS.empty_table(), *merged(parts, 3)]).equals(whole)


def test_memory_bounds_the_rows_that_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    parts = [
        [(1000 * part + i, "", rng.integers(1, 5000, 20, np.uint64).tolist()) for i in range(30)] for part in range(9)
    ]
    whole = pa.concat_tables(merged(parts, 1))
    monkeypatch.setattr(module, "MERGE_ROWS", 100)
    runs = [run_of(part) for part in parts]
    sizes = []
    real = pa.concat_tables
    monkeypatch.setattr(module.pa, "concat_tables", lambda tables: real([sizes.append(len(t)) or t for t in tables]))
    pieces = merged(parts, 2)
    monkeypatch.undo()
    assert len(pieces) > sum(map(len, runs)) / 100
    assert np.add.reduceat(sizes, range(0, len(sizes), len(parts) + 1)).max() < 200
    assert pa.concat_tables(pieces).equals(whole)


@pytest.mark.parametrize(("n_full", "n_places"), [(0, 1), (1, 3), (5, 1), (7, 4)])
def test_ranges_hold_every_key_once(n_full: int, n_places: int) -> None:
    n_rows = n_full * module.MERGE_ROWS
    bounds = [pair for place in range(n_places) for pair in key_ranges(n_rows, place, n_places)]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == 2**64 - 1
    assert all(before[1] + 1 == after[0] for before, after in pairwise(bounds))
    assert len(bounds) * module.MERGE_ROWS >= n_rows


def test_a_line_a_million_times_is_one_row_for_each_part() -> None:
    parts: list[list[Document]] = [[(1000 * part + i, "", [7] * 1000) for i in range(500)] for part in range(2)]
    runs = [run_of(part) for part in parts]
    assert [len(run) for run in runs] == [2, 2]  # the line, and how many documents there are
    (table,) = merged(parts, 1)
    assert sorted(table["n_documents"].to_pylist()) == [1000, 1000]
    flags = found(parts, 1, 2, 0.0, True)
    assert flags[0] == [False] + [True] * 999
    assert sum(map(sum, flags.values())) == 999_999


def test_groups_are_counted_apart() -> None:
    hashes, ends = np.array([5, 5], np.uint64), np.array([0, 1, 2])
    scopes = pa.array(["a", "a"], pa.string())
    groups = [scoped(hashes, ends, group, scopes) for group in (["site"], ["site", "web"], ["site", "web", "a"])]
    assert len({int(group.keys[0]) for group in groups} | {int(group.wholes[0]) for group in groups}) == 6
    run = count_lines(groups, pa.table({"id": pa.array([bytes(16), b"\1" * 16], pa.binary(16))}))
    assert run["n_documents"].to_pylist() == [2] * 6


def test_nothing_to_count() -> None:
    assert run_of([]).num_rows == 0
    assert merge_lines([]).equals(LINE_COUNTS.empty_table())
    assert found([[(1, None, [1, 1]), (2, None, [1])]], 1, 2, 0.0, False) == {1: [False, False], 2: [False]}
