"""Match and Cluster over planted signatures, in a process of its own that the benchmark watches.

    python benchmarks/dedup_scale.py FOLDER N_WORKERS

FOLDER has `keys-*.parquet` (`Planted.write`). Writes `clusters.parquet` there and prints {"cpu_s": ..., "wall_s": ...}.
"""

import json
import sys
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.cluster import cluster
from pipeline.dedup.match import match
from pipeline.dedup.options import DedupOptions
from pipeline.dedup.signatures import band_name
from pipeline.document import ID_TYPE

OPTIONS = DedupOptions()


def find_clusters(folder: Path, n_workers: int) -> dict[str, float]:
    """Find the clusters of the documents in `folder` and write them: `id` and `cluster`, one row a member.

    Returns processor seconds of all processes, and wall seconds. Workers start before, and nobody is charged for it:
    that takes as long for few documents as for many.
    """
    with get_context("spawn").Pool(n_workers, _warm) as pool:
        pool.map(_warmed, range(n_workers), chunksize=1)
        _warm()
        wall, begun = time.perf_counter(), time.process_time()
        cpu_s = sum(pool.map(_match_band, [(folder, band) for band in range(OPTIONS.bands)], chunksize=1))
        documents = pa.concat_tables(pq.read_table(path, columns=["id"]) for path in _parts(folder))
        edges = (("near", pq.read_table(_edges(folder, band))) for band in range(OPTIONS.bands))
        found = cluster(edges, _with_ranks(documents), OPTIONS)
        pq.write_table(found.select(["id", "cluster"]), folder / "clusters.parquet")
        return {"cpu_s": cpu_s + time.process_time() - begun, "wall_s": time.perf_counter() - wall}


def _match_band(job: tuple[Path, int]) -> float:
    folder, band = job

    def keys() -> Iterator[pa.Table]:
        for path in _parts(folder):
            yield pq.read_table(path, columns=["id", band_name(band)]).rename_columns(["id", "key"])

    begun = time.process_time()
    pq.write_table(match(keys()), _edges(folder, band))
    return time.process_time() - begun


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("keys-*.parquet"))


def _edges(folder: Path, band: int) -> Path:
    return folder / f"edges-{band:02d}.parquet"


def _with_ranks(documents: pa.Table) -> pa.Table:
    """What the rules of survival read: all alike, so that the smallest id stays."""
    zeros = pa.array(np.zeros(len(documents), np.int32))
    return documents.append_column("source_rank", zeros).append_column("n_chars", zeros)


def _warm() -> None:
    """Load the compiled kernels."""
    ids = pa.array([bytes(16), bytes(15) + b"1"], ID_TYPE)
    edges = match([pa.table({"id": ids, "key": pa.array([b"key", b"key"], pa.binary(3))})])
    cluster([("near", edges)], _with_ranks(pa.table({"id": ids})), OPTIONS)


def _warmed(_: int) -> None:
    """Keeps one worker from taking the part of another that is not ready yet."""
    time.sleep(0.2)


if __name__ == "__main__":
    print(json.dumps(find_clusters(Path(sys.argv[1]), int(sys.argv[2]))))
