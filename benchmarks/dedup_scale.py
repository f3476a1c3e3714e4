"""Match and Cluster over a folder of signatures, in a process of its own that the benchmark watches.

    python benchmarks/dedup_scale.py FOLDER N_WORKERS OPTIONS

FOLDER is that of a dataset with Parts of Measure (`write_part`), OPTIONS its `dedup` as JSON. Writes `clusters.parquet`
there and prints {"cpu_s": ..., "wall_s": ...}.
"""

import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.cluster import cluster
from pipeline.dedup.keys import keys_of, signature_column, signed_schema
from pipeline.dedup.match import KEY_SPACE, match
from pipeline.dedup.options import DedupOptions, band_names, needs_shingles
from pipeline.dedup.parts import Rows, SignedPart
from pipeline.files import PartStore, PartWriter

SIGNATURES, KEYS, EDGES = "signatures.arrow", "keys.parquet", "edges.parquet"
WHOLE = (0, KEY_SPACE)
"""One range of keys: a plan makes more from 10 TB of raw input on."""


def write_part(
    folder: Path,
    number: int,
    ids: pa.Array,
    values: np.ndarray,
    options: DedupOptions,
    shingles: pa.Array | None = None,
) -> float:
    """What Measure writes of documents to find their duplicates; the processor seconds that the run of keys takes.

    `ids`: ascending. `values`: signatures, shape (n, bands * rows). `shingles`: those of each, if `options` need them.
    """
    columns = [ids, ids, signature_column(values, options), *([shingles] * needs_shingles(options))]
    signed = pa.Table.from_arrays(columns, schema=signed_schema(options))
    out = PartWriter(PartStore(str(folder)), "measure", f"{number:05d}", f"Part {number}", {})
    out.write_batch(SIGNATURES, signed)
    begun = time.process_time()
    out.write_table(KEYS, keys_of(signed, options))
    seconds = time.process_time() - begun
    out.commit()
    return seconds


def find_clusters(folder: Path, n_workers: int, options: DedupOptions) -> dict[str, float]:
    """Find the clusters of the documents in `folder` and write them, one row a member.

    Returns processor seconds of all processes, and wall seconds. Workers start before, and nobody is charged for it:
    that takes as long for few documents as for many.
    """
    bands, context = band_names(options), get_context("spawn")
    ready = context.Barrier(n_workers + 1)
    with context.Pool(n_workers, _start, (folder, options, ready)) as pool:
        _start(folder, options, ready)
        wall, begun = time.perf_counter(), time.process_time()
        cpu_s = sum(pool.imap_unordered(partial(_match_band, folder, options), bands))
        store = PartStore(str(folder))
        found = cluster(partial(_edges, store, bands), _parts(folder), _ranks, options)
        pq.write_table(found.select(["id", "cluster", "survivor"]), folder / "clusters.parquet")
        return {"cpu_s": cpu_s + time.process_time() - begun, "wall_s": time.perf_counter() - wall}


def _match_band(folder: Path, options: DedupOptions, band: str) -> float:
    begun = time.process_time()
    out = PartWriter(PartStore(str(folder)), "match", band, band, {})
    out.write_table(EDGES, match(_parts(folder), band, WHOLE, options).edges)
    out.commit()
    return time.process_time() - begun


def _parts(folder: Path) -> list[SignedPart]:
    store = PartStore(str(folder))
    keys = sorted(path.name for path in folder.glob("work/measure/*"))
    return [
        SignedPart(
            n_rows=store.marker("measure", key).file(SIGNATURES).rows,
            signed=partial(store.batch, "measure", key, SIGNATURES),
            keys=partial(store.table, "measure", key, KEYS, None),
        )
        for key in keys
    ]


def _edges(store: PartStore, bands: list[str]) -> Iterator[pa.Table]:
    return (store.table("match", band, EDGES) for band in bands)


def _ranks(_: int, rows: Rows) -> pa.Table:
    """What the rules of survival read: all alike, so that the smallest id stays."""
    zeros = pa.array(np.zeros(len(rows), np.int32))
    return pa.table({"source_rank": zeros, "n_chars": zeros})


def _start(folder: Path, options: DedupOptions, ready: Barrier) -> None:
    """Load the compiled kernels, by going through the first Part, and wait for the others."""
    try:
        parts = _parts(folder)[:1]
        edges = [match(parts, band_names(options)[-1], WHOLE, options).edges]
        cluster(lambda: edges, parts, _ranks, options)
    except BaseException:
        ready.abort()  # else the others would wait for ever
        raise
    ready.wait()


if __name__ == "__main__":
    print(json.dumps(find_clusters(Path(sys.argv[1]), int(sys.argv[2]), DedupOptions.model_validate_json(sys.argv[3]))))
