"""Benchmark items planted in a small corpus, from recipe to card: counted, dropped by a Limit, or cut."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.files import PartStore
from pipeline.plan import make_plan
from pipeline.recipe import load_recipe
from pipeline.state import pending
from tests.small_dataset import article, run_pipeline, write_small_recipe


def line(seed: int, n: int = 0, n_sentences: int = 20) -> str:
    return article(seed, n_sentences).split("\n")[n]


HIDDEN = "Which of the seven bridges did the engineer cross twice before. The rain came down on the old town that day."
"""An item that a document has in two halves, with a line between them that the rule c4 takes away."""
HALVES = [half + "." for half in HIDDEN.removesuffix(".").split(". ")]
ITEMS = {
    "quiz": [
        line(50, 1).upper(),  # in `main`, and a copy of it in `extra`
        line(3, 2),  # in two equal documents of `main`
        line(2030, 1).replace(" ", "  "),  # in `extra` only
        line(8000),  # nowhere
        "too short",
        HIDDEN,
    ],
    "exam": [line(900, 1, 24)],  # in the two documents of the trap: one fails the Limit on hashes
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("overlap")
    recipe = write_small_recipe(made)
    hidden = "\n".join([article(7001), HALVES[0], "Read our privacy policy now.", HALVES[1]])
    with (made / "data" / "extra.jsonl").open("a") as file:
        file.write(json.dumps({"text": hidden}) + "\n")
    rows = [json.dumps({"question": {"text": text}, "id": n}) for n, text in enumerate(ITEMS["quiz"])]
    (made / "quiz.jsonl").write_text("\n".join(rows) + "\n")
    pq.write_table(pa.table({"q": ITEMS["exam"]}), made / "exam.parquet")
    benchmarks = f"{{quiz: {{path: {made}/quiz.jsonl, fields: [question.text]}}, exam: {{path: {made}/exam.parquet}}}}"
    recipe.write_text(recipe.read_text() + f"overlap: {{benchmarks: {benchmarks}}}\n")
    return made


SHORT = "{type: limit, name: short, measure: n_chars, min: 100}"
HASHES = "{type: limit, name: hashes, measure: n_hashes, max: 10}"


def build(folder: Path, *more: str) -> tuple[dict[str, Any], str, str]:
    """Counts, card, and the text of kept documents, of a run with these steps beside those of the small recipe."""
    steps = f"steps=[{', '.join([SHORT, HASHES, *more])}]"
    done = run_pipeline("run", folder / "recipe.yaml", "--output", folder / "out", "--set", steps)
    assert done.returncode == 0, done.stderr
    version = folder / "out" / "small" / done.stdout.split("version  ")[1].split()[0]
    texts = pl.read_parquet(version / "documents" / "*.parquet")["text"].str.join("\n").item()
    manifest = json.loads((version / "manifest.json").read_text())
    assert manifest["assets"].keys() >= {"overlap.quiz.0", "overlap.exam.0"}
    return manifest, (version / "card.md").read_text(), texts


EXTRACTED = {
    "overlap_documents": {"main": {"exam": 2, "quiz": 3}, "extra": {"quiz": 2}},
    "overlap_items": {"main": {"exam": 1, "quiz": 2}, "extra": {"quiz": 2}},
}


def checked(counts: dict[str, Any], kept_items: dict[str, int]) -> None:
    """What holds whatever the steps are."""
    for key, found in EXTRACTED.items():
        assert counts[key] == found
    for name, (items, compared, found) in {"quiz": (6, 5, 3), "exam": (1, 1, 1)}.items():
        own = counts["benchmarks"][name]
        assert (own["items"], own["comparable_items"], own["overlap_items"]) == (items, compared, found)
        assert (own["kept_overlap_items"], own["common_ngrams"]) == (kept_items.get(name, 0), 0)
    exam = counts["benchmarks"]["exam"]["ngrams"]
    assert counts["overlap_ngrams"]["main"]["exam"] == 2 * exam


def test_items_are_counted_before_and_after(folder: Path) -> None:
    manifest, card, texts = build(folder)
    counts = manifest["counts"]
    checked(counts, {"quiz": 3, "exam": 1})
    kept = counts["kept_overlap_documents"]
    # Of equal documents one is kept, of the trap the one inside all Limits.
    assert (kept["main"]["exam"], kept["main"]["quiz"] + kept["extra"]["quiz"]) == (1, 3)
    assert counts["kept_overlap_items"]["main"] == {"exam": 1, "quiz": 1 + kept["main"]["quiz"] // 2}
    for name in ("overlap_ngrams", "kept_overlap_item_fraction"):
        assert sum(sum(n) for n in manifest["histograms"][name]["counts"].values()) == 137 + 62
    assert line(50, 1) in texts
    assert "## Benchmark overlap" in card
    assert "| `quiz` | 6 | 5 |" in card
    assert "| `main` | `exam` | 2 | 1 | 1 | 1 |" in card


def test_a_limit_drops_documents_with_items(folder: Path) -> None:
    before = build(folder)[0]["counts"]
    overlap = "{type: limit, name: benchmark_overlap, measure: overlap_ngrams, max: 0}"
    counts, card, texts = build(folder, overlap)
    counts = counts["counts"]
    checked(counts, {})
    assert not any(key in counts for key in ("kept_overlap_documents", "kept_overlap_items", "kept_overlap_ngrams"))
    assert {source: found["benchmark_overlap"] for source, found in counts["failed"].items()} == {"main": 5, "extra": 2}
    documents = [sum(found["documents"].values()) for found in (before, counts)]
    assert documents[0] - documents[1] == 4
    for text in (line(50, 1), line(3, 2), line(2030, 1), line(900, 1, 24)):
        assert text not in texts
    assert "| `exam` | 1 | 1 | " in card
    # Another bound of the Limit scans no text again.
    steps = f"steps=[{SHORT}, {HASHES}, {overlap.replace('max: 0', 'max: 3')}]"
    todo = pending(PartStore(str(folder / "out" / "small")), make_plan(load_recipe(folder / "recipe.yaml", [steps])))
    assert next(stage for stage, parts in todo.items() if parts) == "judge"


def test_the_line_rule_cuts_items_after_any_other_rule(folder: Path) -> None:
    manifest, _, texts = build(folder, "{type: lines, rule: benchmark_overlap}", "{type: lines, rule: c4}")
    counts = manifest["counts"]
    checked(counts, {})
    assert "kept_overlap_documents" not in counts
    for n in (0, 1, 2, 3):
        assert (line(50, n) in texts) == (n != 1)
        assert (line(3, n) in texts) == (n != 2)
        assert line(7001, n) in texts
    assert "privacy policy" not in texts  # by the rule c4
    assert not any(half in texts for half in HALVES)


def test_among_datatroves_classes_the_line_rule_works_in_its_place(folder: Path) -> None:
    """The cut comes first here, so the halves that meet when c4 has taken what was between them are left."""
    nothing = "{type: datatrove, name: none, class: datatrove.pipeline.filters.RegexFilter, args: {regex_exp: qqqq}}"
    manifest, _, texts = build(folder, "{type: lines, rule: benchmark_overlap}", nothing, "{type: lines, rule: c4}")
    checked(manifest["counts"], {"quiz": 1})
    assert manifest["counts"]["kept_overlap_documents"] == {"extra": {"quiz": 1}}
    assert "\n".join(HALVES) in texts
    assert "privacy policy" not in texts
    assert line(50, 0) in texts
    assert line(50, 1) not in texts


def test_another_benchmark_file_measures_again_and_nothing_else_does(folder: Path) -> None:
    build(folder)
    recipe = folder / "recipe.yaml"
    steps = [f"steps=[{SHORT}, {HASHES}]"]

    def first_stage() -> str:
        todo = pending(PartStore(str(folder / "out" / "small")), make_plan(load_recipe(recipe, steps)))
        return next((stage for stage, parts in todo.items() if parts), "")

    assert first_stage() == ""
    written = (folder / "quiz.jsonl").read_text()
    (folder / "quiz.jsonl").write_text(written + '{"question": {"text": "one more"}}\n')
    assert first_stage() == "measure"
    (folder / "quiz.jsonl").write_text(written + "[]\n")
    done = run_pipeline("run", recipe, "--output", folder / "out")
    assert done.returncode == 2
    assert f"overlap.benchmarks.quiz: {folder}/quiz.jsonl:7: expected a JSON object on one line" in done.stderr
    (folder / "quiz.jsonl").write_text(written)
