"""The scan, line rules and Limits of `datatrove-0.10` beside datatrove's own four filters: speed and decisions.

Both get the same texts, one core, warm. datatrove streams each document through its filters and stops at the first that
fails, as its executor does; here all measures are taken and all Limits judged, which is what a run does.
"""

import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from common import Peer, arguments, finish, peer_python, show, texts
from peers.datatrove_reasons import REASONS

from pipeline.steps.language import LanguageId
from pipeline.steps.limits import judge
from pipeline.steps.options import Limit, PiiOptions, PresetStep
from pipeline.steps.pii.scrubber import Scrubber
from pipeline.steps.presets import expand
from pipeline.text.c4_lines import c4_spans
from pipeline.text.scan import measure_texts

DATATROVE = ("datatrove[processing]==0.10.1", "spacy<3.9", "nltk<4", "orjson")
ROUNDS = 3
BATCH_DOCUMENTS = 2048  # as in pipeline/stages.py
QUICK_BYTES, QUICK_DOCUMENTS = 4_000_000, 300
NEAR = 0.1  # of the bound


def limits() -> tuple[Limit, ...]:
    """The preset's Limits on the text; its two on language are not what is compared."""
    return tuple(e for e in expand([PresetStep(type="preset", name="datatrove-0.10")])[1] if "language" not in e.name)


def ours(documents: pa.LargeStringArray, rules: tuple[Limit, ...]) -> tuple[pa.Table, pa.Table]:
    """Measures and decisions, batch by batch."""
    found = []
    for start in range(0, len(documents), BATCH_DOCUMENTS):
        batch = documents[start : start + BATCH_DOCUMENTS]
        measures, kept = measure_texts(batch, c4_spans(batch), False)
        found.append(pa.table({**measures, **{f"kept_{name}": values for name, values in kept.items()}}))
    table = pa.concat_tables(found)
    ids = np.arange(len(documents), dtype=">u8").repeat(2).tobytes()
    table = table.append_column("id", pa.Array.from_buffers(pa.binary(16), len(documents), [None, pa.py_buffer(ids)]))
    return table, judge(table, rules)


def cpu_s(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of `work`, and what it gave."""
    begun = time.process_time()
    found = work()
    return time.process_time() - begun, found


def near_a_cut(table: pa.Table, rules: Sequence[Limit]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Documents with a measure within NEAR of a bound that is not 0."""
    near = np.zeros(table.num_rows, np.bool_)
    for rule in rules:
        values = table[rule.measure].to_numpy()
        for bound in (rule.min, rule.max):
            if bound:
                near |= np.abs(values - bound) <= NEAR * bound
    return near


def main() -> None:
    """Measure, print, keep."""
    options = arguments(__doc__ or "", ["html", "books", "wiki"])
    quick = options.quick
    found = texts(options.paths, QUICK_BYTES if quick else float("inf"))
    rows = list(range(0, len(found), max(1, len(found) // QUICK_DOCUMENTS))) if quick else list(range(len(found)))
    documents = pa.array([found[k] for k in rows], pa.large_string())
    n_bytes = sum(len(found[k].encode()) for k in rows)
    rules = limits()
    python = peer_python("datatrove-0.10.1", DATATROVE)
    start_s, _ = cpu_s(lambda: ours(documents[:10], rules))
    times: dict[str, list[float]] = {"peer": [], "ours": []}
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(text)}\n" for text in found)
        file.flush()
        program = Path(__file__).parent / "peers" / "datatrove_filters.py"
        with Peer(python, program, file.name) as peer:
            for _ in range(ROUNDS):
                answer = peer.ask(rows)
                times["peer"].append(answer["cpu_s"])
                seconds, (table, judged) = cpu_s(lambda: ours(documents, rules))
                times["ours"].append(seconds)
    theirs = [REASONS.get(reason, reason) for reason in answer["reasons"]]
    reasons = judged["drop_reason"].to_pylist()
    language, _ = LanguageId().identify(documents, 10_000)
    english = np.array([label == "en" for label in language.to_pylist()])
    agree = np.array([bool(a) == bool(b) for a, b in zip(theirs, reasons, strict=True)])
    same = np.array([a == b for a, b in zip(theirs, reasons, strict=True)])
    near = near_a_cut(table, rules)
    ratios = [a / b for a, b in zip(times["peer"], times["ours"], strict=True)]

    def share(mask: Any) -> float:
        return float(agree[mask].mean()) if mask.any() else float("nan")

    speed = {name: n_bytes / 1e6 / statistics.median(seconds) for name, seconds in times.items()}
    speed |= alone(documents, n_bytes)
    show("Speed, one core", ("what", "MB/s", "ms a document"), [
        (name, rate, n_bytes / 1e3 / rate / len(rows)) for name, rate in speed.items()
    ])  # fmt: skip
    show("Decisions", ("documents", "n", "agree", "same first reason"), [
        (name, int(mask.sum()), share(mask), float(same[mask].mean()) if mask.any() else float("nan"))
        for name, mask in (("all", np.ones(len(rows), np.bool_)), ("English", english), ("other", ~english),
                           (f"within {NEAR:.0%} of a cut", near))
    ])  # fmt: skip
    by_reason = drops(theirs, reasons)
    show("Drops by first reason", ("reason", "datatrove", "ours", "precision", "recall"), by_reason)
    print(f"{len(rows):,} documents, {n_bytes / 1e6:.1f} MB; kernels loaded or compiled in {start_s:.2f} s")
    claims = {
        "speedup_vs_datatrove": {"value": round(statistics.median(ratios), 1), "goal": 100, "unit": "times"},
        "agreement_en": {"value": round(share(english), 4), "goal": 0.99, "unit": "share"},
        "agreement_other": {"value": round(share(~english), 4), "goal": 0.97, "unit": "share"},
        "agreement_near_cut": {"value": round(share(near), 4), "goal": None, "unit": "share"},
        "scan_mb_per_s": {"value": round(speed["ours"], 1), "goal": None, "unit": "MB/s"},
    }
    finish("quality", quick, claims, {"times_s": times, "mb_per_s": speed, "documents": len(rows), "bytes": n_bytes})


def alone(documents: pa.LargeStringArray, n_bytes: int) -> dict[str, float]:
    """MB/s of what is measured apart: a plain pass over memory, language, personal data."""
    raw = np.frombuffer(documents.buffers()[2], np.uint8)
    languages, scrubber = LanguageId(), Scrubber(PiiOptions())
    languages.identify(documents[:5], 10_000)
    work: dict[str, Callable[[], Any]] = {
        "plain pass over memory": lambda: int(raw.max()),
        "language": lambda: languages.identify(documents, 10_000),
        "personal data": lambda: scrubber.scrub(documents),
    }
    return {
        name: n_bytes / 1e6 / max(1e-9, statistics.median(cpu_s(run)[0] for _ in range(3)))
        for name, run in work.items()
    }


def drops(theirs: Sequence[str], mine: Sequence[str]) -> list[tuple[object, ...]]:
    """For each reason: how often each side gives it first; share of ours that datatrove gives too, and the reverse."""
    a, b = Counter(theirs), Counter(mine)
    both = Counter(x for x, y in zip(theirs, mine, strict=True) if x == y)
    return [
        (
            name,
            a[name],
            b[name],
            both[name] / b[name] if b[name] else float("nan"),
            both[name] / a[name] if a[name] else float("nan"),
        )
        for name in sorted({*a, *b} - {""})
    ]


if __name__ == "__main__":
    main()
