"""Match and Cluster over planted signatures, in a process of its own that the benchmark watches.

    python benchmarks/dedup_scale.py FOLDER N_WORKERS

FOLDER has `keys-*.parquet` (`Planted.write`). Writes `clusters.parquet` there and prints {"seconds": ...}.
"""

import json
import sys
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.cluster import cluster
from pipeline.dedup.match import match
from pipeline.dedup.options import DedupOptions
from pipeline.dedup.signatures import band_name


def find_clusters(folder: Path, n_workers: int) -> pa.Table:
    """The clusters of the documents in `folder`: a table with `id` and `cluster`, one row a member."""
    bands = [(folder, band_name(band)) for band in range(DedupOptions().bands)]
    with get_context("spawn").Pool(n_workers) as pool:
        pool.map(_match_band, bands, chunksize=1)
        pool.close()
        pool.join()  # so that the time of its processes is counted
    documents = pa.concat_tables(pq.read_table(path, columns=["id"]) for path in _parts(folder))
    zeros = pa.repeat(pa.scalar(0, pa.int32()), len(documents))
    documents = documents.append_column("source_rank", zeros).append_column("n_chars", zeros)
    edges = (("near", pq.read_table(folder / f"edges-{band}.parquet")) for _, band in bands)
    return cluster(edges, documents, DedupOptions()).select(["id", "cluster"])


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("keys-*.parquet"))


def _match_band(job: tuple[Path, str]) -> None:
    folder, band = job

    def keys() -> Iterator[pa.Table]:
        for path in _parts(folder):
            yield pq.read_table(path, columns=["id", band]).rename_columns(["id", "key"])

    pq.write_table(match(keys()), folder / f"edges-{band}.parquet")


if __name__ == "__main__":
    begun = time.perf_counter()
    pq.write_table(find_clusters(Path(sys.argv[1]), int(sys.argv[2])), Path(sys.argv[1], "clusters.parquet"))
    print(json.dumps({"seconds": time.perf_counter() - begun}))
