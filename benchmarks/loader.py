"""The trainer's loader on random rows, one core: from shards on disk to tokens, targets, positions and documents.

Rows are of random ids (`random_version`): what they say does not change what reading costs. Warm: all files have been
read before. Cold: the system is asked to drop the files' pages before each round (posix_fadvise; what it keeps is not
known), so that a row is read from the disk when it is asked for.
Tokens are those of documents, padding not counted.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
from common import arguments, finish, show
from random_version import SEQ_LEN, write_version

from training.data import Batches, Dataset

ROWS_OF_A_BATCH = (16, 64, 256)
CLAIMED_ROWS = 64
N_DOCUMENTS, QUICK_DOCUMENTS = 150_000, 40_000
ROUNDS, TOKENS_OF_A_ROUND = 7, 30_000_000


def drop_pages(folder: Path) -> None:
    """Ask the system to forget what it holds of the shards."""
    for path in folder.glob("shards/*/*.arrow"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(batches: Batches, n_rows: int, first: int, n_tokens: int) -> tuple[float, float, int]:
    """Wall and processor seconds for at least `n_tokens` tokens in batches of `n_rows`, from a position on; and the
    number of tokens read."""
    done, position = 0, first
    wall, cpu = time.perf_counter(), time.process_time()
    while done < n_tokens:
        _, counted = batches.at(position, n_rows)
        done += sum(counted.values())
        position += n_rows
    return time.perf_counter() - wall, time.process_time() - cpu, done


def main() -> None:
    """Measure, print, keep."""
    options = arguments(__doc__ or "", [])
    torch.set_num_threads(1)
    n_tokens = TOKENS_OF_A_ROUND // (10 if options.quick else 1)
    times: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=options.data) as name:
        folder = Path(name)
        write_version(folder, QUICK_DOCUMENTS if options.quick else N_DOCUMENTS)
        n_bytes = sum(path.stat().st_size for path in folder.glob("shards/*/*.arrow"))
        batches = Batches(Dataset(folder), 0, SEQ_LEN)
        read(batches, CLAIMED_ROWS, 0, batches.order.n_rows * SEQ_LEN // 2)
        for turn in range(ROUNDS):
            for n_rows in ROWS_OF_A_BATCH:
                wall, busy, done = read(batches, n_rows, turn * 1_000_003, n_tokens)
                times.setdefault(f"warm, batches of {n_rows}", []).append(done / wall)
                cpu.setdefault(f"warm, batches of {n_rows}", []).append(done / busy)
        del batches  # a mapped page is not dropped
        for turn in range(ROUNDS):
            drop_pages(folder)
            wall, busy, done = read(Batches(Dataset(folder), 0, SEQ_LEN), CLAIMED_ROWS, turn * 1_000_003, n_tokens)
            times.setdefault("cold", []).append(done / wall)
            cpu.setdefault("cold", []).append(done / busy)
    show(
        f"Tokens a second, rows of {SEQ_LEN:,}, {n_bytes / 1e6:,.0f} MB of shards, median of {ROUNDS} rounds",
        ("what", "wall", "processor", "lowest", "highest"),
        [
            (what, statistics.median(found), statistics.median(cpu[what]), min(found), max(found))
            for what, found in times.items()
        ],
    )
    value = statistics.median(cpu[f"warm, batches of {CLAIMED_ROWS}"])
    claims = {"loader_tokens_per_s": {"value": round(value), "goal": 30_000_000, "unit": "tokens a processor second"}}
    finish("loader", options.quick, claims, {"wall": times, "processor": cpu, "bytes": n_bytes})


if __name__ == "__main__":
    main()
