"""What a version cost is the sum over the Parts that it was made from, whichever run did them."""

import json
from pathlib import Path

import pytest

from pipeline.card.cost import add_up, cost
from pipeline.files import TIME
from pipeline.manifest import load_manifest
from tests.card.test_card import cells
from tests.small_dataset import run_pipeline, write_small_recipe


def test_times_add_up_by_stage_and_what_is_not_known_is_said() -> None:
    spent = add_up([("extract", 3600.0), ("extract", 1800.0), ("measure", 0.5), ("measure", None)])
    text = cost(spent)
    assert cells(text)[1:] == [["extract", "2", "1.500"], ["measure", "2", "under 0.001"], ["all", "4", "1.500"]]
    assert "The time of 1 Parts is not known." in text
    assert cost(add_up([("extract", None)])) == cost([]) == ""


@pytest.mark.long
def test_parts_that_another_version_was_made_from_count(tmp_path: Path) -> None:
    recipe = write_small_recipe(tmp_path)
    dataset = tmp_path / "out" / "small"
    found = []
    for limit in (100, 90):
        done = run_pipeline("run", recipe, "--output", tmp_path / "out", "--set", f"steps.0.min={limit}")
        assert done.returncode == 0, done.stderr
        version = dataset / (dataset / "latest").read_text().strip()
        found.append(json.loads((version / "cost.json").read_bytes()))
        stages = [entry["stage"] for entry in found[-1]]
        assert stages == ["extract", "measure", "judge", "match", "cluster", "select", "tokenizer", "pack"]
        assert "cost.json" not in [file.path for file in load_manifest(version).files]
        assert "### What it cost" in (version / "card.md").read_text()
    assert found[0][:2] == found[1][:2]  # Extract and Measure were not done again
    times = (json.loads(path.read_bytes())["wall_s"] for path in (dataset / "work" / "extract").glob(f"*/{TIME}"))
    assert found[0][0]["seconds"] == round(sum(times), 3) > 0
