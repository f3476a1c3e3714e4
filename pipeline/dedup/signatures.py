"""Exact hashes and MinHash signatures (Broder 1997, "On the resemblance and containment of documents")."""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from pipeline.dedup.options import DedupOptions
from pipeline.kernels import kernel, leaf
from pipeline.text.buffers import views
from pipeline.text.hashes import fmix64
from pipeline.text.url_parts import host_of, page_of

EXACT_HASH_BYTES = 16
DTYPES: Mapping[str, np.dtype] = MappingProxyType({"affine32": np.dtype(np.uint32), "affine64": np.dtype(np.uint64)})
"""Permutation scheme -> dtype of shingle hashes and of the values of signatures."""

_BLOCK = 4096
"""Shingles mixed at a time: 16 KiB, half of a level-1 data cache of 32 KiB; a multiple of `_LANES`."""
_LANES = 32
"""Shingles that one step of the compiled loop takes: four 256-bit registers of eight."""


def exact_hash(texts: pa.LargeStringArray) -> pa.FixedSizeBinaryArray:
    """BLAKE2b (RFC 7693) with a 128-bit digest of the UTF-8 bytes of each text.

    A cryptographic hash, so that nobody can write two pages that count as copies of each other; at 128 bits a chance
    collision among 10**12 documents has probability 1.5e-15. One call of hashlib a document.

    Returns:
        FixedSizeBinary(16), as long as `texts`.
    """
    data, offsets = views(texts)
    raw = data.data
    digests = [
        hashlib.blake2b(raw[start:end], digest_size=EXACT_HASH_BYTES).digest()
        for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    ]
    return pa.array(digests, pa.binary(EXACT_HASH_BYTES))


def page_hash(urls: pa.ChunkedArray, canonical_urls: pa.ChunkedArray | None) -> pa.FixedSizeBinaryArray:
    """A 128-bit hash of the page that each URL names (see `pipeline.text.url_parts.page_of`), null for none.

    `canonical_urls`: what pages state of themselves. It counts where its host and the URL's are the same, or one is a
    parent of the other, so that no page can take the place of another site's.
    """
    digests: list[bytes | None] = []
    stated = [""] * len(urls) if canonical_urls is None else canonical_urls.to_pylist()
    for url, canonical in zip(urls.to_pylist(), stated, strict=True):
        page = page_of(url) if url else ""
        if url and canonical and _is_same_site(host_of(url), host_of(canonical)):
            page = page_of(canonical)
        digests.append(hashlib.blake2b(page.encode(), digest_size=EXACT_HASH_BYTES).digest() if page else None)
    return pa.array(digests, pa.binary(EXACT_HASH_BYTES))


def _is_same_site(a: str, b: str) -> bool:
    a, b = a.removeprefix("www."), b.removeprefix("www.")
    return bool(a and b) and (a == b or a.endswith("." + b) or b.endswith("." + a))


def distinct_shingles(hashes: np.ndarray, offsets: np.ndarray) -> pa.LargeListArray:
    """The different shingles of each document, ascending. Arguments as of `signatures`."""
    document = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((hashes, document))
    hashes, document = hashes[order], document[order]
    new = np.ones(len(hashes), bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (document[1:] != document[:-1])
    ends = np.zeros(len(offsets), np.int64)
    np.cumsum(np.bincount(document[new], minlength=len(offsets) - 1), out=ends[1:])
    return pa.LargeListArray.from_arrays(pa.array(ends), pa.array(hashes[new]))


def permutations(count: int, seed: int, scheme: str = "affine32") -> tuple[np.ndarray, np.ndarray]:
    """The affine permutations h -> a * h + b modulo 2**32 or 2**64, with odd a: those of datasketch 2's `scheme`.

    They are drawn as in `datasketch.minhash.MinHash._init_permutations` (datasketch 2.0.0), from numpy's legacy
    generator, whose streams numpy keeps unchanged (NEP 19).

    Returns:
        a, b: uint32 or uint64, length `count`.
    """
    dtype = DTYPES[scheme]
    generator = np.random.RandomState(seed)
    bits = 8 * dtype.itemsize
    a = generator.randint(0, 1 << (bits - 1), count, dtype=dtype.type) * dtype.type(2) + dtype.type(1)
    b = generator.randint(0, 1 << bits, count, dtype=dtype.type)
    return a, b


def signatures(hashes: np.ndarray, offsets: np.ndarray, options: DedupOptions) -> np.ndarray:
    """The MinHash signature of each document's shingles.

    Equal, value for value, to `datasketch.MinHash(num_perm=bands * rows, seed=seed, scheme=scheme, hashfunc=lambda h:
    h)` updated with the same shingle hashes. Repeated shingles change nothing.

    Args:
        hashes: uint32 (scheme affine32) or uint64 (affine64), shingle hashes of all documents.
        offsets: int64, length n + 1; document i has the shingles `hashes[offsets[i]:offsets[i + 1]]`.
        options: gives `bands`, `rows`, `seed` and `scheme`.

    Returns:
        The dtype of `hashes`, shape (n, bands * rows). Rows of documents without shingles hold the largest number
        throughout, as in datasketch.

    Raises:
        TypeError: an array has another dtype.
        ValueError: `offsets` do not cut `hashes` into documents.
    """
    dtype = DTYPES[options.scheme]
    if hashes.dtype != dtype or offsets.dtype != np.int64:
        raise TypeError(f"expected {dtype} hashes and int64 offsets, found {hashes.dtype} and {offsets.dtype}")
    if len(offsets) == 0 or offsets[0] < 0 or offsets[-1] > len(hashes) or np.any(np.diff(offsets) < 0):
        raise ValueError(f"the {len(offsets)} offsets must grow from 0 to at most {len(hashes)}, the number of hashes")
    a, b = permutations(options.bands * options.rows, options.seed, options.scheme)
    out = np.full((len(offsets) - 1, len(a)), np.iinfo(dtype).max, dtype)
    _minimum_of_permutations(np.ascontiguousarray(hashes), np.ascontiguousarray(offsets), a, b, out)
    return out


def without_shingles(signatures: np.ndarray) -> np.ndarray:
    """Which signatures, shape (n, values), are those of documents without shingles: bool [n]."""
    empty: np.ndarray = (signatures == np.iinfo(signatures.dtype).max).all(axis=1)
    return empty


@leaf
def _fmix32(h: np.uint32) -> np.uint32:
    """MurmurHash3's 32-bit finalizer (Appleby, smhasher, src/MurmurHash3.cpp)."""
    h = np.uint32(h ^ (h >> np.uint32(16)))
    h = np.uint32(h * np.uint32(0x85EBCA6B))
    h = np.uint32(h ^ (h >> np.uint32(13)))
    h = np.uint32(h * np.uint32(0xC2B2AE35))
    return np.uint32(h ^ (h >> np.uint32(16)))


@kernel
def _minimum_of_permutations(
    hashes: np.ndarray, offsets: np.ndarray, a: np.ndarray, b: np.ndarray, out: np.ndarray
) -> None:
    """Lower `out[i, k]` to the smallest `a[k] * mix(h) + b[k]` over the shingles h of document i, mix being
    datasketch's pre-mix, `fmix32` or `fmix64`.

    The inner loop runs over shingles, not permutations: one load a step, and the minimum stays in a register. A block
    is filled up to a multiple of `_LANES` by repeating a shingle, which changes no minimum and leaves no scalar rest.
    """
    mixed = np.empty(_BLOCK, hashes.dtype)
    for document in range(len(offsets) - 1):
        for start in range(offsets[document], offsets[document + 1], _BLOCK):
            n = min(_BLOCK, offsets[document + 1] - start)
            for i in range(n):
                h = hashes[start + i]
                mixed[i] = fmix64(np.uint64(h)) if hashes.itemsize == 8 else _fmix32(np.uint32(h))
            filled = (n + _LANES - 1) // _LANES * _LANES
            mixed[n:filled] = mixed[0]
            for k in range(len(a)):
                factor, addend, smallest = a[k], b[k], out[document, k]
                for i in range(filled):
                    smallest = min(smallest, mixed.dtype.type(factor * mixed[i] + addend))
                out[document, k] = smallest
