"""A removal list: what it names is gone with its copies, and nothing is extracted or measured again."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import polars as pl
import pytest

from pipeline.files import PartStore
from pipeline.plan import make_plan
from pipeline.recipe import load_recipe
from pipeline.state import pending
from tests.small_dataset import article, run_pipeline, write_small_recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("removals")
    recipe = write_small_recipe(made)
    recipe.write_text(recipe.read_text() + "keep: {dropped_text: true}\n")
    return made


def build(folder: Path, entries: Iterable[str] = (), *more: str) -> tuple[pl.DataFrame, dict, str, Path]:
    """Decisions by URL, manifest and output of a run with a removal list of `entries`, and the version's folder."""
    overrides = [*more]
    if entries:
        (folder / "removals.txt").write_text("# asked for\n\n" + "\n".join(entries) + "\n")
        overrides.append(f"removals.files=[{folder / 'removals.txt'}]")
    sets = [word for override in overrides for word in ("--set", override)]
    done = run_pipeline("run", folder / "recipe.yaml", "--output", folder / "out", *sets)
    assert done.returncode == 0, done.stderr
    version = done.stdout.split("version  ")[1].split()[0]
    made = folder / "out" / "small" / version
    return (
        pl.read_parquet(made / "decisions" / "*.parquet"),
        json.loads((made / "manifest.json").read_text()),
        done.stdout,
        made,
    )


def reasons(decisions: pl.DataFrame, *urls: str) -> list[str]:
    return [decisions.filter(url=url)["reason"].item() for url in urls]


def texts(folder: Path) -> str:
    return "".join(
        pl.read_parquet(file)["text"].str.join("\n").item()
        for file in folder.glob("d*/*.parquet")
        if "decisions" not in str(file)
    )


def test_a_removed_document_goes_with_its_copies(folder: Path) -> None:
    before, _, _, plain = build(folder)
    near = before.filter(pl.col("url").str.starts_with("https://near.example"))
    survivor = before.filter(pl.col("id") == near.filter(url="https://near.example/10")["survivor"].item())[
        "url"
    ].item()
    fresh = before.filter(url="https://plain.example/40")["id"].item().hex()
    exact = hashlib.blake2b(article(41).encode(), digest_size=16).hexdigest()
    entries = [
        "http://www.plain.example:80/0/#top",  # which survives, or its copy does
        survivor,
        fresh,
        exact.upper(),
        "domain:short.example",
        "https://plain.example/nowhere",
        "0" * 32,
    ]
    overrides = [f"removals.files=[{folder / 'removals.txt'}]"]
    (folder / "removals.txt").write_text("\n".join(entries))
    todo = pending(PartStore(str(folder / "out" / "small")), make_plan(load_recipe(folder / "recipe.yaml", overrides)))
    assert next(stage for stage, parts in todo.items() if parts) == "judge"

    decisions, manifest, output, made = build(folder, entries)
    pair = reasons(decisions, "https://plain.example/0", "https://copy.example/0")
    assert pair == ["removed_on_request", "copy_of_removed"]
    assert sorted(reasons(decisions, "https://plain.example/10", "https://near.example/10")) == [
        "copy_of_removed",
        "removed_on_request",
    ]
    named = ("https://plain.example/40", "https://plain.example/41", *(f"https://short.example/{n}" for n in range(4)))
    assert set(reasons(decisions, *named)) == {"removed_on_request"}
    assert manifest["counts"]["removals"] == {"entries": 7, "matched": 5}
    assert "2 of 7 entries of the removal lists name no document" in output
    changed = before.join(decisions, on="id").filter(pl.col("reason") != pl.col("reason_right"))
    assert len(changed) == 4 + 2 + 4  # those above; of each pair of copies both: one was a duplicate before
    assert decisions.filter(reason="copy_of_removed").select((pl.col("survivor") == pl.col("id")).all()).item()

    for removed in (article(0), article(10), article(40), article(41), "Too short."):
        assert removed in texts(plain)
        assert removed not in texts(made)
    card = (made / "card.md").read_text()
    assert "copy_of_removed" in card
    assert "nowhere" not in card
    assert not any(removed.split(". ")[0] in card for removed in (article(0), article(10), article(40), article(41)))


def test_without_copies_another_one_takes_its_place(folder: Path) -> None:
    before, _, _, _ = build(folder)
    urls = [f"https://{host}.example/1" for host in ("plain", "copy")]
    kept = next(url for url in urls if reasons(before, url) == [""])
    other = next(url for url in urls if url != kept)
    decisions, manifest, _, _ = build(folder, [kept], "removals.with_copies=false")
    assert reasons(decisions, kept, other) == ["removed_on_request", ""]
    sizes = [m["counts"]["cluster_sizes"] for m in (manifest, build(folder)[1])]
    assert sizes[1]["2"] == sizes[0]["2"] + 1


@pytest.mark.parametrize(
    ("line", "said"),
    [("example.org", "domain:example.org"), ("not a url at all", "no entry"), ("abc123", "32 hexadecimal")],
)
def test_a_line_that_is_no_entry_is_named(folder: Path, line: str, said: str) -> None:
    (folder / "wrong.txt").write_text(f"https://fine.example/\n{line}\n")
    done = run_pipeline(
        "run", folder / "recipe.yaml", "--output", folder / "out", "--set", f"removals.files=[{folder / 'wrong.txt'}]"
    )
    assert done.returncode == 2
    assert f"{folder / 'wrong.txt'}:2: " in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_copies_need_deduplication(folder: Path) -> None:
    off = ("dedup.near=false", "dedup.exact=false", "removals.files=[x]")
    done = run_pipeline("plan", folder / "recipe.yaml", *[word for o in off for word in ("--set", o)])
    assert done.returncode == 2
    assert "removals.with_copies" in done.stderr
