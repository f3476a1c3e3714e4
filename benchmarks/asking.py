"""Asking a large version: `pipeline why` beside the number of records, and what writing its index costs.

The version is made up (`made_version.py`), its index written by the program's own writer in a process of its own, whose
time and peak memory are in the table. `pipeline why` is timed as a person waits for it: a whole process, imports and
all, for a record of each outcome, by URL and by id. The claim is the slowest of the medians; on a machine that does
other work at the time the seconds of the processor say more.
"""

import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from common import ROOT, show
from made_version import make

from pipeline.dedup.cluster import NEAR_DUPLICATE
from pipeline.ledger.layout import FOLDER
from pipeline.ledger.read import Ledger
from pipeline.look.rows import rows_of

FULL_RECORDS, QUICK_RECORDS = 10_000_000, 100_000
FULL_RUNS, QUICK_RUNS = 9, 2
BARE = "import typer, pyarrow.parquet"  # what no program of this kind starts without

INDEX = """
import resource, sys, time
from pathlib import Path
from pipeline.look.index import write_index
begun = time.perf_counter()
write_index(Path(sys.argv[1]))
print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 2**30)
"""


Claims = dict[str, dict[str, object]]


def asking(quick: bool, n_records: int | None = None) -> tuple[Claims, dict[str, Any]]:
    """The claims, and what else is kept, of a version of `n_records`."""
    n_records = n_records or (QUICK_RECORDS if quick else FULL_RECORDS)
    scratch = Path(tempfile.mkdtemp(prefix="gristmill-"))
    try:
        begun = time.perf_counter()
        folder = make(scratch, n_records)
        print(f"{n_records:,} records made in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        why_s, kept = measure(folder, n_records, QUICK_RUNS if quick else FULL_RUNS)
    finally:
        shutil.rmtree(scratch)
    claim = {"value": round(why_s, 3), "goal": 1.0, "unit": "s", "records": n_records}
    return {"why_s_10m_docs": claim}, {"asked": {"records": n_records, **kept}}


def seconds(command: list[str]) -> tuple[float, float]:
    """Of a whole process, which must succeed: by the clock, and of the processor."""
    begun, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    took, now = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def measure(folder: Path, n_records: int, runs: int) -> tuple[float, Mapping[str, Any]]:
    """Seconds of `pipeline why`, the slowest kind of record; and what else is kept."""
    index = [sys.executable, "-c", INDEX, str(folder)]
    done = subprocess.run(index, check=True, capture_output=True, text=True, cwd=ROOT)
    index_s, index_gib = map(float, done.stdout.split())
    index_bytes = sum(path.stat().st_size for path in (folder / FOLDER).iterdir())
    asked = questions(folder)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in (*asked, BARE)}
    for _ in range(runs):  # one after the other, so that a busy moment meets all
        for name, record in asked.items():
            times[name].append(seconds([sys.executable, "-m", "pipeline", "why", str(folder), record]))
        times[BARE].append(seconds([sys.executable, "-c", BARE]))
    medians = {name: statistics.median(took for took, _ in found) for name, found in times.items()}
    cpu = {name: statistics.median(used for _, used in found) for name, found in times.items()}
    rows = [(name, medians[name], max(times[name])[0], cpu[name]) for name in times]
    show("pipeline why, s", ("record", "median", "slowest", "of the processor"), rows)
    del medians[BARE]
    head = ("records", "index written in s", "records a second", "peak GiB", "bytes a record")
    show(
        "The index",
        head,
        [(f"{n_records:,}", index_s, n_records / index_s, index_gib, index_bytes / n_records)],
    )
    kept = {"why_s": medians, "cpu_s": cpu, "index_s": index_s, "index_gib": index_gib, "index_bytes": index_bytes}
    return max(medians.values()), kept


def questions(folder: Path) -> dict[str, str]:
    """A URL and an id for each outcome: of the first of some records that has it."""
    ledger = Ledger(folder)
    found: dict[str, str] = {}
    for batch in ledger.records.batches():
        for row in batch.take(pa.array(range(0, len(batch), 1 + len(batch) // 2000))).to_pylist():
            entry = ledger.entry(row["id"])
            assert entry is not None
            name = "a copy" if entry.bucket.reason == NEAR_DUPLICATE else entry.bucket.kind
            if f"{name}, by id" not in found:
                decided = rows_of(folder / entry.part.decisions, entry.id, ["url"])[0]
                found |= {f"{name}, by id": entry.id.hex(), f"{name}, by URL": decided["url"]}
    return found
