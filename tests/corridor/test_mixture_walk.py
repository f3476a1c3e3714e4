"""Cells, phases and order, from a recipe to what a trainer reads."""

import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from pipeline.manifest import Manifest, by_cell, by_phase, load_manifest, planned_share
from tests.small_dataset import article, run_pipeline
from training.data import CellRows, Dataset
from training.order import RowOrder

EDGES = [1000, 2000, 3000]
RECIPE = """\
name: cut
seed: 3
sources:
  web: {{type: tables, path: "{folder}/web.jsonl"}}
  books: {{type: tables, path: "{folder}/books.jsonl"}}
mixture:
  weights: {{web: 70, books: 30}}
  tokens: 250k
  phases:
    - {{share: 80, order: {{measure: n_chars}}}}
    - {{share: 20, weights: {{web.en.n_chars-2: 25, web.other.n_chars-2: 5, books: 70}}}}
tokenizer: {{vocab_size: 640}}
packing:
  seq_len: 32
  validation_share: 0.05
  cells: {{web: {{languages: [en], measure: n_chars, edges: {edges}}}}}
"""
GERMAN = "Der alte Wagen stand lange vor dem Haus, und niemand wusste, wem er gehörte oder wann er abgeholt wird. "


def out(recipe: Path) -> tuple[str, Path]:
    return "--output", recipe.parent / "out"


def mix(recipe: Path, *settings: str) -> "CompletedProcess[str]":
    return run_pipeline("mix", recipe, *out(recipe), *(word for s in settings for word in ("--set", s)))


def version_of(recipe: Path) -> Path:
    dataset = recipe.parent / "out" / "cut"
    return dataset / (dataset / "latest").read_text().strip()


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe that has been run, over English and German pages of 500 to 4000 characters, and books."""
    folder = tmp_path_factory.mktemp("cut")
    pages = [article(seed, 8 + 4 * (seed % 7)) for seed in range(220)]
    pages += [GERMAN * (6 + 6 * (n % 6)) + article(5000 + n, 4) for n in range(30)]
    for name, texts in (("web", pages), ("books", [article(9000 + seed, 60) for seed in range(50)])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(folder=folder, edges=EDGES))
    done = run_pipeline("run", path, *out(path))
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def made(recipe: Path) -> Manifest:
    return load_manifest(version_of(recipe))


def test_each_cell_has_the_documents_of_its_language_and_bucket(recipe: Path, made: Manifest) -> None:
    folder = version_of(recipe)
    documents = pl.concat(pl.read_parquet(folder / f.path) for f in made.files if f.kind == "documents")
    facts = {
        row["id"]: (row["source"], row["language"], int(np.searchsorted(EDGES, row["n_chars"], side="right")))
        for row in documents.with_columns(n_chars=pl.col("text").str.len_chars()).iter_rows(named=True)
    }
    seen: dict[str, set[bytes]] = defaultdict(set)
    for file in made.files:
        if file.kind == "shard":
            assert re.fullmatch(rf"shards/{file.split}/{file.cell}-\d{{5}}\.arrow", file.path)
            for ids in pa.ipc.open_file(folder / file.path).read_all()["ids"].to_pylist():
                seen[file.cell].update(ids)
    assert {cell for cell in seen if cell.startswith("web.en")} == {f"web.en.n_chars-{k}" for k in range(4)}
    assert any(cell.startswith("web.other") for cell in seen)
    for cell, ids in seen.items():
        for key in ids:
            source, language, bucket = facts[key]
            name = "en" if language == "en" else "other"
            assert cell == ("books" if source == "books" else f"web.{name}.n_chars-{bucket}")
    assert sum(len(ids) for ids in seen.values()) == len(facts)  # each is in one Cell
    n_documents = Counter[str]()
    for cell in made.cells:
        n_documents[cell.cell] += cell.documents
    assert n_documents == {cell: len(ids) for cell, ids in seen.items()}


def tokens_of(rows: CellRows) -> np.ndarray:
    """Tokens of each row; one that two pieces of a document share counts in the first."""
    read = (rows.read(row) for row in range(len(rows)))
    return np.array([lengths.sum() - (starts > 0).sum() for _, lengths, starts in read])


def test_what_the_trainer_reads_is_the_plan_to_a_thousandth_in_every_phase(recipe: Path, made: Manifest) -> None:
    dataset = Dataset(version_of(recipe))
    lengths = {cell: tokens_of(rows) for cell, rows in dataset.train.items()}
    for seed in (0, 1):
        order = RowOrder(made.mixture, seed)
        cells, rows = order.at(np.arange(order.n_rows))
        read: dict[int, Counter[str]] = defaultdict(Counter)
        for index, row in zip(cells.tolist(), rows.tolist(), strict=True):
            entry = order.plan[index]
            read[entry.phase][entry.cell] += int(lengths[entry.cell][row])
        whole = sum(sum(found.values()) for found in read.values())
        assert whole == pytest.approx(250_000, rel=0.002)
        for number, phase in enumerate(by_phase(made.mixture)):
            n = sum(read[number].values())
            for row in phase:
                assert read[number][row.cell] / n == pytest.approx(planned_share(row, phase), abs=0.001)
        for row in by_cell(made.mixture):
            tokens = sum(found[row.cell] for found in read.values())
            assert tokens / whole == pytest.approx(row.share, abs=0.001)


def test_order_reads_short_pages_first_and_every_source_all_along(made: Manifest) -> None:
    order = RowOrder(made.mixture, 9)
    cells, _ = order.at(np.arange(order.phase_ends[0]))
    read = [order.plan[index].cell for index in cells.tolist()]
    for language in ("en", "other"):
        buckets = [int(cell[-1]) for cell in read if cell.startswith(f"web.{language}")]
        assert buckets == sorted(buckets) and len(set(buckets)) > 1
    for tenth in np.array_split(np.array(read), 10):
        assert np.mean(tenth == "books") == pytest.approx(0.3, abs=0.08)  # of some 600 rows


def test_another_mixture_only_describes_and_other_cells_only_pack(recipe: Path) -> None:
    def to_run(setting: str) -> list[str]:
        said = run_pipeline("plan", recipe, *out(recipe), "--set", setting).stdout
        return re.findall(r"^(\w+) +\d+ +\d+ +[1-9]\d*$", said, re.M)

    assert to_run("mixture.phases=[]") == ["describe"]
    assert to_run("mixture={alpha: 0.3, tokens: 100k, when_short: spread}") == ["describe"]
    assert to_run("packing.cells.books={languages: [en]}") == ["pack", "describe"]
    said = run_pipeline("plan", recipe, *out(recipe), "--set", "packing.cells.books={languages: [en]}").stdout
    assert re.search(r"^pack +2 +1 +1$", said, re.M)  # what is cut as before is not packed again


def test_mix_is_exact_after_pack(recipe: Path, made: Manifest) -> None:
    said = run_pipeline("mix", recipe, *out(recipe), "--json")
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert (found["stage"], found["is_exact"]) == ("pack", True)
    assert found["mixture"] == json.loads(made.to_bytes())["mixture"]
    shown = mix(recipe).stdout
    assert "This mixture is made" in shown and "~" not in shown
    for row in by_cell(made.mixture):
        numbers = (f"{row.share:.1%}", f"{row.rows:,}", f"{row.tokens:,}", f"{row.epochs:.2f}")
        assert re.search(rf"^{re.escape(row.cell)} .* {' +'.join(map(re.escape, numbers))}$", shown, re.M), row
    assert "phase 1 (80" in shown and "phase 2 (20" in shown
    assert list((recipe.parent / "out" / "cut").glob("*/manifest.json")) == [version_of(recipe) / "manifest.json"]


def test_mix_answers_what_if_and_runs_nothing(recipe: Path) -> None:
    said = mix(recipe, "mixture.phases=[]", "mixture.weights.books=0")
    assert said.returncode == 0 and "books: not read at all" in said.stdout
    assert "only Describe runs" in said.stdout
    assert f"pipeline run {recipe} --set 'mixture.phases=[]' --set mixture.weights.books=0" in said.stdout
    said = mix(recipe, "mixture.phases=[]", "mixture.weights={web.en: 1, books: 1}")
    assert said.returncode == 0 and re.search(r"^web\.other\.n_chars-\d: not read at all", said.stdout, re.M)
    said = mix(recipe, "mixture.phases=[]", "mixture.weights={web.de: 1, books: 1}")
    assert said.returncode == 2 and "no source or Cell is called 'web.de'; did you mean web.en?" in said.stderr
    said = mix(recipe, "mixture.phases.1.weights.web.en.n_chars-2=50")
    assert said.returncode == 0, said.stderr
    said = mix(recipe, "mixture.tokens=1B")
    assert said.returncode == 2 and "Traceback" not in said.stderr
    assert "Set mixture.tokens to" in said.stderr and "(the sizes are packed Sequences (Pack): exact)" in said.stderr


def test_mix_before_pack_has_the_tokens_of_a_source_from_word_counts(recipe: Path, made: Manifest) -> None:
    """The whole of a source is exact; a Cell's part goes by characters, and what is held out is expected."""
    for settings, exact in (
        (["packing.seq_len=64", "packing.validation_share=0"], True),
        (["packing.seq_len=64"], False),
    ):
        said = run_pipeline(
            "mix",
            recipe,
            *out(recipe),
            "--json",
            *(w for s in (*settings, "packing.cells={}", "mixture={}") for w in ("--set", s)),
        )
        assert said.returncode == 0, said.stderr
        found = json.loads(said.stdout)
        assert (found["stage"], found["is_exact"]) == ("tokenizer", exact)
        tokens = {cell["cell"]: cell["tokens"] for cell in found["cells"]}
        packed = Counter[str]()
        for cell in made.cells:
            packed[cell.cell.partition(".")[0]] += cell.tokens * (exact or cell.split == "train")
        assert tokens == (packed if exact else pytest.approx(packed, rel=0.05))
    cut = json.loads(run_pipeline("mix", recipe, *out(recipe), "--json", "--set", "packing.seq_len=64").stdout)
    assert not cut["is_exact"] and "by their text for Cells of a source" in cut["how"]
    train = {c.cell: c.tokens for c in made.cells if c.split == "train"}
    estimated = {cell["cell"]: cell["tokens"] for cell in cut["cells"]}
    assert estimated.keys() == train.keys()
    assert {c: n for c, n in estimated.items() if n > 10_000} == pytest.approx(
        {c: train[c] for c, n in estimated.items() if n > 10_000}, rel=0.15
    )


def test_mix_before_the_tokenizer_is_an_estimate_and_says_so(recipe: Path) -> None:
    said = mix(recipe, "tokenizer.vocab_size=600")
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("Sizes: an estimate from bytes of clean text (Select), at 4 bytes a token.")
    assert re.search(r"^books +~[\d,]+ ", said.stdout, re.M) and "from Tokenizer on" in said.stdout
    said = mix(recipe, "sources.books.licence=CC0-1.0")
    assert said.returncode == 2
    assert "nothing to mix yet: Select has done 0 of 2 Parts" in said.stderr


def test_training_goes_through_the_phases(recipe: Path) -> None:
    pytest.importorskip("torch")
    import subprocess

    folder, config = version_of(recipe), recipe.parent / "train.yaml"
    text = (Path(__file__).parents[2] / "recipes" / "train" / "tiny.yaml").read_text()
    config.write_text(text)
    order = RowOrder(load_manifest(folder).mixture, 0)
    n_steps = -(-order.n_rows // 512)
    changes = [
        "model={architecture: modern, n_layers: 1, n_heads: 1, d_model: 16, context: 32}",
        "batch={sequences: 512, sequences_at_once: 512}",
    ]
    changes += [f"n_steps={n_steps}", "schedule.warmup_steps=1", "evaluate={every: 100, sequences_per_cell: 2}"]
    changes += ["sample.n_tokens=4", "device=cpu", "precision=fp32", "compile=false"]
    command = [
        sys.executable,
        "-m",
        "training",
        str(config),
        "--data",
        str(folder),
        "--output",
        str(recipe.parent / "run"),
    ]
    done = subprocess.run(
        [*command, *(word for change in changes for word in ("--set", change))],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    first, second = re.findall(r"^  steps .*$", done.stdout, re.M)
    assert "books 30.0%" in first and re.search(r"books 70\.\d%", second)
    assert "This run" not in done.stdout
