"""The shard format: what is written is read back, the bytes are fixed, and damage is found."""

import io
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.shards import (
    BATCH_ROWS,
    Rows,
    Shard,
    ShardError,
    ShardMeta,
    open_shard,
    shard_schema,
    token_dtype,
    write_shard,
)

GOLDEN = Path(__file__).parent / "golden" / "shard.arrow"
"""Written by pyarrow 26.0.1; 20.0.0 gives the same bytes. To write it anew, run this file as a script."""

META = ShardMeta(cell="web", split="train", seq_len=16, pad_id=3, tokenizer="5eed" * 16)


def make_rows(row_lengths: list[list[int]], meta: ShardMeta = META, dtype: Any = np.uint16, seed: int = 0) -> Rows:
    """Rows whose tokens, 10 to 899, and ids come from a seeded generator."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(10, 900, (len(row_lengths), meta.seq_len + 1)).astype(dtype)
    for row, lengths in zip(tokens, row_lengths, strict=True):
        row[sum(lengths) :] = meta.pad_id
    offsets = np.concatenate([[0], np.cumsum([len(lengths) for lengths in row_lengths])])
    ids = rng.integers(0, 256, (int(offsets[-1]), 16), dtype=np.uint8)
    starts = rng.integers(0, 2, int(offsets[-1])) * rng.integers(0, 2**40, int(offsets[-1]))
    return tokens, offsets, np.array([n for lengths in row_lengths for n in lengths], np.int32), starts, ids


def in_blocks(rows: Rows) -> Iterator[Rows]:
    tokens, offsets, lengths, starts, ids = rows
    for a in range(0, len(tokens), BATCH_ROWS):
        b = min(a + BATCH_ROWS, len(tokens))
        pieces = slice(offsets[a], offsets[b])
        yield tokens[a:b], offsets[a : b + 1] - offsets[a], lengths[pieces], starts[pieces], ids[pieces]


def shard_bytes(rows: Rows, meta: ShardMeta = META) -> bytes:
    sink = io.BytesIO()
    write_shard(sink, in_blocks(rows), meta)
    return sink.getvalue()


def write(path: Path, rows: Rows, meta: ShardMeta = META) -> Shard:
    path.write_bytes(shard_bytes(rows, meta))
    return open_shard(path)


def contents(shard: Shard) -> tuple[Any, ...]:
    rows = range(len(shard))
    return (
        shard.meta,
        shard.rows(slice(None)).tolist(),
        [shard.lengths(r).tolist() for r in rows],
        [shard.starts(r).tolist() for r in rows],
        [shard.ids(r).tolist() for r in rows],
    )


ROW = st.lists(st.integers(2, 4), min_size=1, max_size=4)
THREE_BATCHES = make_rows([[5, 2 + r % 11] if r % 3 else [17] for r in range(2 * BATCH_ROWS + 88)])


@settings(deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=30), large=st.booleans(), seed=st.integers(0, 2**32))
def test_what_is_written_is_read_back(
    rows: list[list[int]], large: bool, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    written = make_rows(rows, dtype=np.uint32 if large else np.uint16, seed=seed)
    shard = write(tmp_path_factory.mktemp("shard") / "s.arrow", written)
    tokens, offsets, _, starts, ids = written
    assert (len(shard), shard.meta, shard.dtype) == (len(rows), META, tokens.dtype)
    assert shard.verify(vocab_size=900) == sum(map(sum, rows)) - np.count_nonzero(starts)
    for r in range(len(rows)):
        assert np.array_equal(shard.tokens(r), tokens[r]) and shard.tokens(r).dtype == tokens.dtype
        assert shard.lengths(r).tolist() == rows[r]
        assert np.array_equal(shard.starts(r), starts[offsets[r] : offsets[r + 1]])
        assert np.array_equal(shard.ids(r), ids[offsets[r] : offsets[r + 1]])
        whole = (shard.tokens(r), shard.lengths(r), shard.starts(r))
        assert all(np.shares_memory(a, b) for a, b in zip(shard.read(r), whole, strict=True))


def test_rows_over_several_batches(tmp_path: Path) -> None:
    shard = write(tmp_path / "s.arrow", THREE_BATCHES)
    tokens = THREE_BATCHES[0]
    assert len(shard) == len(tokens) == 600
    some = np.random.default_rng(1).permutation(600)[:200]
    assert np.array_equal(shard.rows(some), tokens[some])
    assert np.array_equal(shard.rows(slice(250, 520, 7)), tokens[250:520:7])
    assert shard.rows([]).shape == (0, 17)
    shard.rows(some)[:] = 0
    assert np.array_equal(shard.rows(slice(None)), tokens)


def test_reading_copies_nothing_and_views_are_read_only(tmp_path: Path) -> None:
    shard = write(tmp_path / "s.arrow", THREE_BATCHES)
    before = pa.total_allocated_bytes()
    views = [(shard.tokens(r), shard.lengths(r), shard.starts(r), shard.ids(r)) for r in range(len(shard))]
    assert pa.total_allocated_bytes() - before < shard.rows(slice(None)).nbytes // 10
    assert not any(view.flags.writeable or view.flags.owndata for row in views for view in row)


def test_rows_outside_are_an_error(tmp_path: Path) -> None:
    shard = write(tmp_path / "s.arrow", make_rows([[3], [4]]))
    for wrong in (-1, 2):
        with pytest.raises(IndexError, match="rows 0 to 1"):
            shard.tokens(wrong)
        with pytest.raises(IndexError):
            shard.rows([0, wrong])


def test_a_pickled_shard_opens_its_file_again(tmp_path: Path) -> None:
    shard = write(tmp_path / "s.arrow", THREE_BATCHES)
    assert contents(pickle.loads(pickle.dumps(shard))) == contents(shard)


def test_a_path_and_an_open_file_get_the_same_bytes(tmp_path: Path) -> None:
    assert write_shard(tmp_path / "s.arrow", in_blocks(THREE_BATCHES), META) == 600
    assert (tmp_path / "s.arrow").read_bytes() == shard_bytes(THREE_BATCHES) == shard_bytes(THREE_BATCHES)


def test_token_dtype_holds_every_id() -> None:
    assert [token_dtype(n).name for n in (512, 65_536, 65_537)] == ["uint16", "uint16", "uint32"]


def golden_rows() -> Rows:
    """Fixed by arithmetic, so that no generator can change them."""
    tokens = (np.arange(3 * 17) * 7 % 500 + 10).astype(np.uint16).reshape(3, 17)
    tokens[1, 9:] = META.pad_id
    ids = (np.arange(4 * 16) % 251).astype(np.uint8).reshape(4, 16)
    return tokens, np.array([0, 1, 3, 4]), np.array([17, 4, 5, 17], np.int32), np.array([0, 0, 16, 0]), ids


def test_golden_bytes() -> None:
    assert shard_bytes(golden_rows()) == GOLDEN.read_bytes()


def test_golden_file_reads_as_ever() -> None:
    shard = open_shard(GOLDEN)
    assert shard.verify(510) == 17 + 4 + 4 + 17
    assert shard.tokens(0).tolist() == [(7 * i) % 500 + 10 for i in range(17)]
    assert [shard.lengths(r).tolist() for r in range(3)] == [[17], [4, 5], [17]]
    assert [shard.starts(r).tolist() for r in range(3)] == [[0], [0, 16], [0]]
    assert shard.ids(1)[0].tobytes() == bytes(range(16, 32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, o, n, s, i: (t, o, np.where(n == 4, 13, n), s, i), "row 1: document pieces add to more than"),
        (lambda t, o, n, s, i: (t, o, np.where(n == 4, 3, n), s, i), "row 1: places behind the last piece are not"),
        (lambda t, o, n, s, i: (t, o, np.where(n == 4, 1, n), s, i), "row 1: a document piece of less than two"),
        (lambda t, o, n, s, i: (t, o, np.where(n == 4, -1, n), s, i), "row 1: a document piece of less than two"),
        (lambda t, o, n, s, i: (t, np.array([0, 1, 1, 4]), n, s, i), "row 1: no document piece"),
        (lambda t, o, n, s, i: (t, o, n, s - 1, i), "row 0: a piece that starts before its document"),
        (lambda t, o, n, s, i: (np.where(t == 17, 510, t).astype(t.dtype), o, n, s, i), "row 0: a token is not below"),
    ],
)
def test_verify_names_the_row_that_is_no_sequence(change: Any, message: str, tmp_path: Path) -> None:
    shard = write(tmp_path / "s.arrow", change(*golden_rows()))
    with pytest.raises(ShardError, match=message):
        shard.verify(510)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((golden_rows()[0].astype(np.int64), *golden_rows()[1:]), "tokens are int64"),
        ((golden_rows()[0][:, :16], *golden_rows()[1:]), r"expected uint16 or uint32 \[rows, 17\]"),
        (
            (golden_rows()[0], np.array([0, 4]), *golden_rows()[2:]),
            "piece_offsets do not describe 3 rows with 4 pieces",
        ),
        ((*golden_rows()[:3], golden_rows()[3][:2], golden_rows()[4]), r"starts are int64 \[2\], expected int64 \[4\]"),
        ((*golden_rows()[:4], golden_rows()[4][:2]), r"ids are uint8 \[2, 16\], expected uint8 \[4, 16\]"),
    ],
)
def test_arrays_that_do_not_fit_are_not_written(rows: Rows, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_shard(io.BytesIO(), [rows], META)


def test_blocks_of_other_sizes_are_not_written() -> None:
    with pytest.raises(ValueError, match="all but the last hold 256"):
        write_shard(io.BytesIO(), [golden_rows(), golden_rows()], META)
    with pytest.raises(ValueError, match="a block of 300 rows"):
        write_shard(io.BytesIO(), [make_rows([[17]] * 300)], META)
    with pytest.raises(ValueError, match="at least one"):
        write_shard(io.BytesIO(), [], META)


def arrow_file(schema: pa.Schema, n_rows: int) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, schema) as writer:
        if n_rows:
            writer.write_batch(pa.RecordBatch.from_pylist([dict.fromkeys(schema.names)] * n_rows))
    return sink.getvalue()


WITH_NOTE = pa.schema([pa.field("tokens", pa.null())])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a shard: it starts with b''"),
        (b"PAR1 something else PAR1", "not a shard: it starts with b'PAR1 s'"),
        (b"ARROW1\0\0 and nothing ARROW1", "not a readable Arrow IPC file"),
        (arrow_file(pa.schema([pa.field("a", pa.null())]), 1), "its schema has no metadata 'gristmill'"),
        (
            arrow_file(WITH_NOTE.with_metadata({"gristmill": '{"format":"gristmill-shard/1"}'}), 1),
            "format is 'gristmill-shard/1'",
        ),
        (arrow_file(WITH_NOTE.with_metadata({"gristmill": "{"}), 1), "its metadata is damaged"),
        (arrow_file(WITH_NOTE.with_metadata({"gristmill": "[]"}), 1), "its metadata is damaged"),
        (
            arrow_file(WITH_NOTE.with_metadata(shard_schema(META, np.uint16).metadata), 1),
            "other columns than a shard has",
        ),
        (arrow_file(shard_schema(META, np.uint16), 0), "holds no rows"),
    ],
)
def test_foreign_files_are_refused_by_name(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "s.arrow"
    path.write_bytes(data)
    with pytest.raises(ShardError, match=message) as error:
        open_shard(path)
    assert str(path) in str(error.value)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.arrow"):
        with pytest.raises(ShardError, match="cannot read the shard"):
            open_shard(path)


def test_a_short_batch_in_the_middle_is_found(tmp_path: Path) -> None:
    schema = shard_schema(META, np.uint16)
    with pa.ipc.open_file(GOLDEN) as golden, pa.ipc.new_file(str(tmp_path / "s.arrow"), schema) as writer:
        for _ in range(2):
            writer.write_batch(golden.get_batch(0))
    shard = open_shard(tmp_path / "s.arrow")
    with pytest.raises(ShardError, match=r"record batch 0 is damaged .*it has 3 rows, expected 256"):
        shard.verify()
    with pytest.raises(ShardError, match="it has 3 rows"):
        shard.tokens(0)


def test_every_cut_is_found(tmp_path: Path) -> None:
    data = shard_bytes(THREE_BATCHES)
    path = tmp_path / "s.arrow"
    lengths = {*range(0, 100), *range(0, len(data), 499), *range(len(data) - 100, len(data))}
    for length in sorted(lengths):
        path.write_bytes(data[:length])
        with pytest.raises(ShardError):
            open_shard(path).verify()


def test_a_flipped_byte_never_hides_a_token_and_never_crashes(tmp_path: Path) -> None:
    """What `verify` lets through differs in tokens, starts, ids or names, in a length that takes padding for tokens, or
    in bytes that nobody reads: the manifest's sha256 finds those. All other damage is a ShardError; reading without
    `verify` never raises anything else."""
    data = GOLDEN.read_bytes()
    good = contents(open_shard(GOLDEN))
    n_refused = n_let_through = 0
    for place in range(len(data)):
        path = tmp_path / f"{place % 2}.arrow"
        path.write_bytes(data[:place] + bytes([data[place] ^ (0x01, 0x80, 0xFF)[place % 3]]) + data[place + 1 :])
        try:
            shard = open_shard(path)
            contents(shard)
            shard.verify(vocab_size=510)
        except ShardError:
            n_refused += 1
            continue
        n_let_through += 1
        for now, then in zip(contents(shard)[2], good[2], strict=True):
            assert now == then or sum(then) < sum(now) <= 17, f"byte {place}"
    assert n_refused > 300 and n_let_through > 100


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs a system that can set the CPU affinity")
def test_bytes_do_not_depend_on_threads() -> None:
    before = pa.cpu_count()
    try:
        pa.set_cpu_count(1)
        one = shard_bytes(THREE_BATCHES)
        pa.set_cpu_count(8)
        assert shard_bytes(THREE_BATCHES) == one
    finally:
        pa.set_cpu_count(before)


def test_the_documented_snippet_reads_a_shard_with_pyarrow_alone(repository: Path, tmp_path: Path) -> None:
    text = (repository / "docs" / "shard-format.md").read_text(encoding="utf-8")
    snippet = text.split("```python\n")[1].split("```")[0]
    assert "pipeline" not in snippet
    shard = write(tmp_path / "s.arrow", THREE_BATCHES)
    names: dict[str, Any] = {"path": str(tmp_path / "s.arrow"), "row": 299}
    exec(snippet, names)
    expected, at = [], 0
    for length, start, document in zip(*(f(299) for f in (shard.lengths, shard.starts, shard.ids)), strict=True):
        expected.append((document.tobytes().hex(), int(start), shard.tokens(299)[at : at + length].tolist()))
        at += length
    assert names["pieces"] == expected
    about = {"cell": "web", "split": "train", "seq_len": 16, "pad_id": 3, "tokenizer": "5eed" * 16}
    assert names["meta"] == {"format": "gristmill-shard/2", **about}


def test_torch_and_numpy_share_the_mapped_file(tmp_path: Path) -> None:
    """The way the document names; and the views that `Shard` gives lie in the same pages."""
    torch = pytest.importorskip("torch")
    write(tmp_path / "s.arrow", THREE_BATCHES)
    with pa.memory_map(str(tmp_path / "s.arrow")) as mapped:
        buffer = mapped.read_buffer()
        batch = pa.ipc.open_file(pa.BufferReader(buffer)).get_batch(1)
        tokens = batch["tokens"].values.to_numpy().reshape(len(batch), -1)
        with pytest.warns(UserWarning, match="not writable"):
            tensor = torch.from_numpy(tokens)
        assert buffer.address <= tensor.data_ptr() == tokens.ctypes.data < buffer.address + buffer.size
        assert np.array_equal(tensor.numpy(), THREE_BATCHES[0][256:512])


def rows_of(columns: dict[str, list[Any]]) -> list[tuple[Any, ...]]:
    return list(zip(*(columns[name] for name in ("tokens", "lengths", "starts", "ids")), strict=True))


def test_another_implementation_of_arrow_reads_a_shard(tmp_path: Path) -> None:
    """polars brings its own reader of the format."""
    import polars

    shard = write(tmp_path / "s.arrow", THREE_BATCHES)
    expected = [
        (
            shard.tokens(r).tolist(),
            shard.lengths(r).tolist(),
            shard.starts(r).tolist(),
            [i.tobytes() for i in shard.ids(r)],
        )
        for r in range(len(shard))
    ]
    found = polars.read_ipc(tmp_path / "s.arrow")
    assert rows_of(found.to_dict(as_series=False)) == expected


if __name__ == "__main__":
    GOLDEN.write_bytes(shard_bytes(golden_rows()))
