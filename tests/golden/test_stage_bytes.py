"""Golden bytes of every stage: changed bytes without a raised revision fail.

`stage_bytes.json` holds, for each stage, its revision and the sha256 over all committed files, counts and facts of a
run on fixed inputs, and the library versions of that run. With other versions bytes may differ rightly, so the stage is
skipped then, by name. To raise: change `revision` in pipeline/plan.py, then run this file as a script.
"""

import hashlib
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipeline.files import PartStore
from pipeline.manifest import canonical_json
from pipeline.plan import COUNTING_STAGES, STAGES, Part, all_libraries, library_versions, make_plan
from pipeline.recipe import load_recipe
from pipeline.run.task import run_part
from tests.small_dataset import planted_rows

GOLDEN = Path(__file__).with_name("stage_bytes.json")

RECIPE = """\
name: golden
seed: 1
sources:
  web: {type: commoncrawl, snapshot: sample}
  rows: {type: tables, path: "DATA/rows.jsonl", url_column: url}
steps:
  - {type: preset, name: datatrove-0.10, where: {source: [web]}}
  - {type: limit, name: short, measure: n_chars, min: 100}
mixture: {weights: {web: 0.2, rows: 0.8}, max_epochs: 50, tolerance: 0.2}
tokenizer: {vocab_size: 700}
packing: {seq_len: 128, validation_share: 0.05}
"""
COUNTING = RECIPE.replace("steps:\n", "steps:\n  - {type: repeated_lines}\n  - {type: site_boilerplate}\n")
"""For the stages that the recipe does not have."""


def stage_digests(folder: Path) -> dict[str, str]:
    rows = planted_rows()
    random.Random(5).shuffle(rows)
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.replace("DATA", str(folder)))
    command = [sys.executable, "-m", "pipeline", "run", str(recipe), "--output", str(folder / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    store = PartStore(str(folder / "out" / "golden"))
    plan = make_plan(load_recipe(recipe, ()))
    # Describe's manifest holds the recipe with this folder's path.
    found = {stage: digest(store, parts) for stage, parts in plan.stages.items() if stage != "describe"}
    recipe.write_text(COUNTING.replace("DATA", str(folder)))
    counting = load_recipe(recipe, ())
    for stage in COUNTING_STAGES:
        parts = make_plan(counting).stages[stage]
        for part in parts:
            run_part(counting, part, store)
        found[stage] = digest(store, parts)
    return found


def digest(store: PartStore, parts: tuple[Part, ...]) -> str:
    hasher = hashlib.sha256()
    for part in parts:
        marker = store.marker(part.stage, part.key)
        files = [(f.name, f.sha256, f.size, f.rows) for f in marker.files]
        hasher.update(canonical_json([part.label, files, marker.counts, marker.facts]))
    return hasher.hexdigest()


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, str]:
    return stage_digests(tmp_path_factory.mktemp("golden"))


def upstream_versions(stage: str) -> dict[str, str]:
    """Versions that may change the bytes of a stage: its own and those of the stages before it."""
    joined: dict[str, str] = {}
    for name in STAGES:
        if name not in COUNTING_STAGES or stage in COUNTING_STAGES:
            joined |= library_versions(name)
        if name == stage:
            break
    return joined


@pytest.mark.parametrize("stage", [s for s in STAGES if s != "describe"])
def test_bytes_stay_unless_the_revision_is_raised(stage: str, found: dict[str, str]) -> None:
    golden = json.loads(GOLDEN.read_text())
    then = golden["libraries"]
    moved = {n: f"{then.get(n)} -> {v}" for n, v in upstream_versions(stage).items() if then.get(n) != v}
    if moved:
        pytest.skip(f"golden bytes were made with other library versions: {moved}")
    expected = golden["stages"][stage]
    assert STAGES[stage].revision == expected["revision"], "the revision was raised: run this file as a script"
    assert found[stage] == expected["sha256"], f"bytes of {stage} changed: raise its revision in pipeline/plan.py"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        digests = stage_digests(Path(temporary))
    stages = {name: {"revision": STAGES[name].revision, "sha256": digest} for name, digest in digests.items()}
    GOLDEN.write_text(
        json.dumps({"libraries": all_libraries() | library_versions("lines"), "stages": stages}, indent=1) + "\n"
    )
