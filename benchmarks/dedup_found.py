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
from dedup_scale import write_part
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

from pipeline.dedup.ids import id_pairs, ids_of
from pipeline.dedup.options import DedupOptions, VerifyOptions, needs_shingles
from pipeline.dedup.signatures import distinct_shingles, signatures
from pipeline.text.shingles import shingle_hashes

PEERS = Path(__file__).parent / "peers"
PROGRAMS = {
    "datatrove 0.10.1": ("datatrove-0.10.1", DATATROVE, "datatrove_minhash.py"),
    "text-dedup 0.4.0": ("text-dedup-0.4.0", ("text-dedup==0.4.0",), "text_dedup_minhash.py"),
}
N_DOCUMENTS, QUICK_DOCUMENTS, SEED = 20_000, 300, 1
ALIKE = 0.8
WAYS = {
    "here": None,
    "here, verify by signature": VerifyOptions(jaccard=ALIKE),
    "here, verify by shingles": VerifyOptions(jaccard=ALIKE, by="shingles"),
}
HEAD = ("program", "removed", "recall", "precision", "removed without a true copy", "processor s", "wall s")
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
    claims = _claims(candidates, pairs, likeness, options)
    ways = list(WAYS.items())[:: 2 if quick else 1]
    here = {name: _here(column, options.model_copy(update={"verify": verify})) for name, verify in ways}
    programs = [*here.items(), *_peers(made)]
    table = [(name, *_judged(answer, pairs, likeness)) for name, answer in programs]
    show(f"Whole programs; a pair is found if in one cluster, and true from {ALIKE}", HEAD, table)
    verified = dict(zip(HEAD, table[-1 - len(PROGRAMS)], strict=True))
    for what, goal in (("recall", None), ("precision", None), ("removed without a true copy", 0)):
        unit = "documents" if goal == 0 else "share of pairs in one cluster"
        claims[f"{what.replace(' ', '_')}_verified"] = {"value": verified[what], "goal": goal, "unit": unit}
    edits = Counter(document.edit or "passage" for document in made)
    return claims, {"found": {"documents": len(made), "edits": edits, "curve": rows, "programs": table}}


def _bands(values: Array, options: DedupOptions) -> list[Array]:
    """The values of each band, comparable as a whole."""
    return [
        np.ascontiguousarray(band).view(f"V{4 * options.rows}").ravel() for band in np.split(values, options.bands, 1)
    ]


def _claims(candidates: Array, pairs: Array, likeness: Array, options: DedupOptions) -> Claims:
    """Recall and precision of pairs that share a band."""
    chance = chance_of_a_band(likeness, options)
    is_alike = likeness >= ALIKE
    goals = float(chance[is_alike].mean()), float(chance[is_alike].sum() / chance.sum())
    plain = score(candidates, pairs, likeness, ALIKE)
    show(f"Pairs of a Jaccard similarity of {ALIKE} and more, {int(is_alike.sum()):,}", (
        "found by", "pairs", "recall", "precision",
    ), [
        ("an equal band", plain["found"], plain["recall"], plain["precision"]),
        ("the same, theory", float(chance.sum()), *goals),
    ])  # fmt: skip
    unit = "share of pairs"
    return {
        "recall_at_0.8": {"value": round(plain["recall"], 4), "goal": round(goals[0] - MARGIN, 4), "unit": unit},
        "precision_at_0.8": {"value": round(plain["precision"], 4), "goal": round(goals[1] - MARGIN, 4), "unit": unit},
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
    return (len(answer["removed"]), round(result["recall"], 4), round(result["precision"], 4), alone, *seconds)


def _here(column: pa.LargeStringArray, options: DedupOptions) -> dict[str, Any]:
    """Shingles, signatures, keys, Match and Cluster, as the peers' programs answer; a document's id is its number."""
    wall, begun = time.perf_counter(), time.process_time()
    hashes, offsets = shingle_hashes(column, options.ngram_words)
    values = signatures(hashes, offsets, options)
    shingles = distinct_shingles(hashes, offsets) if needs_shingles(options) else None
    ids = ids_of(np.stack([np.zeros(len(values), np.uint64), np.arange(len(values), dtype=np.uint64)], axis=1))
    with tempfile.TemporaryDirectory() as name:
        write_part(Path(name), 0, ids, values, options, shingles)
        used = {"cpu_s": time.process_time() - begun, "wall_s": time.perf_counter() - wall}
        run = watched(Path(name), options)
        table = pq.read_table(Path(name, "clusters.parquet"))
    members, firsts, survivors = (id_pairs(table, which)[:, 1].astype(int) for which in ("id", "cluster", "survivor"))
    clusters = np.full(len(values), -1)
    clusters[members] = firsts
    return {
        "clusters": clusters,
        "removed": members[members != survivors],
        **{what: seconds + run[what] for what, seconds in used.items()},
    }


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
