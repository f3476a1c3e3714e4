"""`keep`: what a version stores of dropped documents, and that a change of it reads nothing again."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.manifest import load_manifest
from pipeline.versions import verify
from tests.small_dataset import planted_rows, run_pipeline, write_small_recipe


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The small recipe's version as it is, with all kept, and with nothing kept; all of one dataset."""
    folder = tmp_path_factory.mktemp("keep")
    recipe = write_small_recipe(folder)
    found = {}
    for name, keep in (("usual", "{}"), ("all", "{dropped_text: true}"), ("none", "{fates: false}")):
        done = run_pipeline(
            "run", recipe, "--output", folder, "--workers", "1", "--quiet", "--set", f"keep={keep}"
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found[name] = folder / "small" / done.stdout.split()[-1]
        if name == "usual":
            parts = set((folder / "small" / "work").glob("*/*/part.json"))
    new = {p.parent.parent.name for p in (folder / "small" / "work").glob("*/*/part.json") if p not in parts}
    assert new == {"select", "describe"}  # Select's are Parts of their own: nothing is trained or packed again
    return found


def test_by_default_fates_are_kept_and_text_is_not(versions: dict[str, Path]) -> None:
    assert list(versions["usual"].glob("decisions/*")) and not list(versions["usual"].glob("dropped/*"))
    assert not list(versions["none"].glob("decisions/*"))
    listed = [load_manifest(folder).files for folder in versions.values()]
    same = [{(f.path, f.sha256) for f in files if f.kind in ("documents", "shard")} for files in listed]
    assert same[0] == same[1] == same[2]


def test_dropped_text_is_whole_scrubbed_and_adds_up(versions: dict[str, Path]) -> None:
    folder = versions["all"]
    assert verify(folder) == []
    rows = [row for path in sorted(folder.glob("dropped/*.parquet")) for row in pq.read_table(path).to_pylist()]
    counts = load_manifest(folder).counts["dropped"]
    assert len(rows) == sum(n for reasons in counts.values() for n in reasons.values())
    by_url = {row["url"]: row for row in rows}
    planted = {row["url"]: row["text"] for row in planted_rows() if row["kind"] == "short"}
    assert {url: by_url[url]["text"] for url in planted} == planted
    assert {by_url[url]["reason"] for url in planted} == {"short"}
    assert {row["reason"] for row in rows} == {"short", "hashes", "exact_duplicate", "near_duplicate"}
    kept = {i for path in folder.glob("documents/*.parquet") for i in pq.read_table(path)["id"].to_pylist()}
    assert kept.isdisjoint(row["id"] for row in rows)
    assert not any("mailhost" in f"{row['text']}{row['url']}" for row in rows)
