"""datasketch 2.0's MinHash signatures of 112 values, in bulk: permutations are drawn once.

Runs in the peer's environment. Argument: a folder with `hashes.npy` (uint32), `offsets.npy` and `texts.jsonl`. A line
on standard input names a way; it prints {"cpu_s": ...}. The values of "hashes" are written to `datasketch.npy`.
"""

import json
import sys
from collections.abc import Callable
from itertools import pairwise
from operator import index
from pathlib import Path

import numpy as np
import xxhash
from datasketch import MinHash
from timed import cpu_s
from user_shingles import shingles

N_VALUES, SEED = 112, 1


def main() -> None:
    """Answer until standard input ends."""
    folder = Path(sys.argv[1])
    hashes, offsets = np.load(folder / "hashes.npy"), np.load(folder / "offsets.npy")
    # A hash function is called for each value; `index` gives back the integer, and is the fastest that does.
    lists = [hashes[a:b].tolist() for a, b in pairwise(offsets)]
    with (folder / "texts.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(line) for line in file]
    made = [shingles(text) for text in texts]

    def bulk(rows: list[list[bytes]] | list[list[int]], **kwargs: object) -> list[MinHash]:
        return MinHash.bulk(rows, num_perm=N_VALUES, seed=SEED, scheme="affine32", **kwargs)

    ways: dict[str, Callable[[], list[MinHash]]] = {
        "hashes": lambda: bulk(lists, hashfunc=index),
        "shingles": lambda: bulk(made),
        "shingles, xxh32": lambda: bulk(made, hashfunc=xxhash.xxh32_intdigest),
        "texts, xxh32": lambda: bulk([shingles(text) for text in texts], hashfunc=xxhash.xxh32_intdigest),
    }
    bulk(lists[:10], hashfunc=index)
    for line in sys.stdin:
        name = json.loads(line)
        seconds, found = cpu_s(ways[name])
        if name == "hashes":
            np.save(folder / "datasketch.npy", np.stack([sketch.hashvalues for sketch in found]))
        print(json.dumps({"cpu_s": seconds}), flush=True)


main()
