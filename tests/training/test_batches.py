"""Sequences -> tokens, targets, positions, documents."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.config import TrainingError
from training.data import Batches, Dataset, find_version, make_batch
from training.model import IGNORED

BOUNDARIES = {"seen": 0}


@st.composite
def sequences(draw: st.DrawFn) -> tuple[list[tuple[np.ndarray, np.ndarray]], int]:
    """Rows of 24 + 1 tokens. Token = 1000 x document + place, so each token says where it came from; pad is 0."""
    rows = []
    for _ in range(draw(st.integers(1, 3))):
        lengths, left = [], 25
        for length in draw(st.lists(st.integers(1, 12), max_size=8)):
            if length <= left:
                lengths.append(length)
                left -= length
        tokens = [1000 * (d + 1) + place for d, n in enumerate(lengths) for place in range(n)] + [0] * left
        rows.append((np.array(tokens, dtype=np.uint16), np.array(lengths, dtype=np.int32)))
    return rows, draw(st.sampled_from([6, 8, 12, 24]))


@given(sequences())
@settings(max_examples=150, deadline=None)
def test_targets_positions_and_documents(drawn: tuple[list[tuple[np.ndarray, np.ndarray]], int]) -> None:
    rows, context = drawn
    batch = make_batch(rows, context)
    assert batch.tokens.shape == (len(rows) * 24 // context, context)
    flat = [x.flatten().tolist() for x in (batch.tokens, batch.targets, batch.positions, batch.documents)]
    predicted = set()
    for i, (token, target, position, document) in enumerate(zip(*flat, strict=True)):
        row, place = divmod(i, 24)
        following = int(rows[row][0][place + 1])
        inside = following // 1000 == token // 1000 and token > 0
        BOUNDARIES["seen"] += not inside
        assert target == (following if inside else IGNORED)
        assert document == token // 1000 - 1
        if token:
            assert position == min(token % 1000, place % context)
        if inside:
            predicted.add((row, target))
    expected = {(i, int(t)) for i, (tokens, _) in enumerate(rows) for t in tokens if t and t % 1000}
    assert predicted == expected  # every token but the first of a document, each once


def test_boundaries_occurred() -> None:
    if not BOUNDARIES["seen"]:  # this test runs alone
        test_targets_positions_and_documents()
    assert BOUNDARIES["seen"] > 100


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
        tokens, lengths = dataset.train[batches.order.plan[cell].cell].read(row)
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
    with pytest.raises(TrainingError, match=r"vocabulary 10.*damaged"):
        Batches(dataset, seed=0, context=64).at(0, 4)


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
