"""datasketch 2.0's MinHash signatures of 112 values, in bulk: permutations are drawn once.

Runs in the peer's environment. Argument: a folder with `hashes.npy` (uint32), `offsets.npy` and `texts.jsonl`. A line
on standard input names a way; it prints {"cpu_s": ...}. The values of "hashes" are written to `datasketch.npy`.
"""

import json
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import xxhash
from datasketch import MinHash
from user_shingles import shingles

N_VALUES, SEED = 112, 1


def main() -> None:
    """Answer until standard input ends."""
    folder = Path(sys.argv[1])
    hashes, offsets = np.load(folder / "hashes.npy"), np.load(folder / "offsets.npy")
    # Python's integers: the hash function, here `int`, which leaves them as they are, is called for each.
    lists = [hashes[a:b].tolist() for a, b in pairwise(offsets)]
    with (folder / "texts.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(line) for line in file]
    made = [shingles(text) for text in texts]

    def bulk(rows: list[list[bytes]] | list[list[int]], **kwargs: object) -> list[MinHash]:
        return MinHash.bulk(rows, num_perm=N_VALUES, seed=SEED, scheme="affine32", **kwargs)

    ways: dict[str, Callable[[], list[MinHash]]] = {
        "hashes": lambda: bulk(lists, hashfunc=int),
        "shingles": lambda: bulk(made),
        "shingles, xxh32": lambda: bulk(made, hashfunc=xxhash.xxh32_intdigest),
        "texts, xxh32": lambda: bulk([shingles(text) for text in texts], hashfunc=xxhash.xxh32_intdigest),
    }
    bulk(lists[:10], hashfunc=int)
    for line in sys.stdin:
        name = json.loads(line)
        begun = time.process_time()
        found = ways[name]()
        seconds = time.process_time() - begun
        if name == "hashes":
            np.save(folder / "datasketch.npy", np.stack([sketch.hashvalues for sketch in found]))
        print(json.dumps({"cpu_s": seconds}), flush=True)


main()
