"""Measures, kept lines and decisions equal those of datatrove's filters, on texts written for this purpose.

`datatrove_quality.json` holds what the filters found (see `make_datatrove_golden.py`).
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.steps.limits import judge
from pipeline.steps.options import PresetStep
from pipeline.steps.presets import expand
from pipeline.text.lines import apply_spans, keep_spans
from pipeline.text.scan import measure_kept, measure_texts

RECORDS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "datatrove_quality.json").read_text("utf-8"))
OTHER_LINE_ENDS = "unusual_breaks"
"""C4QualityFilter writes LF for every line end; spans cannot. Texts in text form have LF only."""
REASONS = {
    "dup_para_frac": "gopher_duplicate_paragraphs",
    "dup_para_char_frac": "gopher_duplicate_paragraph_chars",
    "dup_line_frac": "gopher_duplicate_lines",
    "dup_line_char_frac": "gopher_duplicate_line_chars",
    **{f"top_{n}_gram": f"gopher_top_{n}gram" for n in (2, 3, 4)},
    **{f"duplicated_{n}_n_grams": f"gopher_duplicate_{n}gram" for n in range(5, 11)},
    "gopher_short_doc": "gopher_too_few_words",
    "gopher_long_doc": "gopher_too_many_words",
    "gopher_below_avg_threshold": "gopher_short_words",
    "gopher_above_avg_threshold": "gopher_long_words",
    "gopher_too_many_hashes": "gopher_hashes",
    "gopher_too_many_ellipsis": "gopher_ellipses",
    "gopher_too_many_bullets": "gopher_bullet_lines",
    "gopher_too_many_end_ellipsis": "gopher_ellipsis_lines",
    "gopher_below_alpha_threshold": "gopher_alphabetic_words",
    "gopher_enough_stop_words": "gopher_stop_words",
    "lorem_ipsum": "c4_lorem_ipsum",
    "curly_bracket": "c4_curly_bracket",
    "too_few_sentences": "c4_sentences",
    "line_punct_ratio": "fineweb_line_punctuation",
    "short_line_ratio": "fineweb_short_lines",
    "char_dup_ratio": "fineweb_duplicate_line_chars",
    "list_ratio": "fineweb_newlines",
}


@pytest.fixture(scope="module")
def measured() -> dict[str, list[Any]]:
    texts = pa.array([record["text"] for record in RECORDS], pa.large_string())
    spans = keep_spans(texts, "c4")
    measures = measure_texts(texts)
    kept = measure_kept(texts, spans, measures)
    columns = {name: values.tolist() for name, values in measures.items()}
    columns |= {f"kept_{name}": values.tolist() for name, values in kept.items()}
    return columns | {"kept": apply_spans(texts, spans).to_pylist()}


@pytest.mark.parametrize("k", range(len(RECORDS)), ids=[record["name"] for record in RECORDS])
def test_measures_and_kept_text(k: int, measured: dict[str, list[Any]]) -> None:
    record = RECORDS[k]
    assert {name: measured[name][k] for name in record["measures"]} == record["measures"]
    if record["kept"] is not None and record["name"] != OTHER_LINE_ENDS:
        assert measured["kept"][k] == record["kept"]
        kept = {f"kept_{name}": value for name, value in record["kept_measures"].items()}
        assert {name: measured[name][k] for name in kept} == kept


def test_decisions(measured: dict[str, list[Any]]) -> None:
    _, limits = expand([PresetStep(type="preset", name="datatrove-0.10")])
    ids = pa.array([k.to_bytes(16, "big") for k in range(len(RECORDS))], pa.binary(16))
    english = {"language": ["en"] * len(RECORDS), "language_score": [0.9] * len(RECORDS)}
    table = pa.table({"id": ids, **english, **{name: measured[name] for name in measured if name != "kept"}})
    for record, row in zip(RECORDS, judge(table, limits).to_pylist(), strict=True):
        expected = [REASONS[reason] for reason in record["decisions"].values() if reason]
        failed = [limits[place].name for place in row["failed"]]
        assert row["drop_reason"] == (expected[0] if expected else ""), record["name"]
        assert set(expected) <= set(failed), record["name"]


def test_every_rule_drops_something() -> None:
    found = {reason for record in RECORDS for reason in record["decisions"].values()}
    assert found - {""} <= REASONS.keys()
    assert len(found) >= 20
