"""Validation: whole clusters whatever the source, and rows that no choice of packing changes."""

import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.files import PartStore
from pipeline.manifest import load_manifest
from pipeline.packing.held_out import is_held_out
from pipeline.plan import make_plan
from pipeline.recipe import Recipe, load_recipe
from pipeline.run.task import run_part
from pipeline.shards import open_shard
from tests.small_dataset import article, run_pipeline

RECIPE = """\
name: two
seed: 5
sources:
  first: {{type: tables, path: "{folder}/first.jsonl"}}
  second: {{type: tables, path: "{folder}/second.jsonl"}}
dedup: {{repeat_by_cluster_size: [{{min_size: 2, times: 2}}]}}
tokenizer: {{vocab_size: 640}}
packing: {{seq_len: 64, validation_share: 0.3}}
"""


@pytest.fixture(scope="module")
def two_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe, run, over two sources that hold near copies of 60 articles each, in the second with a word changed; of
    odd articles the first source's copy is the longer one, so that survivors are in both."""
    folder = tmp_path_factory.mktemp("two")
    rows: dict[str, list[str]] = {"first": [], "second": []}
    for seed in range(60):
        near = article(seed).replace("day", "night", 1)
        rows["first"].append(article(seed) + " More." * (seed % 2))
        rows["second"].append(near + " More." * (1 - seed % 2))
    for name, texts in rows.items():
        random.Random(1).shuffle(texts)
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(folder=folder).replace("dedup: {", "dedup: {survivor: [longest], "))
    done = run_pipeline("run", recipe, "--output", folder / "out")
    assert done.returncode == 0, done.stderr
    return recipe


def version_of(recipe: Path) -> Path:
    dataset = recipe.parent / "out" / "two"
    return dataset / (dataset / "latest").read_text().strip()


def test_no_cluster_of_two_sources_is_on_both_sides(two_sources: Path) -> None:
    folder = version_of(two_sources)
    described = load_manifest(folder)
    cluster_of, articles_of = {}, {}
    for file in (f for f in described.files if f.kind == "decisions"):
        lines = (two_sources.parent / f"{file.source}.jsonl").read_bytes()
        for row in pq.read_table(folder / file.path).to_pylist():
            cluster_of[row["id"]] = row["cluster"]
            text = json.loads(lines[row["offset"] :].split(b"\n")[0])["text"]
            articles_of.setdefault(row["cluster"], set()).add((file.source, text[:40]))
    assert len(articles_of) == 60  # each cluster spans both sources
    assert all({source for source, _ in some} == {"first", "second"} for some in articles_of.values())
    sides: dict[bytes, set[str]] = {}
    cells: dict[str, set[str]] = {"train": set(), "validation": set()}
    for file in (f for f in described.files if f.kind == "shard"):
        shard = open_shard(folder / file.path)
        cells[file.split].add(file.cell)
        for key in {key.tobytes() for row in range(len(shard)) for key in shard.ids(row)}:
            sides.setdefault(cluster_of[key], set()).add(file.split)
    assert len(sides) == 60 and all(len(some) == 1 for some in sides.values())
    assert cells == {"train": {"first", "second"}, "validation": {"first", "second"}}
    held_out = is_held_out(pa.chunked_array([pa.array(list(sides), pa.binary(16))]), 5, 0.3)
    assert [some == {"validation"} for some in sides.values()] == held_out.tolist()  # by cluster, not by id
    assert any(key not in cluster_of.values() for key in cluster_of)


def test_the_side_is_a_function_of_seed_and_cluster_alone() -> None:
    random_ = np.random.default_rng(1)
    clusters = pa.array(
        [key.tobytes() for key in random_.integers(0, 256, (20_000, 16), dtype=np.uint8)], pa.binary(16)
    )
    held_out = is_held_out(pa.chunked_array([clusters]), 3, 0.1)
    order = random_.permutation(20_000)
    assert (is_held_out(pa.chunked_array([clusters.take(pa.array(order))]), 3, 0.1) == held_out[order]).all()
    assert abs(held_out.mean() - 0.1) < 0.01
    other = is_held_out(pa.chunked_array([clusters]), 4, 0.1)
    assert 0.05 < (other & held_out).sum() / held_out.sum() < 0.15
    more = is_held_out(pa.chunked_array([clusters]), 3, 0.2)
    assert (more & held_out).sum() == held_out.sum()  # a larger share keeps what was held out


def shards_of(recipe: Recipe, output: Path) -> dict[str, tuple[str, int]]:
    """Label and name of each shard -> its sha256 and rows."""
    store = PartStore(str(output))
    found = {}
    for part in make_plan(recipe).stages["pack"]:
        if not store.is_done("pack", part.key):
            run_part(recipe, part, store)
        marker = store.marker("pack", part.key)
        shards = [file for file in marker.files if file.name.endswith(".arrow")]
        found |= {f"{part.label} {file.name}": (file.sha256, file.rows) for file in shards}
    return found


def test_validation_rows_are_the_same_for_each_method(two_sources: Path) -> None:
    output = two_sources.parent / "out" / "two"
    best_fit = shards_of(load_recipe(two_sources, ()), output)
    concat = shards_of(load_recipe(two_sources, ["packing.method=concat"]), output)
    assert set(best_fit) == set(concat)
    for name in best_fit:
        assert (best_fit[name] == concat[name]) == ("validation" in name)
