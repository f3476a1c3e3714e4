"""datatrove's MinHash deduplication, its four blocks one after the other in one process, with its defaults.

Runs in the peer's environment. Arguments: a folder with `documents.jsonl` ({"text", "id"} a line) in a folder of its
own, and an empty folder to work in. Prints {"cpu_s", "wall_s", "clusters": for each document its cluster, -1 for none,
"removed": ids}.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter


def main() -> None:
    """Run, and report."""
    source, work = sys.argv[1], Path(sys.argv[2])
    config = MinhashConfig()
    signatures, buckets, removals, kept = (str(work / name) for name in ("signatures", "buckets", "removals", "kept"))
    blocks = (
        ([JsonlReader(source), MinhashDedupSignature(signatures, config, language="en")], 1),
        ([MinhashDedupBuckets(signatures, buckets, config=config)], config.num_buckets),
        ([MinhashDedupCluster(buckets, removals, config=config, save_cluster_id=True)], 1),
        ([JsonlReader(source), MinhashDedupFilter(removals), JsonlWriter(kept, compression=None)], 1),
    )
    wall, begun = time.perf_counter(), time.process_time()
    for k, (pipeline, tasks) in enumerate(blocks):
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=str(work / f"logs-{k}")).run()
    seconds = {"cpu_s": time.process_time() - begun, "wall_s": time.perf_counter() - wall}
    n = Path(source, "documents.jsonl").read_bytes().count(b"\n")
    clusters = np.full(n, -1)
    found = np.fromfile(work / "removals" / "000000.clusters", np.uint32).reshape(-1, 2)
    clusters[found[:, 0]] = found[:, 1]
    removed = np.fromfile(work / "removals" / "000000.remove", np.uint32)
    print(json.dumps({**seconds, "clusters": clusters.tolist(), "removed": removed.tolist()}))


main()
