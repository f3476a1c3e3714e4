"""Packing: every token predicted exactly once, rows never over-full, nearly all places used."""

import gzip
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.packing import concat
from pipeline.packing.pack import Packed, blocks, fill, order_rows, pack

LENGTHS = st.lists(st.integers(2, 200), max_size=80)


def utilisation(packed: Packed, seq_len: int) -> float:
    """The share of places that hold a token of a document; 1.0 for no rows."""
    n_places = (packed.row_offsets.size - 1) * (seq_len + 1)
    return float(packed.piece_length.sum() / n_places) if n_places else 1.0


def ids_of(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, 16), dtype=np.uint8)


def unpack(packed: Packed) -> list[tuple[int, int, int]]:
    """(document, start, length) of every piece, sorted."""
    return sorted(
        zip(packed.piece_document.tolist(), packed.piece_start.tolist(), packed.piece_length.tolist(), strict=True)
    )


def assert_each_token_is_predicted_once(packed: Packed, lengths: list[int], seq_len: int) -> None:
    """A piece predicts all of its tokens but the first; so pieces share one token with the piece before."""
    covered = [1] * len(lengths)
    for document, start, length in unpack(packed):
        assert start == covered[document] - 1 and length >= 2
        covered[document] += length - 1
    assert covered == lengths
    row_tokens = np.add.reduceat(packed.piece_length, packed.row_offsets[:-1]) if packed.piece_length.size else []
    assert all(0 < n <= seq_len + 1 for n in row_tokens)
    assert packed.row_offsets[0] == 0 and packed.row_offsets[-1] == packed.piece_length.size


@settings(deadline=None)
@given(LENGTHS, st.integers(16, 40))
def test_every_token_is_predicted_exactly_once(lengths: list[int], seq_len: int) -> None:
    packed = pack(lengths, seq_len)
    assert_each_token_is_predicted_once(packed, lengths, seq_len)
    assert_each_token_is_predicted_once(order_rows(packed, ids_of(len(lengths)), 5), lengths, seq_len)
    assert_each_token_is_predicted_once(concat.pack(lengths, seq_len), lengths, seq_len)


def test_only_documents_longer_than_a_row_are_cut() -> None:
    packed = pack([17, 18, 40, 3, 33], seq_len=16)
    cut = [(1, 0, 17), (1, 16, 2), (2, 0, 17), (2, 16, 17), (2, 32, 8), (4, 0, 17), (4, 16, 17)]
    assert unpack(packed) == sorted([(0, 0, 17), *cut, (3, 0, 3)])
    assert packed.row_offsets.size - 1 == 7


def textbook_concat(lengths: list[int], capacity: int) -> list[list[tuple[int, int, int]]]:
    """(document, start, length) of the pieces of each row, one token at a time."""
    rows: list[list[tuple[int, int, int]]] = [[]]
    room = capacity
    for document, n in enumerate(lengths):
        start = 0
        while start < n - 1 or start == 0:
            if room < 2:
                rows.append([])
                room = capacity
            length = min(n - start, room)
            rows[-1].append((document, start, length))
            room -= length
            start += length - 1
    return [row for row in rows if row]


@settings(max_examples=300, deadline=None)
@given(LENGTHS, st.integers(16, 40))
def test_rows_of_the_plain_method_are_documents_end_to_end(lengths: list[int], seq_len: int) -> None:
    packed = concat.pack(lengths, seq_len)
    pieces = list(
        zip(packed.piece_document.tolist(), packed.piece_start.tolist(), packed.piece_length.tolist(), strict=True)
    )
    rows = [pieces[a:b] for a, b in pairwise(packed.row_offsets.tolist())]
    assert rows == textbook_concat(lengths, seq_len + 1)
    used = [sum(length for _, _, length in row) for row in rows]
    assert all(n >= seq_len for n in used[:-1])  # at most one place of a row stays empty


def textbook_best_fit(lengths: list[int], capacity: int) -> list[int]:
    """Room left in each row by best-fit-decreasing as textbooks state it, one item at a time; sorted."""
    room: list[int] = []
    for size in sorted(lengths, reverse=True):
        fitting = [k for k, r in enumerate(room) if r >= size]
        if fitting:
            room[min(fitting, key=lambda k: room[k])] -= size
        else:
            room.append(capacity - size)
    return sorted(room)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(2, 33), max_size=120), st.integers(32, 60))
def test_rows_are_those_of_textbook_best_fit_decreasing(lengths: list[int], seq_len: int) -> None:
    packed = pack(lengths, seq_len)
    used = np.add.reduceat(packed.piece_length, packed.row_offsets[:-1]) if lengths else np.empty(0, np.int64)
    assert sorted((seq_len + 1 - used).tolist()) == textbook_best_fit(lengths, seq_len + 1)


@pytest.mark.parametrize("seq_len", [512, 1024, 2048, 8192])
def test_documents_of_web_length_use_nearly_all_places(seq_len: int) -> None:
    """Token counts of web pages are close to log-normal; median 545, mean 1,000 here."""
    lengths = np.random.default_rng(1).lognormal(6.3, 1.1, 100_000).astype(np.int64) + 2
    assert utilisation(pack(lengths, seq_len), seq_len) >= 0.999


def test_real_documents_use_nearly_all_places(shared_data: Path) -> None:
    lengths = []
    for name in ("code/debian-packages", "wiki/wikitext-articles", "papers/jats-articles"):
        with gzip.open(shared_data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            lengths += [len(json.loads(line)["text"]) // 3 + 2 for line in lines]
    assert utilisation(pack(lengths, 1024), 1024) >= 0.995
    assert utilisation(concat.pack(lengths, 1024), 1024) >= 0.995


def test_time_grows_with_documents_and_not_faster(benchmark_seconds: Callable[[Callable[[], object]], float]) -> None:
    lengths = np.random.default_rng(2).integers(2, 1_000_000, 20_000)
    small = benchmark_seconds(lambda: pack(lengths, 1_048_576))
    large = benchmark_seconds(lambda: pack(np.tile(lengths, 8), 1_048_576))
    assert large < 40 * small + 0.5
    small = benchmark_seconds(lambda: concat.pack(lengths, 1_048_576))
    large = benchmark_seconds(lambda: concat.pack(np.tile(lengths, 8), 1_048_576))
    assert large < 40 * small + 0.5


@pytest.fixture
def benchmark_seconds() -> Callable[[Callable[[], object]], float]:
    import time

    def least_of_three(work: Callable[[], object]) -> float:
        times = []
        for _ in range(3):
            begin = time.perf_counter()
            work()
            times.append(time.perf_counter() - begin)
        return min(times)

    return least_of_three


@pytest.mark.parametrize("method", [pack, concat.pack])
def test_a_document_with_nothing_to_predict_is_refused(method: Callable[[list[int], int], Packed]) -> None:
    with pytest.raises(ValueError, match="document 1 has 1 tokens; with bos and eos it has at least 2"):
        method([5, 1, 2], 16)


def test_row_order_is_a_hash_of_ids_and_seed_not_of_length() -> None:
    lengths = np.random.default_rng(3).integers(2, 600, 4000)
    ids = ids_of(4000)
    packed = pack(lengths, 1024)
    ordered = order_rows(packed, ids, 7)
    assert unpack(ordered) == unpack(packed)
    n_pieces = np.diff(ordered.row_offsets)
    places = np.arange(n_pieces.size)
    assert abs(np.corrcoef(places, n_pieces)[0, 1]) < 0.1 < abs(np.corrcoef(places, np.diff(packed.row_offsets))[0, 1])
    several = np.flatnonzero(n_pieces > 1)
    first, second = (ordered.piece_length[ordered.row_offsets[several] + k] for k in (0, 1))
    assert 0.4 < (first > second).mean() < 0.6
    again, other = order_rows(packed, ids, 7), order_rows(packed, ids, 8)
    assert all(np.array_equal(a, b) for a, b in zip(ordered, again, strict=True))
    assert not np.array_equal(ordered.piece_document, other.piece_document)


def test_rows_of_one_long_document_are_spread() -> None:
    packed = order_rows(pack([16 * 500 + 1, *[17] * 500], 16), ids_of(501), 1)
    runs = np.count_nonzero(np.diff((packed.piece_document == 0).astype(int)))
    assert 400 < runs < 600


@settings(deadline=None)
@given(LENGTHS, st.integers(16, 40))
def test_filled_rows_hold_the_documents_again(lengths: list[int], seq_len: int) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    tokens = np.arange(10, 10 + offsets[-1], dtype=np.uint32)
    ids = ids_of(len(lengths))
    packed = order_rows(pack(lengths, seq_len), ids, 3)
    rows = fill(packed, tokens, offsets, ids, seq_len=seq_len, pad_id=3, dtype=np.uint16)
    assert rows.tokens.dtype == np.uint16 and rows.tokens.shape == (packed.row_offsets.size - 1, seq_len + 1)
    document_of = {ids[d].tobytes(): d for d in range(len(lengths))}
    seen = []
    for r, row in enumerate(rows.tokens):
        at = 0
        for p in range(rows.piece_offsets[r], rows.piece_offsets[r + 1]):
            piece = row[at : at + rows.lengths[p]].tolist()
            d = document_of[rows.ids[p].tobytes()]
            assert offsets[d] + 10 + rows.starts[p] == piece[0] and piece[-1] < offsets[d + 1] + 10
            seen += piece[int(rows.starts[p] > 0) :]
            at += len(piece)
        assert set(row[at:].tolist()) <= {3}
    assert sorted(seen) == tokens.tolist()


def test_blocks_are_slices_of_the_whole() -> None:
    lengths = np.random.default_rng(4).integers(2, 60, 900)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = np.arange(offsets[-1], dtype=np.uint32)
    ids = ids_of(900)
    packed = pack(lengths, 32)
    layout = {"seq_len": 32, "pad_id": 0, "dtype": np.uint32}
    whole = fill(packed, tokens, offsets, ids, **layout)
    parts = list(blocks(packed, tokens, offsets, ids, **layout, begin=100, end=700, block_rows=256))
    assert [len(p.tokens) for p in parts] == [256, 256, 88]
    pieces = slice(whole.piece_offsets[100], whole.piece_offsets[700])
    assert np.array_equal(np.concatenate([p.tokens for p in parts]), whole.tokens[100:700])
    assert np.array_equal(np.concatenate([p.lengths for p in parts]), whole.lengths[pieces])
    assert np.array_equal(np.concatenate([p.starts for p in parts]), whole.starts[pieces])
    assert np.array_equal(np.concatenate([p.ids for p in parts]), whole.ids[pieces])
    assert all(p.piece_offsets[0] == 0 and p.piece_offsets[-1] == len(p.lengths) for p in parts)


def test_no_documents_give_no_rows() -> None:
    packed = order_rows(pack([], 16), ids_of(0), 0)
    assert all(np.array_equal(a, b) for a, b in zip(packed, concat.pack([], 16), strict=True))
    assert packed.row_offsets.tolist() == [0]
    assert utilisation(packed, 16) == 1.0
    empty = np.empty(0, np.uint32)
    assert list(blocks(packed, empty, np.zeros(1, np.int64), ids_of(0), seq_len=16, pad_id=0, dtype=np.uint16)) == []


def test_a_token_too_large_for_the_dtype_is_refused() -> None:
    packed = pack([2], 16)
    tokens, offsets = np.array([1, 70_000], np.uint32), np.array([0, 2])
    with pytest.raises(ValueError, match="70000 does not fit into uint16"):
        fill(packed, tokens, offsets, ids_of(1), seq_len=16, pad_id=0, dtype=np.uint16)
