"""Extract, Measure and Judge of a recipe as a worker runs them, Part by Part, in one warm process.

Runs in Gristmill's own environment. For each line on standard input, a recipe, it prints {"cpu_s": ..., "wall_s": ...,
"stages": ..., "rows": ...}: processor seconds by stage, those of the extraction's children among them, and these apart;
`rows` is a JSONL file with ["path:offset", reason, extracted text] of each record, reason "" if it is kept.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline import stages
from pipeline.files import PartStore
from pipeline.plan import Plan, make_plan
from pipeline.recipe import Recipe
from pipeline.run.task import run_part

STAGES = ("extract", "measure", "judge")


def children_s(recipe: Recipe) -> dict[str, float]:
    """Processor seconds of the extraction's children: for what a page shows, and for its main text."""
    return dict(stages._extractor(recipe.extract.model_dump_json()).cpu_s)


def cpu_s(recipe: Recipe) -> float:
    """Processor seconds of this process and of the extraction's children."""
    return time.process_time() + sum(children_s(recipe).values())


def rows(plan: Plan, store: PartStore) -> Iterator[tuple[str, str, str]]:
    """What became of each record."""
    for part in plan.stages["judge"]:
        extract = part.work["extract"]
        for fate in store.table("extract", extract, "fates.parquet").to_pylist():
            yield f"{fate['path']}:{fate['offset']}", fate["fate"], ""
        decisions = store.table("judge", part.key, "decisions.parquet", ["id", "drop_reason"]).to_pylist()
        reasons = {row["id"]: row["drop_reason"] for row in decisions}
        for row in store.table("extract", extract, "documents.parquet", ["id", "path", "offset", "text"]).to_pylist():
            yield f"{row['path']}:{row['offset']}", reasons[row["id"]], row["text"]


def main() -> None:
    """Answer until standard input ends."""
    with tempfile.TemporaryDirectory() as folder:
        for number, line in enumerate(sys.stdin):
            recipe, store, took = Recipe.model_validate_json(line), PartStore(f"{folder}/{number}"), {}
            plan, begun_s, before = make_plan(recipe), time.monotonic(), children_s(recipe)
            for stage in STAGES:
                begun_cpu_s = cpu_s(recipe)
                for part in plan.stages[stage]:
                    run_part(recipe, part, store)
                took[stage] = cpu_s(recipe) - begun_cpu_s
            took |= {name: spent_s - before[name] for name, spent_s in children_s(recipe).items()}
            answer = {
                "cpu_s": sum(took[stage] for stage in STAGES),
                "wall_s": time.monotonic() - begun_s,
                "stages": took,
            }
            with Path(folder, f"{number}.jsonl").open("w", encoding="utf-8") as file:
                file.writelines(f"{json.dumps(row)}\n" for row in rows(plan, store))
            print(json.dumps({**answer, "rows": file.name}), flush=True)


main()
