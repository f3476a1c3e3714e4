"""Lines that many documents hold, on the whole way: what goes, what is counted, and that no cutting changes it."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import plan as plan_module
from pipeline.dedup import lines as counting
from pipeline.files import PartStore
from pipeline.leftovers import find
from pipeline.manifest import Manifest, load_manifest
from pipeline.plan import STAGES, Plan, make_plan
from pipeline.recipe import Recipe, load_recipe
from pipeline.run.task import run_part
from pipeline.text.spans import apply_spans
from tests.small_dataset import article, run_pipeline

MENU, FOOTER, RARE = "Home | Shop | Offers", "Copyright {} Shop Example, all rights reserved.", "Only on four pages."
QUOTE, REFRAIN = "To be, or not to be: that is the question.", "And the mill goes round and round."
PAD = "x" * 60_000  # in a column that nothing reads, so that small texts make files that are cut

STEPS = """\
  - {type: limit, name: short, measure: kept_n_chars, min: 100}
  - {type: lines, rule: c4, where: {source: [shop]}}
  - {type: site_boilerplate}
  - {type: repeated_lines, where: {source: [notes]}}
"""
RECIPE = """\
name: repeated
seed: 3
sources:
  shop: {type: tables, path: "DATA/shop-*.jsonl", url_column: url, part_mb: 1}
  notes: {type: tables, path: "DATA/notes.jsonl", part_mb: 1}
steps:
STEPStokenizer: {vocab_size: 640}
packing: {seq_len: 64, validation_share: 0.1}
mixture: {weights: {shop: 0.5, notes: 0.5}, max_epochs: 20, tolerance: 0.1}
"""


def shop_rows() -> list[tuple[str, list[str], list[str]]]:
    """URL, lines and the lines that stay, of 40 pages of one site on three hosts and 4 of another."""
    rows = []
    for n in range(40):
        body = [*article(n, 12).split("\n"), *[RARE] * (n % 10 == 0)]
        extra = ["We use cookies on this page."] * (n == 7)
        host = ("www.", "m.", "")[n % 3]
        rows.append((f"https://{host}shop.example/{n}", [MENU, *body, *extra, FOOTER.format(1990 + n)], body))
    rows.append(("https://shop.example/empty", [MENU, FOOTER.format(2040)], []))
    for n in range(4):
        body = ["Written by the other people.", *article(100 + n, 12).split("\n")]
        rows.append((f"https://other.example/{n}", body, body))
    return rows


def notes() -> list[list[str]]:
    """Lines of 30 notes: three quote the same, one says the same thrice, and one is a list of what others say."""
    texts = [article(1000 + n, 12).split("\n") for n in range(30)]
    for n in (3, 11, 26):
        texts[n].insert(1, (QUOTE, QUOTE.upper(), QUOTE.replace(",", ""))[n % 3])
    texts[5] = [line for part in texts[5] for line in (part, REFRAIN)]
    return texts


def write(folder: Path) -> Path:
    """Write recipe and data to `folder`; returns the recipe's path."""
    rows = shop_rows()
    for number, part in enumerate((rows[::2], rows[1::2])):
        lines = [json.dumps({"pad": PAD, "url": url, "text": "\n".join(text)}) for url, text, _ in part]
        (folder / f"shop-{number}.jsonl").write_text("\n".join(lines))
    lines = [json.dumps({"pad": PAD, "text": "\r\n".join(text)}) for text in notes()]
    (folder / "notes.jsonl").write_text("\n".join(lines))
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.replace("DATA", str(folder)).replace("STEPS", STEPS))
    return recipe


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe and `out`, where it has been run."""
    folder = tmp_path_factory.mktemp("repeated")
    done = run_pipeline("run", write(folder), "--output", folder / "out", "--workers", "2")
    assert done.returncode == 0, done.stderr
    return folder


def described(out: Path) -> tuple[Path, Manifest]:
    folder = out / "repeated" / (out / "repeated" / "latest").read_text().strip()
    return folder, load_manifest(folder)


def clean_texts(out: Path) -> pa.Table:
    folder, manifest = described(out)
    files = [folder / file.path for file in manifest.files if file.kind == "documents"]
    columns = ["id", "source", "url", "text", "hash"]
    return pa.concat_tables([pq.read_table(file, columns=columns) for file in files]).sort_by("id")


def test_boilerplate_of_a_site_goes_from_all_its_pages(made: Path) -> None:
    found = {row["url"]: row["text"] for row in clean_texts(made / "out").to_pylist() if row["source"] == "shop"}
    assert found == {url: "\n".join(kept) for url, _, kept in shop_rows() if kept}


def test_of_a_repeated_line_one_stays_and_repeats_within_a_document_do(made: Path) -> None:
    rows = [row for row in clean_texts(made / "out").to_pylist() if row["source"] == "notes"]
    found = [row["text"] for row in rows]
    quoting = [row for row in rows if any(row["text"].startswith(notes()[n][0]) for n in (3, 11, 26))]
    kept = [row["id"] for row in rows if "be that is the question" in re.sub("[,:]", "", row["text"].lower())]
    assert len(quoting) == 3
    assert kept == [min(row["id"] for row in quoting)]
    assert [text.count(REFRAIN) for text in found if REFRAIN in text] == [3]
    others = [line for n, text in enumerate(notes()) for line in text if n != 5 and "question" not in line.lower()]
    assert all(any(line in text for text in found) for line in others)


def test_what_went_is_counted_and_shown(made: Path) -> None:
    folder, manifest = described(made / "out")
    gone = [line + "\n" for _, text, _ in shop_rows() for line in text if line == MENU or line.startswith("Copyright")]
    assert manifest.counts["repeated_lines"] == {
        "shop": {"site_boilerplate": len(gone)},
        "notes": {"site_boilerplate": 0, "repeated_lines": 2},
    }
    n_bytes = sum(map(len, gone)) - 41  # the footers end their texts
    assert manifest.counts["repeated_line_bytes"]["shop"] == {"site_boilerplate": n_bytes}
    assert manifest.counts["dropped"]["shop"] == {"short": 1}
    (row,) = re.findall(
        r"\| `shop` \| `site_boilerplate` \| 82 \| [\d,]+ \| ([\d.]+) ?% \|", (folder / "card.md").read_text()
    )
    assert 0 < float(row) < 100


def test_a_document_of_nothing_else_has_no_text_left(made: Path, tmp_path: Path) -> None:
    stages = run_to_judge(load_recipe(made / "recipe.yaml", ["steps.0.min=0"]), tmp_path)
    reasons = {row["url"]: row["drop_reason"] for row in stages}
    assert {url: reason for url, reason in reasons.items() if reason} == {"https://shop.example/empty": "no_text_left"}


def run_to_judge(recipe: Recipe, folder: Path) -> list[dict[str, Any]]:
    """URL, what is left, and drop reason of each document, by id."""
    plan, store = make_plan(recipe), PartStore(str(folder))
    for stage in list(plan.stages)[: list(plan.stages).index("judge") + 1]:
        for part in plan.stages[stage]:
            run_part(recipe, part, store)
    found = []
    for part in plan.stages["judge"]:
        documents = store.table("extract", part.work["extract"], "documents.parquet")
        spans = store.table("measure", part.work["measure"], "measures.parquet", ["kept_spans"])["kept_spans"]
        reasons = store.table("judge", part.key, "decisions.parquet")["drop_reason"]
        left = apply_spans(documents["text"].combine_chunks(), spans.combine_chunks())
        columns = {"left": left, "drop_reason": reasons}
        found += pa.table({**{name: documents[name] for name in ("id", "url", "source")}, **columns}).to_pylist()
    return sorted(found, key=lambda row: row["id"])


def test_workers_and_cutting_change_no_document(made: Path, tmp_path: Path) -> None:
    whole = ("--set", "sources.shop.part_mb=64", "--set", "sources.notes.part_mb=64")
    done = run_pipeline("run", made / "recipe.yaml", "--output", tmp_path / "out", "--workers", "1", *whole)
    assert done.returncode == 0, done.stderr
    n_parts = [len(made_plan(made, *sets).stages["lines"]) for sets in ((), whole[1::2])]
    assert n_parts[0] > n_parts[1]
    assert clean_texts(tmp_path / "out").equals(clean_texts(made / "out"))
    counts = [described(out)[1].counts["repeated_lines"] for out in (made / "out", tmp_path / "out")]
    assert counts[0] == counts[1]


def made_plan(made: Path, *overrides: str) -> Plan:
    return make_plan(load_recipe(made / "recipe.yaml", overrides))


def test_ranges_and_pieces_change_no_document(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe(made / "recipe.yaml")
    whole = run_to_judge(recipe, tmp_path / "whole")
    monkeypatch.setattr(plan_module, "RANGE_INPUT_BYTES", 1_500_000)
    monkeypatch.setattr(counting, "MERGE_ROWS", 40)
    assert len(make_plan(recipe).stages["repeats"]) == 4
    assert run_to_judge(recipe, tmp_path / "cut") == whole
    assert len([*(tmp_path / "cut" / "work" / "repeats").rglob("*.parquet")]) > 4


def with_steps(made: Path, *steps: str) -> Recipe:
    text = (made / "recipe.yaml").read_text()
    (made / "other.yaml").write_text(text.replace(STEPS, "".join(f"  - {step}\n" for step in steps)))
    return load_recipe(made / "other.yaml")


def test_scopes_shares_and_language(made: Path, tmp_path: Path) -> None:
    def lost(step: str, line: str) -> int:
        rows = run_to_judge(with_steps(made, step), tmp_path / "out")
        before = [text for _, text, _ in shop_rows()] + notes()
        assert len(rows) == len(before)
        return sum(own.count(line) for own in before) - sum(row["left"].split("\n").count(line) for row in rows)

    assert lost("{type: site_boilerplate, min_documents: 4, min_share: 0}", RARE) == 4
    assert lost("{type: site_boilerplate, min_documents: 4}", RARE) == 0  # of 41 pages
    assert lost("{type: site_boilerplate, min_words: 4}", MENU) == 0
    assert lost("{type: site_boilerplate, where: {language: [de]}}", MENU) == 0
    assert lost("{type: repeated_lines, keep: none}", MENU) == 41
    assert lost("{type: repeated_lines, scope: source}", MENU) == 40
    assert lost("{type: repeated_lines, min_documents: 42}", MENU) == 0
    assert lost("{type: repeated_lines, where: {source: [notes]}}", MENU) == 0


def test_datatroves_classes_are_given_what_is_left(made: Path, tmp_path: Path) -> None:
    step = (
        "{type: datatrove, name: menu, class: datatrove.pipeline.filters.RegexFilter, args: {regex_exp: 'Home . Shop'}}"
    )
    for steps, n in (([step], 41), ([step, "{type: site_boilerplate}"], 0)):
        rows = run_to_judge(with_steps(made, *steps), tmp_path / "out")
        assert sum(row["drop_reason"] == "menu" for row in rows) == n


def test_a_recipe_without_such_a_step_has_no_such_stage(made: Path) -> None:
    with_it, without = made_plan(made), make_plan(with_steps(made, "{type: lines, rule: c4}"))
    assert list(with_it.stages) == list(STAGES)
    assert [stage for stage in STAGES if stage not in without.stages] == ["lines", "repeats"]
    assert all(not part.work["repeats"] and len(part.ingredients["inputs"]) == 1 for part in without.stages["measure"])


def test_a_source_that_no_step_counts_keeps_its_keys(made: Path) -> None:
    step = "{type: repeated_lines, where: {source: [notes]}}"
    plan = make_plan(with_steps(made, step))
    assert {part.label.split(":")[0] for part in plan.stages["lines"]} == {"notes"}
    by_source = {part.label.split(":")[0]: len(part.ingredients["inputs"]) for part in plan.stages["measure"]}
    assert by_source == {"shop": 1, "notes": 2}


def changed(a: Plan, b: Plan) -> set[str]:
    return {stage for stage in a.stages if [p.key for p in a.stages[stage]] != [p.key for p in b.stages[stage]]}


@pytest.mark.parametrize(
    ("override", "first"),
    [
        ("steps.2.min_share=0.2", "measure"),
        ("steps.3.keep=none", "measure"),
        ("steps.3.min_words=2", "measure"),  # the other step still counts lines of one word
        ("steps.2.min_words=2", "lines"),
        ("steps.3.scope=site", "lines"),
        ("steps.0.min=90", "judge"),
    ],
)
def test_what_a_changed_field_runs_again(made: Path, override: str, first: str) -> None:
    found = changed(made_plan(made), made_plan(made, override))
    stages = list(STAGES)
    assert found == set(stages[stages.index(first) :])


def test_running_again_does_nothing_and_no_part_is_left_over(made: Path) -> None:
    again = run_pipeline("run", made / "recipe.yaml", "--output", made / "out")
    assert again.returncode == 0 and "Nothing to do" in again.stdout
    found = find(made / "out" / "repeated")
    assert not found.unneeded and not found.unfinished
    assert {"lines", "repeats"} <= {path.parent.name for path in found.behind_versions}
