"""rensa's signatures of 112 values, by each of its classes and batch calls, one thread.

Runs in the peer's environment. Argument: a folder with `hashes.npy` (uint32), `offsets.npy` and `texts.jsonl`. A line
on standard input names a way; it prints {"cpu_s": ...}.
"""

import json
import os
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"

import numpy as np
from rensa import CMinHash, RMinHash
from timed import cpu_s
from user_shingles import shingles

N_VALUES, SEED = 112, 1
POWER_OF_TWO = 128
"""rensa leaves out more work where the number of values is a power of two."""


def main() -> None:
    """Answer until standard input ends."""
    folder = Path(sys.argv[1])
    hashes = np.load(folder / "hashes.npy").astype(np.uint64)
    offsets = np.load(folder / "offsets.npy").astype(np.uint64)
    lists = [hashes[a:b].tolist() for a, b in pairwise(offsets.astype(np.int64))]
    with (folder / "texts.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(line) for line in file]
    made = [shingles(text) for text in texts]
    flat, flat_rho = RMinHash.digest_matrix_from_flat_token_hashes, RMinHash.digest_matrix_from_flat_token_hashes_rho
    sets, sets_rho = RMinHash.digest_matrix_from_token_sets, RMinHash.digest_matrix_from_token_sets_rho
    ways: dict[str, Callable[[], object]] = {
        "hashes, RMinHash": lambda: flat(hashes, offsets, N_VALUES, SEED),
        "hashes, RMinHash, 128 values": lambda: flat(hashes, offsets, POWER_OF_TWO, SEED),
        "hashes, rho": lambda: flat_rho(hashes, offsets, N_VALUES, SEED),
        "hashes, CMinHash": lambda: CMinHash.digests64_from_token_hash_sets(lists, N_VALUES, SEED),
        "shingles, RMinHash": lambda: sets(made, N_VALUES, SEED),
        "shingles, RMinHash, objects": lambda: RMinHash.from_token_sets(made, N_VALUES, SEED),
        "shingles, rho": lambda: sets_rho(made, N_VALUES, SEED),
        "shingles, CMinHash": lambda: CMinHash.from_token_sets(made, N_VALUES, SEED),
        "texts, RMinHash": lambda: sets([shingles(text) for text in texts], N_VALUES, SEED),
        "texts, rho": lambda: sets_rho([shingles(text) for text in texts], N_VALUES, SEED),
    }
    sets(made[:10], N_VALUES, SEED)
    for line in sys.stdin:
        print(json.dumps({"cpu_s": cpu_s(ways[json.loads(line)])[0]}), flush=True)


main()
