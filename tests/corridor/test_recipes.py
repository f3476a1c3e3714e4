"""The shipped recipes of collections: what to set is said where nothing is there, and each runs on real collections."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.manifest import Manifest, by_phase, load_manifest, realised_share
from pipeline.mixture.options import MixtureOptions
from pipeline.plan import make_plan
from pipeline.recipe import load_recipe
from pipeline.sources.record import SourceError
from tests.corridor.collections_data import rows, write_code, write_dump, write_passages

RECIPES = ("books", "encyclopedia", "code", "papers", "mix")


@pytest.mark.parametrize("name", RECIPES)
def test_a_missing_path_is_named_with_the_option_that_sets_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe(Path(f"recipes/{name}.yaml"))
    first = next(iter(recipe.sources))
    with pytest.raises(SourceError, match=rf"sources\.{first}: data/.* \(--set sources\.{first}\.path=PATH\)"):
        make_plan(recipe)


def test_the_mixture_is_that_of_the_recipe_and_names_every_source() -> None:
    recipe = load_recipe(Path("recipes/mix.yaml"))
    for phase in recipe.mixture.all_phases():
        assert set(phase.weights) == set(recipe.sources)
        assert sum(phase.weights.values()) == pytest.approx(100)
    assert [phase.share for phase in recipe.mixture.phases] == [90, 10]


def run(name: str, folder: Path, *settings: str) -> tuple[Path, Manifest]:
    options = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, "-m", "pipeline", "run", f"recipes/{name}.yaml", "--output", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600, cwd=folder)
    assert done.returncode == 0, done.stderr
    version = folder / name / (folder / name / "latest").read_text().strip()
    return version, load_manifest(version)


@pytest.mark.long
def test_all_of_them_run_on_real_collections(shared_data: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_code(shared_data, data / "code")
    write_dump(shared_data, data / "encyclopedia" / "dump.xml.bz2")
    write_passages(shared_data, data / "synthetic" / "passages.csv")
    latex, articles = f"{shared_data}/papers/*latex*.jsonl.gz", f"{shared_data}/papers/jats-articles.jsonl.gz"
    books = f"sources.books.path={shared_data}/books"
    _, made = run("books", tmp_path, books)
    assert made.counts["records"]["books"] == 19 and made.counts["documents"]["books"] >= 15
    run(
        "papers",
        tmp_path,
        f"sources.latex.path={latex}",
        f"sources.articles.path={articles}",
        "sources.articles.markup=plain",
    )
    _, made = run("code", tmp_path)
    assert made.counts["fates"]["code"]["generated"] > 5 and made.counts["documents"]["code"] > 500
    version, made = run("encyclopedia", tmp_path)
    table = pa.concat_tables([pq.read_table(version / file.path) for file in made.files if file.kind == "documents"])
    assert table.num_rows > 80 and set(table["licence"].to_pylist()) == {"CC-BY-SA-4.0"}
    assert all(url.startswith("https://en.wikipedia.org/wiki/") for url in table["url"].to_pylist())
    # The collection cuts articles of 60,000 characters, mostly within a mark, which then has no partner and is text.
    articles = rows(shared_data / "wiki" / "wikitext-articles.jsonl.gz")
    whole = {row["id"].partition(":")[2] for row in articles if len(row["wikitext"]) < 60_000}
    texts = [row["text"] for row in table.to_pylist() if row["title"] in whole]
    left = Counter(mark for text in texts for mark in ("{{", "[[", "<ref", "{|") if mark in text)
    assert len(texts) > 50 and left.total() <= 0.05 * len(texts), left

    web = f'sources.web={{type: warc, path: "{shared_data}/html/*.warc.gz", part_mb: 8}}'
    _, made = run("mix", tmp_path, books, f"sources.papers.path={latex}", web)
    options = MixtureOptions.model_validate(made.recipe["mixture"])
    for phase, found in zip(options.all_phases(), by_phase(made.mixture), strict=True):
        shares = {row.cell: 100 * realised_share(row, found) for row in found}
        assert shares == pytest.approx(phase.weights, abs=1)
    for name, n in made.counts["records"].items():
        fates, dropped = (sum(made.counts.get(key, {}).get(name, {}).values()) for key in ("fates", "dropped"))
        assert n == fates + dropped + made.counts["documents"][name] and made.counts["documents"][name] > 10
