"""Which documents are held out for validation."""

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def is_held_out(clusters: pa.ChunkedArray, seed: int, share: float) -> npt.NDArray[np.bool_]:
    """Whether each document goes to validation, bool [n]: by a hash of (seed, cluster id) alone, whatever its source.

    A cluster spans the sources that `dedup.scope` lets it span, so known copies of one document stay on one side. Where
    the scope is narrower than all sources, copies in two scopes have two clusters.
    """
    salt = hashlib.blake2b(seed.to_bytes(8, "little"), digest_size=16, person=b"validation").digest()
    draws = [
        int.from_bytes(hashlib.blake2b(c, digest_size=8, key=salt).digest(), "little") for c in clusters.to_pylist()
    ]
    return np.array(draws, dtype=np.uint64) < np.uint64(int(share * 2**64))
