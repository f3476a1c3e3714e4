"""MinHash signatures beside datasketch 2 (`affine32`): equal values, and the time of both in one run.

    python benchmarks/dedup.py texts.jsonl.gz ... [--documents 2000] [--out results.json]

Reads the field `text` of JSON lines. Two measurements, on one core, processor time, best of `--repeats`:

- `signatures`: from the same 32-bit shingle hashes; every value is compared, and a difference ends the run.
- `text`: from text, as datasketch's users do it (words by regular expression, 5-grams joined, `MinHash.bulk` with its
  default SHA-1) and as Gristmill does it (`shingle_hashes`, then `signatures`). Values differ, hashes being others.
"""

import argparse
import gzip
import json
import re
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasketch import MinHash

from pipeline.dedup.options import DedupOptions
from pipeline.dedup.signatures import signatures
from pipeline.text.shingles import shingle_hashes

WORD = re.compile(r"\w+")


def read_texts(paths: list[Path], limit: int) -> list[str]:
    texts = []
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            texts += [json.loads(line)["text"] for line in lines]
    return texts[:limit]


def best(repeats: int, work: Callable[[], object]) -> float:
    """Seconds of processor time of the fastest of `repeats` runs, after one that warms up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def joined_shingles(text: str, n: int) -> list[bytes]:
    words = WORD.findall(text.lower())
    return [" ".join(words[i : i + n]).encode() for i in range(max(1, len(words) - n + 1))] if words else []


def measure(texts: list[str], repeats: int) -> dict[str, float | int]:
    options = DedupOptions()
    peer = {"num_perm": options.bands * options.rows, "seed": options.seed, "scheme": "affine32"}
    column = pa.array(texts, pa.large_string())
    hashes, offsets = shingle_hashes(column, options.ngram_words)
    documents = [hashes[start:end].tolist() for start, end in pairwise(offsets.tolist())]
    ours = signatures(hashes, offsets, options)
    theirs = MinHash.bulk(documents, hashfunc=int, **peer)
    if not np.array_equal(ours, np.array([sketch.hashvalues for sketch in theirs])):
        raise SystemExit("the values differ from datasketch's: nothing to compare")
    seconds = {
        "signatures_ours_s": best(repeats, lambda: signatures(hashes, offsets, options)),
        "signatures_datasketch_s": best(1, lambda: MinHash.bulk(documents, hashfunc=int, **peer)),
        "text_ours_s": best(repeats, lambda: signatures(*shingle_hashes(column, options.ngram_words), options)),
        "text_datasketch_s": best(
            1, lambda: MinHash.bulk((joined_shingles(text, options.ngram_words) for text in texts), **peer)
        ),
    }
    return {
        "documents": len(texts),
        "utf8_bytes": sum(len(text.encode()) for text in texts),
        "shingles": len(hashes),
        **{name: round(value, 6) for name, value in seconds.items()},
        "signatures_ratio": round(seconds["signatures_datasketch_s"] / seconds["signatures_ours_s"], 1),
        "text_ratio": round(seconds["text_datasketch_s"] / seconds["text_ours_s"], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    result = json.dumps(measure(read_texts(arguments.paths, arguments.documents), arguments.repeats), indent=1)
    print(result)
    if arguments.out:
        arguments.out.write_text(result + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
