"""Match and Cluster over planted signatures of growing number: time, memory, disk, and whether the clusters are found.

Measured in a process of its own and its workers (`dedup_scale.py`). Memory is the sum of `VmHWM` over processes that
live at the same time: each one's highest, though they need not come together, so it is rather too high than too low.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from common import show
from dedup_planted import Planted

from pipeline.assets import cache_folder
from pipeline.dedup.options import DedupOptions

PROGRAM = Path(__file__).parent / "dedup_scale.py"
SIZES, QUICK_SIZES = (100_000, 1_000_000, 10_000_000), (10_000, 100_000, 500_000)
WORKERS, ROUNDS, SEED = 2, 3, 1
POLL_S = 0.05

Claims = dict[str, dict[str, object]]
Run = dict[str, float]


def watched(folder: Path, options: DedupOptions) -> Run:
    """One search in `folder`: its answer, and the peaks of memory and of the files written there."""
    before_bytes, peak, most = _folder_bytes(folder), 0.0, 0
    command = [sys.executable, PROGRAM, folder, str(WORKERS), options.model_dump_json()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        peak = max(peak, sum(_peak_kib(pid) for pid in _tree(process.pid)) / 2**20)
        most = max(most, _folder_bytes(folder) - before_bytes)
        time.sleep(POLL_S)
    answer, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{PROGRAM.name} ended with exit code {process.returncode}")
    return {**json.loads(answer.splitlines()[-1]), "peak_gib": peak, "written_bytes": most}


def growth(quick: bool) -> tuple[Claims, dict[str, object]]:
    """Measure and print; the claims, and what to keep."""
    options, sizes = DedupOptions(exact=False), QUICK_SIZES if quick else SIZES
    runs: dict[int, list[Run]] = {n: [] for n in sizes}
    facts: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(dir=cache_folder() / "bench") as name:
        planted = {n: Planted(n, SEED) for n in runs}
        folders = {n: Path(name, str(n)) for n in runs}
        for n, folder in folders.items():
            folder.mkdir()
            facts[n] = {"keys_s": planted[n].write(folder, options), "bytes": _folder_bytes(folder), "exact": 1.0}
            facts[n] |= {"clusters": len(planted[n].sizes), "largest": int(planted[n].sizes.max())}
        for _ in range(1 if quick else ROUNDS):
            for n, folder in folders.items():
                runs[n].append(watched(folder, options))
                exact = planted[n].exact_share(pq.read_table(folder / "clusters.parquet"))
                facts[n]["exact"] = min(exact, facts[n]["exact"])
                shutil.rmtree(folder / "work" / "match")
                (folder / "clusters.parquet").unlink()

    def median(n: int, what: str) -> float:
        return statistics.median(run[what] for run in runs[n])

    show(f"Match and Cluster, {WORKERS} workers", (
        "documents", "clusters", "largest", "wall s", "processor s", "keys s", "peak GiB", "read GB", "written GB",
        "exact",
    ), [
        (f"{n:,}", facts[n]["clusters"], facts[n]["largest"], median(n, "wall_s"), median(n, "cpu_s"),
         facts[n]["keys_s"], median(n, "peak_gib"), facts[n]["bytes"] / 1e9, median(n, "written_bytes") / 1e9,
         facts[n]["exact"])
        for n in runs
    ])  # fmt: skip
    claims: Claims = {
        "growth_exponent": {"value": round(_exponent(sizes, runs, "wall_s"), 3), "goal": 1.05},
        "growth_exponent_processor": {"value": round(_exponent(sizes, runs, "cpu_s"), 3), "goal": 1.05},
    }
    for claim in claims.values():
        claim["unit"] = f"power of documents, {sizes[0]:,} to {sizes[-1]:,}"
    claims |= {
        "peak_gib": {"value": round(max(run["peak_gib"] for run in runs[sizes[-1]]), 2), "goal": 8, "unit": "GiB"},
        "clusters_exact": {"value": min(fact["exact"] for fact in facts.values()), "goal": 1.0, "unit": "share"},
    }
    return claims, {"growth": {"runs": runs, "facts": facts}}


def _exponent(sizes: Sequence[int], runs: Mapping[int, Sequence[Run]], what: str) -> float:
    """The slope of median seconds over documents, both as logarithms, by least squares."""
    seconds = [statistics.median(run[what] for run in runs[n]) for n in sizes]
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def _folder_bytes(folder: Path) -> int:
    sizes = []
    for path in folder.rglob("*"):
        try:
            sizes.append(path.stat().st_size * path.is_file())
        except FileNotFoundError:  # removed since it was listed
            continue
    return sum(sizes)


def _tree(root: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):  # ended since it was listed
            continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _peak_kib(pid: int) -> int:
    """`VmHWM` of a process: the most memory that it ever had resident; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
