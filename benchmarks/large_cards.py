"""Cards of a version of ten million documents: time and memory from the markers of its Parts to all renderings.

The markers are made up, with counts as a crawl has them: 20 sources in 300 Parts, one of them a crawl of 100,000 hosts
in 40 languages, 60 measures, 320 Limits (8 for each language), clusters, tokens, and ten examples for each reason in
each Part. What is measured is what Describe does with them, in a process of its own, imports included: counts are
joined, checked and cut short, the manifest is made, and card.md, card.html, croissant.json and the plots are rendered.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from common import show

from pipeline import assembly
from pipeline.card.cost import add_up
from pipeline.card.markdown import renderings
from pipeline.card.sampling import N as EXAMPLES
from pipeline.card.sampling import drawn
from pipeline.files import MARKER, PartFile, PartStore, write_parquet
from pipeline.manifest import Manifest, MixtureRow, canonical_json
from pipeline.measures import MEASURES
from pipeline.plan import Part

N_DOCUMENTS, N_SOURCES, N_PARTS, N_HOSTS = 10_000_000, 20, 300, 100_000
LANGUAGES = [f"l{a}{b}" for a in "abcdefgh" for b in "vwxyz"]
LIMITED = [name for name, measure in MEASURES.items() if measure.kind == "number"][:8]
LIMITS = [(f"{measure}_{language}", measure, language) for measure in LIMITED for language in LANGUAGES]
MEASURED = [name for name, measure in MEASURES.items() if measure.kind == "number"][:60]
FATES = ("not_html", "http_status", "empty_text", "url_denied", "extract_timeout", "not_a_response")
KEPT = 0.3
"""Of the extracted documents; the others fail a Limit or are duplicates."""
ROUNDS = 3

Claims = dict[str, dict[str, object]]


def spread(random: np.random.Generator, n: int, names: Sequence[str]) -> dict[str, int]:
    """`n` things over `names` as Zipf has it: many of the first, few of the last."""
    weights = 1 / np.arange(1, len(names) + 1)
    counted = random.multinomial(n, weights / weights.sum()).tolist()
    return {name: int(k) for name, k in zip(names, counted, strict=True) if k}


def write_parts(folder: Path, n_parts: int) -> dict[str, Any]:
    """Markers, and examples beside them, of `n_parts` Parts; returns Describe's work."""
    random = np.random.default_rng(1)
    sources = [f"source-{k:02}" for k in range(N_SOURCES)]
    of_part = [sources[0] if k % 5 else sources[(k // 5) % N_SOURCES] for k in range(n_parts)]
    hosts = [f"host-{k:06}.example" for k in range(N_HOSTS)]
    rows, packed = [], []
    for place, source in enumerate(of_part):
        key = f"{place:032x}"
        kept = N_DOCUMENTS // N_PARTS
        extracted = int(kept / KEPT)
        own = random.permutation(N_HOSTS)[: N_HOSTS // 10] if source == sources[0] else range(10)
        counts = _counts(random, source, kept, extracted, [hosts[k] for k in own])
        slices = [{"source": source, "path": f"crawl/{place:05}.warc.gz", "start": 0, "end": 10**9, "sha256": key * 2}]
        written = [_file(name, kept) for name in ("documents.parquet", "decisions.parquet", "signatures.arrow")]
        for stage, own_counts in counts.items():
            facts = {"inputs": slices} if stage == "extract" else {}
            _write(folder, stage, key, source, own_counts, written if stage == "select" else [], facts)
        write_parquet(_excerpts(random, source), folder / "work" / "select" / key / "examples.parquet")
        rows.append(dict.fromkeys(counts, key))
        packed.append(key)
    _write(
        folder, "cluster", "c" * 32, "all", {"cluster_sizes": spread(random, 10**6, [str(n) for n in range(2, 2000)])}
    )
    _write(folder, "tokenizer", "t" * 32, "all", {}, [_file("tokenizer.model", 0)])
    return {"rows": rows, "cluster": "c" * 32, "tokenizer": "t" * 32, "pack": packed, "dropped": [], "sources": sources}


def _file(name: str, rows: int) -> PartFile:
    return PartFile(name, "0" * 64, 10**6, rows)


def _counts(
    random: np.random.Generator, source: str, kept: int, extracted: int, hosts: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Counts of a Part, by stage."""
    passed = kept + kept // 5
    names = [name for name, _, _ in LIMITS]
    dropped = spread(random, extracted - passed, names)
    copies = spread(random, passed - kept, ("near_duplicate", "exact_duplicate"))
    languages = spread(random, kept, LANGUAGES)
    tokens = {name: 700 * n for name, n in languages.items()}
    n_bytes = {name: 3000 * n for name, n in languages.items()}
    histograms = {
        name: {source: random.multinomial(extracted, np.full(m, 1 / m)).tolist()}
        for name in MEASURED
        for m in [len(MEASURES[name].edges) + 1]
    }
    return {
        "extract": {
            "records": {source: 2 * extracted},
            "fates": {source: spread(random, extracted, FATES)},
            "extracted": {source: extracted},
        },
        "measure": {"histograms": histograms},
        "judge": {
            "dropped": {source: dropped},
            "failed": {source: {name: 2 * n for name, n in dropped.items()}},
            "failed_alone": {source: {name: n // 2 for name, n in dropped.items()}},
            "passed": {source: passed},
        },
        "select": {
            "dropped": {source: copies},
            "extracted_bytes": {source: 4000 * extracted},
            "dropped_bytes": {source: {name: 4000 * n for name, n in (dropped | copies).items()}},
            "documents": {source: kept},
            "utf8_bytes": {source: 3000 * kept},
            "languages": {source: languages},
            "language_bytes": {source: n_bytes},
            "licences": {source: {"": kept}},
            "licence_bytes": {source: {"": 3000 * kept}},
            "years": {source: spread(random, kept, [str(year) for year in range(2025, 2005, -1)])},
            "domains": {source: spread(random, kept, hosts)},
            "pii": {source: spread(random, kept, ("email", "ip", "phone"))},
        },
        "pack": {
            "train_tokens": {source: tokens},
            "byte_tokens": {source: {name: n // 100 for name, n in tokens.items()}},
            "document_tokens": {source: [0] * 9 + [kept] + [0] * 54},
        },
    }  # fmt: skip


def _excerpts(random: np.random.Generator, source: str) -> pa.Table:
    """What Select writes of a Part: ten examples for each reason."""
    reasons = ["", "near_duplicate", "exact_duplicate", *(name for name, _, _ in LIMITS)] * EXAMPLES
    n = len(reasons)
    columns = {
        "source": [source] * n,
        "reason": reasons,
        "id": pa.array([random.bytes(16) for _ in reasons], pa.binary(16)),
        "language": ["en"] * n,
        "url": [f"https://host.example/{k}" for k in range(n)],
        "title": ["A title <b>like</b> others"] * n,
        "n_chars": [4000] * n,
        "text": ["Some words & signs, as pages have them.\n" * 15] * n,
    }
    return pa.table(columns)


def _write(
    folder: Path, stage: str, key: str, label: str, counts: dict[str, Any], files: Sequence[PartFile] = (),
    facts: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    path = folder / "work" / stage / key
    path.mkdir(parents=True)
    found = facts or {}
    if stage == "pack":
        (kept,) = (sum(bins) for bins in counts["document_tokens"].values())
        tokens = sum(sum(names.values()) for names in counts["train_tokens"].values())
        cell = {"cell": label, "split": "train", "rows": tokens // 2048, "tokens": tokens, "documents": kept}
        found = {"cells": [{**cell, "utf8_bytes": 3000 * kept}]}
        files = [_file(f"train-{label}.arrow", tokens // 2048)]
    ingredients = {"inputs": [[]]}
    value = {"stage": stage, "key": key, "label": f"{label}: {key}", "ingredients": ingredients, "counts": counts}
    (path / MARKER).write_bytes(canonical_json({**value, "files": [asdict(f) for f in files], "facts": found}))


def describe(folder: Path, work: dict[str, Any]) -> dict[str, float]:
    """What is measured; runs in a process of its own."""
    part, store = Part("describe", "all", "d" * 32, {}, work), PartStore(str(folder))
    begun = time.perf_counter()
    counts, histograms, inputs = assembly.joined_counts(part, store)
    cells = assembly.cell_totals(part, store)
    assembly.check_sums(counts, cells)
    files, _ = assembly.data_files(part, store)
    examples = drawn(
        pq.read_table(folder / "work" / "select" / row["select"] / "examples.parquet") for row in work["rows"]
    )
    steps = [
        {"type": "limit", "name": name, "measure": measure, "min": 0.5 + k / 100, "where": {"language": [language]}}
        for k, (name, measure, language) in enumerate(LIMITS)
    ]
    share = 1 / len(cells)
    dedup = {"exact": True, "near": True, "ngram_words": 5, "bands": 14, "rows": 8}
    described = Manifest(
        name="large", sources=work["sources"], recipe={"steps": steps, "dedup": dedup},
        libraries={"pyarrow": "26.0.1"}, assets={}, inputs=inputs, files=files, counts=assembly.shortened(counts),
        histograms=histograms, tokenizer={"type": "bpe", "vocab_size": 65536, "fingerprint": "f00d"},
        packing={"seq_len": 2048, "dtype": "uint16"}, cells=cells,
        mixture=[MixtureRow(c.cell, share, share, c.rows, c.rows, c.tokens, 1.0) for c in cells], examples=examples,
    )  # fmt: skip
    joined = time.perf_counter()
    files_made = renderings(
        described, described.version, add_up((stage, 60.0) for row in work["rows"] for stage in row)
    )
    ended = time.perf_counter()
    sizes = {f"{name} MB": len(data) / 1e6 for name, data in files_made.items() if not name.startswith("plots")}
    return {"joining s": joined - begun, "rendering s": ended - joined, **sizes}


def _measured(folder: Path) -> dict[str, float]:
    """One process: its clock from start to end, and its highest resident memory."""
    begun = time.perf_counter()
    command = [sys.executable, __file__, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    answer, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the process ended with exit code {process.returncode}")
    return {"wall s": time.perf_counter() - begun, **json.loads(answer)}


def _child(folder: Path) -> None:
    found = describe(folder, json.loads((folder / "work.json").read_bytes()))
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps({**found, "peak GiB": int(peak.split()[1]) / 2**20}))


def large_cards(quick: bool) -> tuple[Claims, dict[str, object]]:
    """`card_s_10m_docs` and `card_gib_10m_docs`; a quick run has a tenth of the Parts and one round."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work = write_parts(folder, N_PARTS // 10 if quick else N_PARTS)
        (folder / "work.json").write_text(json.dumps(work))
        runs = [_measured(folder) for _ in range(1 if quick else ROUNDS)]
    medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    n = N_DOCUMENTS // 10 if quick else N_DOCUMENTS
    show(f"Cards of {n:,} documents, median of {len(runs)}", ("what", "value"), list(medians.items()))
    claims: Claims = {
        "card_s_10m_docs": {"value": round(medians["wall s"], 1), "goal": 60, "unit": "s"},
        "card_gib_10m_docs": {"value": round(max(run["peak GiB"] for run in runs), 2), "goal": 2, "unit": "GiB"},
    }
    return claims, {"large_cards": {"documents": n, "runs": runs}}


if __name__ == "__main__":
    _child(Path(sys.argv[1]))
