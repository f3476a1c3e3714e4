"""Shingles, signatures, Match and Cluster together, on documents whose likeness is known."""

import hashlib
import random

import numpy as np
import pyarrow as pa
import pytest

from pipeline.dedup.cluster import cluster
from pipeline.dedup.keys import signature_column, signed_schema
from pipeline.dedup.options import DedupOptions
from pipeline.dedup.signatures import exact_hash, signatures
from pipeline.text.shingles import shingle_hashes
from tests.dedup.signed import all_edges, pairs, part_of, signed_table


def share_a_band(left: np.ndarray, right: np.ndarray, options: DedupOptions) -> np.ndarray:
    """For each pair of signatures, whether Match finds it: two ids of one pair under one key."""
    n = len(left)
    rows = [{"id": i, "signature": row} for i, row in enumerate(np.concatenate([left, right]))]
    found = np.zeros(n, bool)
    for a, b in pairs(all_edges([part_of(signed_table(rows, options), options, 16_384)], options)):
        found[a] |= b == a + n
    return found


@pytest.mark.parametrize("likeness", [0.5, 0.7, 0.75, 0.8, 0.9])
def test_recall_follows_the_band_formula(likeness: float) -> None:
    options, n, union = DedupOptions(exact=False), 1000, 400
    common = round(union * likeness)
    own = (union - common) // 2
    rng = np.random.default_rng(round(100 * likeness))
    pool = rng.integers(0, 2**32, (n, common + 2 * own), dtype=np.uint32)
    offsets = np.arange(n + 1, dtype=np.int64) * (common + own)
    left = signatures(pool[:, : common + own].ravel(), offsets, options)
    right = signatures(np.hstack([pool[:, :common], pool[:, common + own :]]).ravel(), offsets, options)
    jaccard = common / (common + 2 * own)
    expected = 1 - (1 - jaccard**options.rows) ** options.bands
    four_deviations = 4 * (expected * (1 - expected) / n) ** 0.5
    assert abs(share_a_band(left, right, options).mean() - expected) <= four_deviations
    assert abs((left == right).mean() - jaccard) < 0.01


VOCABULARY = ["".join(random.Random(i).choices("abcdefghijklmnopqrstuvwxyz", k=7)) for i in range(3000)]


def written(seed: int) -> list[str]:
    return random.Random(f"text {seed}").choices(VOCABULARY, k=400)


def edited(words: list[str], seed: int) -> str:
    """Three of 400 words replaced (at most 15 of 396 shingles differ), other case, punctuation and spacing."""
    words, chance = list(words), random.Random(f"edit {seed}")
    for _ in range(3):
        words[chance.randrange(len(words))] = "changed"
    return ",\n".join(words).upper() + "!"


def test_planted_clusters_are_found_and_nothing_else() -> None:
    options = DedupOptions(survivor=("longest",))
    originals = [written(seed) for seed in range(60)]
    texts = [" ".join(words) for words in originals]
    truth = list(range(60))
    for origin in range(0, 60, 3):
        texts += [
            " ".join(originals[origin]),
            edited(originals[origin], origin),
            edited(originals[origin], -origin - 1),
        ]
        truth += [origin] * 3
    ids = [hashlib.blake2b(str(row).encode(), digest_size=16).digest() for row in range(len(texts))]
    origin_of = dict(zip(ids, truth, strict=True))
    text_of = dict(zip(ids, texts, strict=True))

    order = sorted(range(len(texts)), key=lambda row: ids[row])
    column = pa.array([texts[row] for row in order], pa.large_string())
    values = signatures(*shingle_hashes(column, options.ngram_words), options)
    columns = [pa.array(sorted(ids), pa.binary(16)), exact_hash(column), signature_column(values, options)]
    part = part_of(pa.Table.from_arrays(columns, schema=signed_schema(options)), options)
    n_chars = pa.array([len(texts[row]) for row in order])
    edges = all_edges([part], options)
    result = cluster(
        lambda: edges, [part], lambda _, rows: pa.table({"n_chars": n_chars.take(pa.array(rows))}), options
    )

    rows = result.to_pylist()
    assert len(rows) == 80
    for row in rows:
        assert origin_of[row["id"]] == origin_of[row["cluster"]] == origin_of[row["survivor"]]
        assert row["size"] == 4
        if row["id"] == row["survivor"]:
            assert row["reason"] == ""
        else:
            same = text_of[row["id"]] == text_of[row["survivor"]]
            assert row["reason"] == ("exact_duplicate" if same else "near_duplicate")
    assert {row["reason"] for row in rows} == {"", "near_duplicate"}
