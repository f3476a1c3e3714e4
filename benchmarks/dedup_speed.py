"""Signatures beside datasketch and rensa, one core: from shingle hashes, from shingles, from texts.

- From hashes: everyone gets the same 32-bit hashes of word 5-grams, in the form each reads fastest.
- From shingles: the peers get lists of the 5-grams as bytes, which nobody is charged for. There is no such way in here.
- From texts: cutting into words, simplifying and hashing are charged to all; the peers' users do it in Python.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from common import Peer, peer_python, show
from peers.timed import cpu_s

from pipeline.dedup.options import DedupOptions
from pipeline.dedup.signatures import signatures
from pipeline.text.shingles import shingle_hashes

PEERS = Path(__file__).parent / "peers"
DATASKETCH = ("datasketch-2.0", ("datasketch>=2.0,<2.1", "xxhash>=3,<4"))
RENSA = ("rensa-0.5.0", ("rensa==0.5.0", "numpy>=2,<3"))
ASKED: Mapping[str, Sequence[str]] = {
    "datasketch": ("hashes", "shingles", "shingles, xxh32", "texts, xxh32"),
    "rensa": (
        "hashes, RMinHash", "hashes, RMinHash, 128 values", "hashes, rho", "hashes, CMinHash",
        "shingles, RMinHash", "shingles, RMinHash, objects", "shingles, rho", "shingles, CMinHash",
        "texts, RMinHash", "texts, rho",
    ),
}  # fmt: skip
ROUNDS, QUICK_ROUNDS = 7, 1
MAX_CHARS = 50_000
"""Of a document; books as a whole are not what a crawl has."""

FIRST_CALL = """
import time, pyarrow as pa
from pipeline.dedup.options import DedupOptions
from pipeline.dedup.signatures import signatures
from pipeline.text.shingles import shingle_hashes
begun = time.process_time()
signatures(*shingle_hashes(pa.array(["a"], pa.large_string()), 5), DedupOptions())
print(time.process_time() - begun)
"""

Claims = dict[str, dict[str, object]]


def compile_s() -> float:
    """Processor seconds of the first call where the cache of kernels is empty."""
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "GRISTMILL_CACHE": cache}
        return float(
            subprocess.run([sys.executable, "-c", FIRST_CALL], env=env, check=True, capture_output=True).stdout
        )


def speed(texts: Sequence[str], quick: bool) -> tuple[Claims, dict[str, object]]:
    """Measure and print; the claims, and what to keep."""
    options = DedupOptions()
    texts = [text for text in texts if len(text) <= MAX_CHARS]
    column = pa.array(texts, pa.large_string())
    begun = time.process_time()
    signatures(*shingle_hashes(column[:1], options.ngram_words), options)
    start_s = time.process_time() - begun
    hashes, offsets = shingle_hashes(column, options.ngram_words)
    ours: dict[str, Callable[[], object]] = {
        "hashes": lambda: signatures(hashes, offsets, options),
        "texts": lambda: signatures(*shingle_hashes(column, options.ngram_words), options),
    }
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "hashes.npy", hashes)
        np.save(folder / "offsets.npy", offsets)
        (folder / "texts.jsonl").write_text("".join(f"{json.dumps(text)}\n" for text in texts), encoding="utf-8")
        with (
            Peer(peer_python(*DATASKETCH), PEERS / "datasketch_signatures.py", name) as datasketch,
            Peer(peer_python(*RENSA), PEERS / "rensa_signatures.py", name) as rensa,
        ):
            for _ in range(QUICK_ROUNDS if quick else ROUNDS):
                for who, peer in (("datasketch", datasketch), ("rensa", rensa)):
                    for way in ASKED[who]:
                        times.setdefault(f"{who}, {way}", []).append(peer.ask(way)["cpu_s"])
                for way, work in ours.items():
                    times.setdefault(f"ours, {way}", []).append(cpu_s(work)[0])
        theirs = np.load(folder / "datasketch.npy")
    equal = float((theirs == signatures(hashes, offsets, options)).all(axis=1).mean())

    def ratio(peer: str, mine: str) -> float:
        return statistics.median(a / b for a, b in zip(times[peer], times[f"ours, {mine}"], strict=True))

    show(
        f"Signatures of {options.bands * options.rows} values, one core, {len(texts):,} documents of "
        f"{len(hashes) / len(texts):,.0f} shingles",
        ("who, from what", "us a document", "times ours from hashes", "times ours from texts"),
        [(way, statistics.median(seconds) / len(texts) * 1e6, ratio(way, "hashes"), ratio(way, "texts"))
         for way, seconds in times.items()],
    )  # fmt: skip
    compiled = None if quick else compile_s()
    print(f"not charged: the first call, kernels from the cache {start_s:.2f} s, compiled {compiled or '-'} s")
    claims: Claims = {
        "speedup_vs_datasketch": {"value": round(ratio("datasketch, hashes", "hashes"), 1), "goal": 100},
        "speedup_vs_datasketch_texts": {"value": round(ratio("datasketch, texts, xxh32", "texts"), 1), "goal": 100},
        "speedup_vs_rensa": {"value": round(ratio("rensa, hashes, RMinHash", "hashes"), 2), "goal": 20},
        "speedup_vs_rensa_texts": {"value": round(ratio("rensa, texts, RMinHash", "texts"), 1), "goal": 20},
    }
    for name, claim in claims.items():
        claim["unit"] = f"times, from the same {'texts' if name.endswith('texts') else 'shingle hashes'}"
    claims["values_equal"] = {"value": equal, "goal": 1.0, "unit": "share of documents"}
    kept = {"documents": len(texts), "shingles": len(hashes), "times_s": times, "start_s": start_s}
    return claims, {"speed": {**kept, "compile_s": compiled}}
