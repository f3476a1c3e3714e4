"""Which near-duplicates are found: by bands against theory, and by whole programs against datatrove and text-dedup."""

import json
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from common import RESULTS, peer_python, show
from dedup_edits import documents
from dedup_growth import watched
from dedup_truth import (
    Array,
    alike,
    chance_of_a_band,
    codes,
    curve,
    draw,
    groups_of,
    pairs_of,
    score,
    shingle_sets,
)
from quality import DATATROVE

from pipeline.dedup.options import DedupOptions
from pipeline.dedup.signatures import band_columns, signatures
from pipeline.document import fixed_bytes
from pipeline.text.shingles import shingle_hashes

PEERS = Path(__file__).parent / "peers"
PROGRAMS = {
    "datatrove 0.10.1": ("datatrove-0.10.1", DATATROVE, "datatrove_minhash.py"),
    "text-dedup 0.4.0": ("text-dedup-0.4.0", ("text-dedup==0.4.0",), "text_dedup_minhash.py"),
}
N_DOCUMENTS, QUICK_DOCUMENTS, SEED = 20_000, 500, 1
ALIKE = 0.8
MARGIN = 0.02
"""How far recall and precision may stay behind theory: pairs of one family are not independent."""

Claims = dict[str, dict[str, object]]


def found(texts: Sequence[str], quick: bool) -> tuple[Claims, dict[str, object]]:
    """Measure and print; the claims, and what to keep."""
    options = DedupOptions()
    made = documents(texts, QUICK_DOCUMENTS if quick else N_DOCUMENTS, SEED)
    shingles, offsets = shingle_sets([document.text for document in made], options.ngram_words)
    pairs, likeness = alike(shingles, offsets)
    column = pa.array([document.text for document in made], pa.large_string())
    hashes, ends = shingle_hashes(column, options.ngram_words)
    values = signatures(hashes, ends, options)
    same = np.mean([len(set(hashes[a:b].tolist())) for a, b in pairwise(ends)] == np.diff(offsets))
    print(f"{len(made):,} documents; {same:.2%} have as many different shingles here as in the truth")

    candidates = pairs_of([group for keys in _bands(values, options) for group in groups_of(keys)])
    is_found = np.isin(codes(pairs), codes(candidates))
    rows = curve(likeness, is_found, options)
    show("Pairs with an equal band", ("true Jaccard", "pairs", "found", "theory", "deviation"), [
        (f"{row['from']:.2f} to {row['to']:.2f}", int(row["pairs"]), row["found"], row["theory"], row["deviation"])
        for row in rows
    ])  # fmt: skip
    if not quick:
        draw(rows, options, len(made), RESULTS / "dedup-recall.svg")
    claims = _claims(candidates, values, pairs, likeness, options)
    programs = [("here", _here(values, column, options)), *_peers(made)]
    table = [(name, *_judged(answer, pairs, likeness)) for name, answer in programs]
    show(f"Whole programs; a pair is found if in one cluster, and true from {ALIKE}", (
        "program", "removed", "recall", "precision", "removed without a true copy", "processor s", "wall s",
    ), table)  # fmt: skip
    edits = Counter(document.edit or "passage" for document in made)
    return claims, {"found": {"documents": len(made), "edits": edits, "curve": rows, "programs": table}}


def _bands(values: Array, options: DedupOptions) -> list[Array]:
    """The keys of each band, comparable as whole."""
    return [
        np.ascontiguousarray(fixed_bytes(keys)).view(f"V{4 * options.rows}").ravel()
        for keys in band_columns(values, options).values()
    ]


def _claims(candidates: Array, values: Array, pairs: Array, likeness: Array, options: DedupOptions) -> Claims:
    """Recall and precision of pairs that share a band, as they are and if signatures are compared before they count."""
    chance = chance_of_a_band(likeness, options)
    is_alike = likeness >= ALIKE
    goals = float(chance[is_alike].mean()), float(chance[is_alike].sum() / chance.sum())
    verified = candidates[(values[candidates[:, 0]] == values[candidates[:, 1]]).mean(axis=1) >= ALIKE]
    plain, checked = (score(some, pairs, likeness, ALIKE) for some in (candidates, verified))
    show(f"Pairs of a Jaccard similarity of {ALIKE} and more, {int(is_alike.sum()):,}", (
        "found by", "pairs", "recall", "precision",
    ), [
        ("an equal band", plain["found"], plain["recall"], plain["precision"]),
        ("the same, theory", float(chance.sum()), *goals),
        (f"also {ALIKE:.0%} of values equal", checked["found"], checked["recall"], checked["precision"]),
    ])  # fmt: skip
    unit = "share of pairs"
    return {
        "recall_at_0.8": {"value": round(plain["recall"], 4), "goal": round(goals[0] - MARGIN, 4), "unit": unit},
        "precision_at_0.8": {"value": round(plain["precision"], 4), "goal": round(goals[1] - MARGIN, 4), "unit": unit},
        "recall_at_0.8_verified": {"value": round(checked["recall"], 4), "goal": None, "unit": unit},
        "precision_at_0.8_verified": {"value": round(checked["precision"], 4), "goal": None, "unit": unit},
    }


def _judged(answer: dict[str, Any] | str, pairs: Array, likeness: Array) -> tuple[object, ...]:
    """Cells of the table: documents removed, pairs right and wrong, time; or why there are none."""
    if isinstance(answer, str):
        return (answer, "-", "-", "-", "-", "-")
    clusters = np.array(answer["clusters"])
    inside = np.flatnonzero(clusters >= 0)
    together = pairs_of([inside[group] for group in groups_of(clusters[inside])])
    has_copy = np.unique(pairs[likeness >= ALIKE])
    result = score(together, pairs, likeness, ALIKE)
    alone = len(np.setdiff1d(np.array(answer["removed"], np.int64), has_copy))
    seconds = answer["cpu_s"], answer["wall_s"]
    return (len(answer["removed"]), result["recall"], result["precision"], alone, *seconds)


def _here(values: Array, column: pa.LargeStringArray, options: DedupOptions) -> dict[str, Any]:
    """Shingles, signatures, Match and Cluster, as the peers' programs answer; a document's id is its number."""
    wall, begun = time.perf_counter(), time.process_time()
    values = signatures(*shingle_hashes(column, options.ngram_words), options)
    used = {"cpu_s": time.process_time() - begun, "wall_s": time.perf_counter() - wall}
    with tempfile.TemporaryDirectory() as name:
        ids = pa.array([k.to_bytes(16, "big") for k in range(len(values))], pa.binary(16))
        pq.write_table(pa.table({"id": ids, **band_columns(values, options)}), Path(name, "keys-00000.parquet"))
        run = watched(Path(name))
        table = pq.read_table(Path(name, "clusters.parquet"))
    members, firsts = (
        [int.from_bytes(value, "big") for value in table[column].to_pylist()] for column in ("id", "cluster")
    )
    clusters = np.full(len(values), -1)
    clusters[members] = firsts
    removed = [member for member, first in zip(members, firsts, strict=True) if member != first]
    return {"clusters": clusters, "removed": removed, **{what: used[what] + run[what] for what in used}}


def _peers(made: Sequence[Any]) -> list[tuple[str, dict[str, Any] | str]]:
    """The answers of the peers' programs, or why there is none."""
    answers: list[tuple[str, dict[str, Any] | str]] = []
    with tempfile.TemporaryDirectory() as name:
        source = Path(name, "source")
        source.mkdir()
        with (source / "documents.jsonl").open("w", encoding="utf-8") as file:
            for number, document in enumerate(made):
                file.write(json.dumps({"text": document.text, "id": str(number)}) + "\n")
        for title, (environment, packages, program) in PROGRAMS.items():
            work = Path(name, environment)
            work.mkdir()
            try:
                command = [peer_python(environment, packages), PEERS / program, source, work]
                answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=work).stdout
                answers.append((title, json.loads(answer.splitlines()[-1])))
            except subprocess.CalledProcessError as error:
                lines = (error.stderr or "could not be installed").strip().splitlines()
                answers.append((title, f"not run: {lines[-1]}"))
    return answers
