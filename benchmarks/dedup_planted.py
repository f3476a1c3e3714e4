"""Signatures with planted clusters: the band keys of any number of documents, of which we know who belongs together.

A document is a place 0 .. n - 1; its id and its keys are hashes of it. Three in ten are in clusters, whose sizes follow
a power law; one of them is a heavy bucket, one document in a hundred under one band key. Members share some bands only:
in a star each shares at least one with the first member and perhaps none with the others, in a chain each shares one
with the next and none with the rest, which is the hardest thing to follow. All other keys are a document's own.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from dedup_scale import write_part

from pipeline.dedup.ids import id_pairs, ids_of
from pipeline.dedup.options import DedupOptions

Array = np.ndarray[Any, np.dtype[Any]]
PART_DOCUMENTS = 100_000
HEAVY_SHARE, HEAVY_BAND = 0.01, 3
CLUSTERED_SHARE = 0.3
EXPONENT = 2.5
"""Of the power law: sizes 2, 3, ... have shares that fall as 1, 2 ** -EXPONENT, ..."""
LARGEST_SHARE = 0.001
"""Of all documents, the largest cluster but the heavy one."""
SHARED_BANDS = 1 / 3
"""Of a star's bands, those that a member shares with the first one, in the mean, beside the one that it always does."""

HEAVY, STAR, CHAIN = 0, 1, 2


def mixed(values: Array) -> Array:
    """splitmix64 (Steele, Lea, Flood 2014), a bijection of uint64."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class Planted:
    """The clusters of `n` documents. `cluster`: int64 [n], -1 for single ones; `member`: the place within it."""

    def __init__(self, n: int, seed: int) -> None:
        chance = np.random.default_rng(seed)
        sizes = np.minimum(chance.zipf(EXPONENT, n // 4) + 1, max(2, round(n * LARGEST_SHARE)))
        sizes = sizes[np.cumsum(sizes) <= n * (CLUSTERED_SHARE - HEAVY_SHARE)]
        self.sizes = np.concatenate([[round(n * HEAVY_SHARE)], sizes])
        places = chance.permutation(n)[: self.sizes.sum()]
        self.n, self.seed = n, seed
        self.cluster, self.member = np.full(n, -1), np.zeros(n, np.int64)
        self.cluster[places] = np.repeat(np.arange(len(self.sizes)), self.sizes)
        self.member[places] = np.arange(len(places)) - np.repeat(np.cumsum(self.sizes) - self.sizes, self.sizes)

    def id_halves(self, places: Array) -> tuple[Array, Array]:
        """The ids as two uint64; the first half alone is different for each document."""
        first = mixed(places.astype(np.uint64) ^ np.uint64(self.seed << 40))
        return first, mixed(~first)

    def write(self, folder: Path, options: DedupOptions) -> float:
        """Write the signatures to the dataset `folder`; the processor seconds that the runs of keys took."""
        seconds = 0.0
        for start in range(0, self.n, PART_DOCUMENTS):
            places = np.arange(start, min(self.n, start + PART_DOCUMENTS))
            high, low = self.id_halves(places)
            order = np.argsort(high)
            values = np.empty((len(places), options.bands, options.rows // 2), np.uint64)
            for band in range(options.bands):
                key = self._key(places[order], band, options.bands)
                for i in range(options.rows // 2):
                    values[:, band, i] = mixed(key + np.uint64(i))
            ids = ids_of(np.stack([high[order], low[order]], axis=1))
            signatures = values.reshape(len(places), -1).view(np.uint32)
            seconds += write_part(folder, start // PART_DOCUMENTS, ids, signatures, options)
        return seconds

    def _key(self, places: Array, band: int, n_bands: int) -> Array:
        """What the values of a band are made of, uint64: equal for those who share it."""
        cluster, member = self.cluster[places], self.member[places]
        kind = np.where(cluster == 0, HEAVY, STAR + cluster % 2)
        drawn = mixed(mixed(places.astype(np.uint64)) + np.uint64(band))
        in_star = (member == 0) | (places % n_bands == band) | (drawn < np.uint64(SHARED_BANDS * 2**64))
        before, after = member % n_bands == band, (member + 1) % n_bands == band
        shares = np.select([kind == HEAVY, kind == STAR], [band == HEAVY_BAND, in_star], before | after)
        link = np.where(kind == CHAIN, member + after, 0)
        common = (cluster * n_bands + band).astype(np.uint64) << np.uint64(24) | link.astype(np.uint64)
        own = (places * n_bands + band).astype(np.uint64) | np.uint64(1 << 63)
        return mixed(np.where(shares & (cluster >= 0), common, own))

    def exact_share(self, found: pa.Table) -> float:
        """The share of clusters, planted or found, that are both. `found`: the columns `id` and `cluster` (ids)."""
        first = self.id_halves(np.arange(self.n))[0]
        order = np.argsort(first)
        places = order[np.searchsorted(first, id_pairs(found, "id")[:, 0], sorter=order)]
        planted, labels = self.cluster[places], np.unique(id_pairs(found, "cluster")[:, 0], return_inverse=True)[1]
        n_found = int(labels.max(initial=-1)) + 1
        sizes = np.bincount(labels, minlength=n_found)
        pairs, counts = np.unique(planted * n_found + labels, return_counts=True)
        pairs, counts = pairs[pairs >= 0], counts[pairs >= 0]
        same = (counts == sizes[pairs % max(1, n_found)]) & (counts == self.sizes[pairs // max(1, n_found)])
        return float(same.sum()) / max(len(self.sizes), n_found)
