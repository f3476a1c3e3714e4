"""What is different between two versions."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.ledger import tables
from pipeline.ledger.layout import NO_DOCUMENT
from pipeline.ledger.read import Ledger
from pipeline.look import diff
from pipeline.look.index import write_index
from pipeline.manifest import load_manifest
from tests.small_dataset import run_pipeline, write_small_recipe


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two versions: the second has a higher Limit on length, another on words, and one source less to read."""
    folder = tmp_path_factory.mktemp("pair")
    recipe, found = write_small_recipe(folder), []
    for settings in ((), ("--set", "steps.0.min=2780", "--set", "steps.1.max=50", "--set", "mixture.weights.main=0.6")):
        done = run_pipeline("run", recipe, "--output", folder / "out", *settings)
        assert done.returncode == 0, done.stderr
        dataset = folder / "out" / "small"
        found.append(dataset / (dataset / "latest").read_text().strip())
    return found[0], found[1]


def reasons(folder: Path) -> dict[bytes, str]:
    files = [file for file in load_manifest(folder).files if file.kind == "decisions"]
    return {row["id"]: row["reason"] for file in files for row in pq.read_table(folder / file.path).to_pylist()}


def by_reason(moved: list[diff.Moved]) -> Counter[str]:
    return Counter({each.reason: each.documents for each in moved})


@pytest.mark.parametrize("batch_rows", [(1 << 18, 1 << 18), (7, 1 << 18), (30, 7)])
def test_documents_entered_and_left_are_the_differences_of_the_sets(
    batch_rows: tuple[int, int], pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, rows in zip(pair, batch_rows, strict=True):
        monkeypatch.setattr(tables, "BATCH_ROWS", rows)
        write_index(folder)
    a, b = map(reasons, pair)
    kept_a, kept_b = ({key for key, reason in each.items() if not reason} for each in (a, b))
    entered, left = diff.moved(*map(Ledger, pair))
    assert by_reason(entered) == Counter(a[key] for key in kept_b - kept_a)
    assert by_reason(left) == Counter(b[key] for key in kept_a - kept_b)
    assert by_reason(left)["short"] > 20 and sum(by_reason(entered).values()) > 0
    for each in (*entered, *left):
        assert each.kind != NO_DOCUMENT and len(each.examples) == min(3, each.documents)
    ids = sorted(key.hex() for key in kept_a - kept_b if b[key] == "short")
    assert left[0].examples == tuple(ids[:3])
    assert diff.moved(Ledger(pair[1]), Ledger(pair[1])) == ([], [])


def test_what_the_manifests_say_is_compared(pair: tuple[Path, Path]) -> None:
    a, b = map(load_manifest, pair)
    assert diff.recipe_changes(a, b) == [
        "mixture.weights.main: 0.7 -> 0.6",
        "steps.hashes.max: 10.0 -> 50.0",
        "steps.short.min: 100.0 -> 2780.0",
    ]
    changed = {(source, what.strip()): (x, y) for source, what, x, y in diff.changed(diff.funnel(a, b))}
    for (source, what), numbers in changed.items():
        key = ("documents", source) if what == "kept" else ("dropped", source, what)
        found = []
        for described in (a, b):
            node: Any = described.counts
            for name in key:
                node = node.get(name, {})
            found.append(node or 0)
        assert list(numbers) == found
    assert ("main", "kept") in changed and ("main", "records") not in changed
    assert {cell for cell, tokens, _ in diff.mix(a, b) if tokens[0] != tokens[1]} <= {"main", "extra"}
    assert diff.measures(a, b) == [] == diff.recipe_changes(a, a)


def test_measures_that_differ_are_ranked_by_how_far(small_version: Path, web_version: Path) -> None:
    found = diff.measures(load_manifest(small_version), load_manifest(web_version))
    assert found == sorted(found, key=lambda each: -each.moved) and 0 < found[-1].moved <= found[0].moved <= 1
    assert diff._median(np.array([0, 3, 5, 1]), [1.0, 2.0, 4.0]) == 4.0
    assert diff._median(np.array([0, 5, 3, 1]), [1.0, 2.0, 4.0]) == 2.0
    assert diff._median(np.array([0, 0, 0, 1]), [1.0, 2.0, 4.0]) == 4.0


def test_versions_of_other_records_have_nothing_in_common(small_version: Path, web_version: Path) -> None:
    entered, left = diff.moved(Ledger(small_version), Ledger(web_version))
    assert [each.kind for each in (*entered, *left)] == [diff.NOT_READ, diff.NOT_READ]
    assert left[0].documents == 182


def test_the_command(pair: tuple[Path, Path], cli: Any) -> None:
    done = cli("diff", *pair)
    assert done.returncode == 0, done.stderr
    assert "  steps.short.min: 100.0 -> 2780.0\n" in done.stdout
    assert re.search(r"Documents that left: \d+\n +\d+  are now dropped: short, such as [0-9a-f]{32}, ", done.stdout)
    assert re.search(r"Documents that entered: \d+\n +\d+  were dropped: \w+, such as", done.stdout)
    (pair[1] / "ledger" / "ledger.json").rename(pair[1] / "aside")
    done = cli("diff", *pair)
    (pair[1] / "aside").rename(pair[1] / "ledger" / "ledger.json")
    assert done.returncode == 2 and "steps.short.min" in done.stdout
    assert re.search(r"Which documents entered and left cannot be told: .* pipeline index", done.stdout)
