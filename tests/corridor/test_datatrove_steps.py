"""Datatrove's classes on the whole way: what they drop is counted, what they rewrite is kept, and what need not run
again does not."""

import json
import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import plan, stages
from pipeline.code import origin_of
from pipeline.files import PartStore
from pipeline.manifest import Manifest, load_manifest
from pipeline.plan import make_plan
from pipeline.recipe import Recipe, load_recipe
from pipeline.run.task import OtherCodeError, _check_code, run_part
from tests.small_dataset import run_pipeline, write_small_recipe

OWN = """\
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.formatters.base import BaseFormatter
from datatrove.utils.logging import logger

class Subjects(BaseFilter):
    def __init__(self, unwanted: tuple[str, ...]):
        super().__init__()
        self.unwanted, self.n = unwanted, 0

    def filter(self, doc):
        self.n += 1
        logger.info("a filter talks")
        word = doc.text.split()[0]
        return not doc.text.startswith(self.unwanted), f"{word} {self.n}"

class Sign(BaseFormatter):
    def format(self, text):
        return text + "\\n# # #"
"""
STEPS = """\
  - {type: limit, name: short, measure: n_chars, min: 100}
  - {type: datatrove, name: sign, class: own_classes.Sign, where: {source: [extra]}}
  - {type: datatrove, name: nights, class: datatrove.pipeline.filters.RegexFilter, args: {regex_exp: "night|Too short|#"}, where: {source: [main]}}
  - {type: datatrove, name: symbols, class: datatrove.pipeline.formatters.SymbolLinesFormatter, args: {symbols_to_remove: ["#"]}}
  - {type: lines, rule: c4, where: {source: [extra]}}
  - {type: datatrove, name: subjects, class: own_classes.Subjects, args: {unwanted: [The old, Seven]}}
  - {type: limit, name: hashes, measure: kept_n_hashes, max: 0}
  - {type: datatrove, name: sampled, class: datatrove.pipeline.filters.SamplerFilter, args: {rate: 0.9}, where: {source: [extra]}}
"""  # noqa: E501


@pytest.fixture(scope="module")
def walked(tmp_path_factory) -> Path:
    """A folder with recipe and classes, and `out`, where it has been run."""
    folder = tmp_path_factory.mktemp("walked")
    recipe = write_small_recipe(folder)
    recipe.write_text(re.sub(r"(?<=steps:\n)(  - .*\n)+", lambda _: STEPS, recipe.read_text()))
    (folder / "own_classes.py").write_text(OWN)
    done = run(folder, "run", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "talks" not in done.stderr
    return folder


def run(folder: Path, command: str, *arguments: str):
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    return run_pipeline(
        command, folder / "recipe.yaml", "--output", folder / "out", *arguments, env={"PYTHONPATH": path}
    )


def made(folder: Path) -> tuple[Path, Manifest]:
    dataset = folder / "out" / "small"
    version = dataset / (dataset / "latest").read_text().strip()
    return version, load_manifest(version)


def rows(folder: Path, kind: str) -> list[dict[str, object]]:
    version, described = made(folder)
    return pa.concat_tables([pq.read_table(version / f.path) for f in described.files if f.kind == kind]).to_pylist()


def test_every_document_meets_every_filter_and_the_first_failed_step_is_its_reason(walked: Path) -> None:
    _, described = made(walked)
    counts = described.counts
    nights, short = 5 + 1, 4  # the near copies and the trap; the short ones hold one of its words, too
    assert counts["dropped"]["main"]["short"] == short
    assert counts["failed"]["main"]["nights"] == nights + short
    reasons = {str(row["url"]): row["reason"] for row in rows(walked, "decisions") if row["source"] == "main"}
    assert {reasons[f"https://near.example/{seed}"] for seed in range(10, 15)} == {"nights"}
    assert reasons["https://trap.example/longest"] == "nights"
    dropped = counts["dropped"]["extra"]
    assert 0 < dropped["sampled"] < 20 and dropped["subjects"] > 0
    for name in ("main", "extra"):
        assert counts["extracted"][name] == sum(counts["dropped"][name].values()) + counts["documents"][name]
        assert sum(counts["filter_reasons"][name].values()) == sum(
            n for step, n in counts["failed"][name].items() if step in ("nights", "subjects", "sampled")
        )


def test_a_class_starts_anew_with_each_document(walked: Path) -> None:
    reasons = {key for of_source in made(walked)[1].counts["filter_reasons"].values() for key in of_source}
    assert {key for key in reasons if key.startswith("subjects")} == {"subjects: The 2"}  # 1 was the trial


def test_what_stands_behind_a_formatter_sees_what_it_left(walked: Path) -> None:
    _, described = made(walked)
    documents = rows(walked, "documents")
    assert not any("#" in str(row["text"]) for row in documents)
    assert not any("hashes" in failed for failed in described.counts["failed"].values())
    assert "# #" in OWN  # which `sign` wrote behind every document of `extra`


def test_formatters_are_no_limits_and_the_card_says_what_classes_did(walked: Path) -> None:
    version, described = made(walked)
    assert Recipe.model_validate(described.recipe) == load_recipe(walked / "recipe.yaml")
    card = (version / "card.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| [^|]*(?:≤|keeps it)[^|]* \|", card, re.M)
    assert rows == ["short", "nights", "subjects", "hashes", "short", "subjects", "hashes", "sampled"]
    assert re.search(r"\| `nights` \| `datatrove.pipeline.filters.RegexFilter` keeps it \| 6 \| ", card)
    assert "| `nights` | `no reason given` | 10 |" in card
    assert "do not add up" not in card and "verdict" not in card
    assert described.libraries["datatrove"].startswith("0.10.")
    assert described.libraries["own_classes"].startswith("code ")


def test_batches_workers_and_order_change_no_byte(walked: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(walked)
    monkeypatch.setattr(stages, "BATCH_DOCUMENTS", 7)
    recipe = load_recipe(walked / "recipe.yaml")
    store, before = PartStore(str(tmp_path / "small")), PartStore(str(walked / "out" / "small"))
    planned = make_plan(recipe)
    for stage in ("extract", "measure", "judge"):
        for part in reversed(planned.stages[stage]):
            run_part(recipe, part, store)
            assert store.marker(stage, part.key) == before.marker(stage, part.key)


def to_run(text: str) -> set[str]:
    """Stages with Parts to run, from the output of `pipeline plan`."""
    return {m[1] for m in re.finditer(r"^(\w+) +\d+ +\d+ +([1-9]\d*)$", text, re.M)}


LATE = {"judge", "match", "cluster", "select", "tokenizer", "pack", "describe"}


@pytest.mark.parametrize(
    ("change", "stages_to_run", "reason"),
    [
        ("steps.0.min=90", LATE, "min: 100.0 -> 90.0"),
        ("steps.2.name=dark", LATE, "name: nights -> dark"),
        ("steps.2.args.regex_exp=day", {"measure", *LATE}, "recipe.lines.1.args.regex_exp: night|Too short|# -> day"),
        ("steps.1.where={}", {"measure", *LATE}, "recipe.lines.0.where.source: ['extra'] -> []"),
        ("seed=4", {"measure", *LATE}, "recipe.seed: 3 -> 4"),
        ("pii.kinds=[email]", LATE - {"judge", "match", "cluster"}, "recipe.pii.kinds"),
    ],
)
def test_only_what_a_change_reaches_runs_again(walked: Path, change: str, stages_to_run: set[str], reason: str) -> None:
    assert to_run(run(walked, "plan").stdout) == set()
    planned = run(walked, "plan", "--set", change).stdout
    assert to_run(planned) == stages_to_run
    assert reason in planned


def test_an_edited_class_is_another_class(walked: Path) -> None:
    own = walked / "own_classes.py"
    own.write_text(OWN.replace("# # #", "## ##"))
    planned = run(walked, "plan").stdout
    own.write_text(OWN)
    assert to_run(planned) == {"measure", *LATE}
    assert re.search(r"libraries\.own_classes: code \w{16} -> code \w{16}", planned)


def test_a_worker_with_another_class_runs_nothing(walked: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(walked)
    origin_of.cache_clear()
    recipe = load_recipe(walked / "recipe.yaml")
    part = make_plan(recipe).stages["measure"][0]
    _check_code(recipe, part)
    monkeypatch.setattr(plan, "origin_of", lambda module: {"own_classes": "code 0"})
    with pytest.raises(OtherCodeError, match=r"libraries\.own_classes: code \w{16} -> code 0;"):
        _check_code(recipe, part)


def test_a_step_that_cannot_be_used_is_refused_before_any_work(walked: Path) -> None:
    before = sorted((walked / "out").rglob("*"))
    for command in ("plan", "run"):
        refused = run(walked, command, "--set", "steps.2.class=datatrove.pipeline.filters.RegexFilters")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr == (
            "error: --set steps.2.class=datatrove.pipeline.filters.RegexFilters: steps.2.class: the module "
            "datatrove.pipeline.filters has no RegexFilters; did you mean datatrove.pipeline.filters.RegexFilter?\n"
        )
    assert sorted((walked / "out").rglob("*")) == before


def test_a_class_that_fails_names_step_class_document_and_url(walked: Path) -> None:
    (walked / "bad_class.py").write_text(
        "from datatrove.pipeline.filters.base_filter import BaseFilter\n"
        "class Bad(BaseFilter):\n"
        "    def filter(self, doc):\n"
        "        return doc.metadata['url'] != 'https://plain.example/50' or 1 / 0\n"
    )
    step = "steps=[{type: datatrove, name: bad, class: bad_class.Bad, where: {source: [main]}}]"
    failed = run(walked, "run", "--set", step)
    assert failed.returncode == 1 and "Traceback" not in failed.stderr
    assert re.search(
        r"error: measure: main:\S+ .*: steps: bad: bad_class\.Bad failed on document [0-9a-f]{32} "
        r"\(https://plain\.example/50\): ZeroDivisionError: division by zero\. A step must answer for every document: "
        r"mend the class or its arguments, or leave such documents out with `where`\. Details: ",
        failed.stderr,
    ), failed.stderr


def test_a_sweep_counts_filters_among_the_other_limits(walked: Path) -> None:
    done = run_pipeline("sweep", "small", "--output", walked / "out", "--limit", "hashes", "--json")
    assert done.returncode == 0, done.stderr
    (swept,) = json.loads(done.stdout)["sweeps"]
    today = next(row for row in swept["groups"][0]["rows"] if row["is_today"])
    assert today["after_others"]["documents"] == sum(made(walked)[1].counts["passed"].values())
    refused = run_pipeline("sweep", "small", "--output", walked / "out", "--limit", "nights")
    assert refused.returncode == 2 and "no bound" in refused.stderr
