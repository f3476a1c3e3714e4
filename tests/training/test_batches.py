"""Sequences -> tokens, targets, positions, documents."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.packing import concat
from pipeline.packing.pack import Packed, fill, order_rows, pack
from training.config import TrainingError
from training.data import Batches, Dataset, Rows, find_version, make_batch
from training.model import IGNORED

BOUNDARIES = {"seen": 0}


@st.composite
def sequences(draw: st.DrawFn) -> tuple[Rows, int]:
    """Rows of 24 + 1 tokens. Token = 1000 x document + place, so each token says where it came from; pad is 0."""
    tokens, n_pieces, all_lengths = [], [], []
    for _ in range(draw(st.integers(1, 3))):
        lengths, left = [], 25
        for length in draw(st.lists(st.integers(2, 12), min_size=1, max_size=8)):
            if length <= left:
                lengths.append(length)
                left -= length
        row = [1000 * (d + 1) + place for d, n in enumerate(lengths) for place in range(n)] + [0] * left
        tokens.append(np.array(row, np.uint16))
        n_pieces.append(len(lengths))
        all_lengths += lengths
    lengths = np.array(all_lengths, np.int32)
    rows = Rows(np.stack(tokens), np.array(n_pieces), lengths, np.zeros(lengths.size, np.int64))
    return rows, draw(st.sampled_from([6, 8, 12, 24]))


@given(sequences())
@settings(max_examples=150, deadline=None)
def test_targets_positions_and_documents(drawn: tuple[Rows, int]) -> None:
    rows, context = drawn
    batch = make_batch(rows, context)
    assert batch.tokens.shape == (len(rows.tokens) * 24 // context, context)
    flat = [x.flatten().tolist() for x in (batch.tokens, batch.targets, batch.positions, batch.documents)]
    predicted = set()
    for i, (token, target, position, document) in enumerate(zip(*flat, strict=True)):
        row, place = divmod(i, 24)
        following = int(rows.tokens[row][place + 1])
        inside = following // 1000 == token // 1000 and token > 0
        BOUNDARIES["seen"] += not inside
        assert target == (following if inside else IGNORED)
        assert document == token // 1000 - 1
        if token:
            assert position == min(token % 1000, place % context)
        if inside:
            predicted.add((row, target))
    restarts = [i for i, position in enumerate(flat[2]) if position == 0]
    assert batch.begins.tolist() == [*restarts, len(flat[2])] and batch.begins.dtype == torch.int32
    expected = {(i, int(t)) for i, tokens in enumerate(rows.tokens) for t in tokens if t and t % 1000}
    assert predicted == expected  # every token but the first of a document, each once


def test_boundaries_occurred() -> None:
    if not BOUNDARIES["seen"]:  # this test runs alone
        test_targets_positions_and_documents()
    assert BOUNDARIES["seen"] > 100


def best_fit(lengths: list[int], seq_len: int) -> Packed:
    ids = np.arange(16 * len(lengths), dtype=np.uint8).reshape(-1, 16)
    return order_rows(pack(lengths, seq_len), ids, 1)


@pytest.mark.parametrize("method", [best_fit, concat.pack])
@given(lengths=st.lists(st.integers(2, 150), min_size=1, max_size=30), context=st.sampled_from([8, 24]))
def test_each_token_of_a_document_but_its_first_is_predicted_exactly_once(method, lengths, context) -> None:
    """From the packing to the targets; a token says where it came from."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = np.arange(1, offsets[-1] + 1, dtype=np.uint32)
    packed = method(lengths, 24)
    ids = np.zeros((len(lengths), 16), np.uint8)
    filled = fill(packed, tokens, offsets, ids, seq_len=24, pad_id=0, dtype=np.uint32)
    rows = Rows(filled.tokens, np.diff(filled.piece_offsets), filled.lengths, filled.starts)
    batch = make_batch(rows, context)
    is_target = batch.targets != IGNORED
    assert sorted(batch.targets[is_target].tolist()) == sorted(set(tokens.tolist()) - set((offsets[:-1] + 1).tolist()))
    assert (batch.targets[is_target] == batch.tokens[is_target] + 1).all()
    assert int((rows.n_tokens() - rows.n_shared()).sum()) == len(tokens)


def test_batches_of_a_version(version: Path) -> None:
    dataset = Dataset(version)
    batches = Batches(dataset, seed=3, context=32)
    whole, tokens = batches.at(0, 8)
    parts = [batches.at(position, 2) for position in range(0, 8, 2)]
    for name in ("tokens", "targets", "positions", "documents"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part, _ in parts]))
    assert tokens == {cell: sum(n.get(cell, 0) for _, n in parts) for cell in tokens}
    is_pad = whole.documents == -1
    assert (whole.targets[is_pad] == IGNORED).all()
    starts = whole.tokens == dataset.manifest.tokenizer["bos_id"]
    assert starts.any() and (whole.positions[starts] == 0).all()
    assert not (whole.targets == dataset.manifest.tokenizer["bos_id"]).any()


def test_the_unigram_entropy(version: Path) -> None:
    dataset = Dataset(version)
    batches = Batches(dataset, seed=3, context=64)
    counts: dict[int, int] = {}
    for position in range(batches.order.n_rows):
        cell, row = (int(x[0]) for x in batches.order.at(np.array([position])))
        tokens, lengths, _ = dataset.train[batches.order.plan[cell].cell].read(row)
        start = 0
        for length in lengths.tolist():
            for token in tokens[start + 1 : start + length].tolist():
                counts[token] = counts.get(token, 0) + 1
            start += length
    share = np.array(list(counts.values())) / sum(counts.values())
    assert batches.unigram_entropy() == pytest.approx(-(share * np.log(share)).sum(), abs=1e-9)


def test_a_context_that_does_not_fit(version: Path) -> None:
    with pytest.raises(TrainingError, match=r"context 30 does not divide .* seq_len 64; .*model.context=32"):
        Batches(Dataset(version), seed=0, context=30)


def test_a_token_outside_of_the_vocabulary(version: Path) -> None:
    dataset = Dataset(version)
    dataset.vocab_size = 10
    with pytest.raises(TrainingError, match=r"row \d+ of '(tools|net)' is no Sequence.*vocabulary 10.*damaged"):
        Batches(dataset, seed=0, context=64).at(0, 4)
    dataset.vocab_size = 600
    where = [("net", 0), ("net", 1)]
    good = dataset.read(dataset.train, where)
    for wrong in (good.lengths * 65, good.lengths * 0):
        with pytest.raises(TrainingError, match="row 0 of 'net' is no Sequence"):
            dataset._check(good._replace(lengths=wrong), where)


def test_missing_shards(version: Path, other_version: Path) -> None:
    (other_version / "shards").unlink()
    with pytest.raises(
        TrainingError, match=r"2 of 2 train shards are missing, the first is shards/train/net-00000.arrow"
    ):
        Dataset(other_version)


def test_find_version(version: Path, tmp_path: Path) -> None:
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / "latest").write_text("abc\n")
    with pytest.raises(TrainingError, match="names the version 'abc', but"):
        find_version(tmp_path / "named")
    (tmp_path / "named" / "abc").symlink_to(version)
    assert find_version(tmp_path / "named") == tmp_path / "named" / "abc"
    assert find_version(version) == version
    with pytest.raises(TrainingError, match="nowhere does not exist; make a dataset with `pipeline run"):
        find_version(tmp_path / "nowhere")
    with pytest.raises(TrainingError, match="holds neither"):
        find_version(tmp_path)
