"""text-dedup's MinHash script with its defaults but one process.

Runs in the peer's environment. Arguments: a folder with `documents.jsonl` ({"text", "id"} a line), and an empty folder
to work in. Prints {"cpu_s", "wall_s", "clusters": for each document the first of its cluster, "removed": ids}.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"

from text_dedup import minhash


def cpu_s() -> float:
    """Processor seconds of this process and those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(times.ru_utime + times.ru_stime for times in used)


def main() -> None:
    """Run, and report."""
    source, work = Path(sys.argv[1], "documents.jsonl"), Path(sys.argv[2])
    arguments = {
        "path": "json", "data_files": str(source), "split": "train", "cache_dir": str(work / "cache"),
        "output": str(work / "kept"), "column": "text", "num_proc": "1",
    }  # fmt: skip
    wall, begun = time.perf_counter(), cpu_s()
    minhash.main([f"--{name}={value}" for name, value in arguments.items()], standalone_mode=False)
    seconds = {"cpu_s": cpu_s() - begun, "wall_s": time.perf_counter() - wall}
    n = source.read_bytes().count(b"\n")
    clusters = [minhash.uf.find(k) for k in range(n)]
    removed = [k for k in range(n) if clusters[k] != k]
    sys.stdout.write(json.dumps({**seconds, "clusters": clusters, "removed": removed}) + "\n")


main()
