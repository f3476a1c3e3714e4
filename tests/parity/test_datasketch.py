"""Signatures, and the choice of bands, against datasketch 2."""

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dedup.bands import optimal_bands
from pipeline.dedup.options import DedupOptions
from pipeline.dedup.signatures import DTYPES, permutations, signatures


def identity(value: int) -> int:
    return value


def datasketch_values(hashes: np.ndarray, options: DedupOptions) -> np.ndarray:
    width = options.bands * options.rows
    sketch = MinHash(num_perm=width, seed=options.seed, scheme=options.scheme, hashfunc=identity)
    sketch.update_batch(hashes.tolist())
    return sketch.hashvalues


@pytest.mark.parametrize(("bands", "rows", "seed"), [(14, 8, 1), (1, 1, 0), (20, 5, 42), (3, 64, 2**32 - 1)])
def test_the_permutations_are_those_of_datasketch(bands: int, rows: int, seed: int) -> None:
    for scheme, dtype in DTYPES.items():
        theirs = MinHash(num_perm=bands * rows, seed=seed, scheme=scheme).permutations
        ours = permutations(bands * rows, seed, scheme)
        assert ours[0].dtype == ours[1].dtype == dtype
        assert np.array_equal(ours, theirs)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=30), max_size=6),
    st.sampled_from(list(DTYPES)),
    st.integers(1, 20),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
)
def test_any_shingles_give_the_values_of_datasketch(
    documents: list[list[int]], scheme: str, bands: int, rows: int, seed: int
) -> None:
    options, dtype = DedupOptions(bands=bands, rows=rows, seed=seed, scheme=scheme), DTYPES[scheme]
    documents = [[h & np.iinfo(dtype).max for h in document] for document in documents]
    offsets = np.cumsum([0, *map(len, documents)]).astype(np.int64)
    flat = np.array([h for document in documents for h in document], dtype)
    ours = signatures(flat, offsets, options)
    assert ours.dtype == dtype
    assert ours.shape == (len(documents), bands * rows)
    for row, document in zip(ours, documents, strict=True):
        assert np.array_equal(row, datasketch_values(np.array(document, dtype), options))


@pytest.mark.parametrize("n", [4095, 4096, 4097, 20_000])
def test_long_documents_are_cut_into_blocks_without_a_trace(n: int) -> None:
    options = DedupOptions()
    hashes = np.random.default_rng(n).integers(0, 2**32, n + 7, dtype=np.uint32)
    ours = signatures(hashes, np.array([3, 3 + n, 7 + n], np.int64), options)
    assert np.array_equal(ours[0], datasketch_values(hashes[3 : 3 + n], options))
    assert np.array_equal(ours[1], datasketch_values(hashes[3 + n :], options))


@pytest.mark.parametrize("place", [0, 31, 32, 4095, 4096, 4097, 4999])
def test_every_place_of_a_document_counts(place: int) -> None:
    """Where all shingles but one are equal, that one decides about half of the values."""
    options = DedupOptions()
    hashes = np.full(5000, 7, np.uint32)
    hashes[place] = 8
    ours = signatures(hashes, np.array([0, 5000], np.int64), options)
    assert np.array_equal(ours[0], datasketch_values(hashes, options))


@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.65, 0.7, 0.8, 0.85, 0.9])
@pytest.mark.parametrize("n_permutations", [48, 112, 128])
def test_bands_for_a_threshold_are_those_of_datasketch(threshold: float, n_permutations: int) -> None:
    theirs = MinHashLSH(threshold=threshold, num_perm=n_permutations)
    assert optimal_bands(threshold, n_permutations) == (theirs.b, theirs.r)
