"""Adding up runs: the same for any order, grouping and cutting, in bounded memory."""

from collections import Counter
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.text import word_counts
from pipeline.text.word_counts import Run, merge_counts
from pipeline.text.words import WORD_COUNTS


def run(counts: dict[str, int], rows: int = 1000) -> Run:
    words = sorted(counts, key=str.encode)
    table = pa.table([words, [counts[word] for word in words]], schema=WORD_COUNTS)
    return partial(table_pieces, table, rows)


def table_pieces(table: pa.Table, rows: int) -> list[pa.Table]:
    return [table.slice(i, rows) for i in range(0, len(table), rows)]


words = st.text(st.sampled_from("ab \u00e9\u4e2d\U0001f642"), min_size=1, max_size=3)
counts = st.dictionaries(words, st.integers(1, 9), max_size=30)


@settings(max_examples=150, deadline=None)
@given(st.lists(counts, max_size=9), st.integers(1, 12), st.integers(2, 4), st.randoms(use_true_random=False))
def test_sums_are_those_of_a_counter(tmp_path_factory, found, rows: int, fan_in: int, draw) -> None:
    total: Counter[str] = Counter()
    for one in found:
        total.update(one)
    runs = [run(one, rows) for one in found]
    draw.shuffle(runs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_counts, "FAN_IN", fan_in)
        merged = pa.concat_tables([WORD_COUNTS.empty_table(), *merge_counts(runs, tmp_path_factory.mktemp("runs"))])
    assert merged.schema.equals(WORD_COUNTS)
    assert merged.to_pylist() == [{"word": w, "count": total[w]} for w in sorted(total, key=str.encode)]


def test_no_more_than_a_table_of_each_run_is_held(tmp_path: Path) -> None:
    """Runs of many tables are read side by side, not one after another."""
    read = []

    def tables(name: int) -> list[pa.Table]:
        for i in range(0, 1000, 10):
            read.append(i)
            yield pa.table([[f"{j:05d}" for j in range(i, i + 10)], [name] * 10], schema=WORD_COUNTS)

    merged = merge_counts([partial(tables, 1), partial(tables, 2), partial(tables, 3)], tmp_path)
    for n, table in enumerate(merged):
        assert table["count"].to_pylist() == [6] * 10
        assert len(read) <= 3 * (n + 2)


def test_what_is_written_aside_goes(tmp_path: Path) -> None:
    runs = [run({f"w{i % 50}": 1}) for i in range(300)]
    table = pa.concat_tables(merge_counts(runs, tmp_path))
    assert table["count"].to_pylist() == [6] * 50
    assert list(tmp_path.iterdir()) == []


def test_other_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected the columns word"):
        list(merge_counts([lambda: [pa.table({"word": ["a"], "n": [1]})]], tmp_path))
