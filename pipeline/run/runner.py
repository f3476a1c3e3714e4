"""One run: stage after stage through an engine, markers checked after each, times and costs written to `runs/`."""

import json
import os
import platform
import resource
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline import assets, versions
from pipeline.files import Folder, PartStore
from pipeline.manifest import canonical_json
from pipeline.plan import STAGES, Part, Plan
from pipeline.recipe import Recipe
from pipeline.run.engines import STORE_LAG_S, Engine
from pipeline.run.progress import Progress
from pipeline.run.task import StageTask, write_job
from pipeline.state import is_done, pending


class RunError(Exception):
    """A run that stopped: what failed, where, and what to do. `details` holds tracebacks."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


@dataclass(slots=True)
class RunReport:
    """What a run did. It is written to `runs/`, never into a version."""

    version: str = ""
    stages: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def _locked(dataset: Folder) -> Iterator[None]:
    """Only one run at a time works on a dataset (on a local disk; the lock goes with the process)."""
    if not dataset.is_local:
        yield
        return
    folder = Path(dataset.root)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(f"another run is working on {folder}; wait for it, or use another --output") from None
    try:
        yield
    finally:
        lock.release()


def run_plan(recipe: Recipe, plan: Plan, dataset_url: str, engine_of: Any, progress: Progress) -> RunReport:
    """Run what is pending and return the report.

    `engine_of` makes the Engine; it is called only if something must run.

    Raises:
        RunError: if a Part failed, or another run holds the dataset.
    """
    store = PartStore(dataset_url)
    with _locked(store.dataset):
        versions.sweep(store.dataset)
        started = datetime.now(UTC)
        name = f"{started:%Y%m%dT%H%M%S}-{os.getpid()}"
        report = RunReport()
        todo = pending(store, plan)
        engine: Engine | None = None
        try:
            if any(todo.values()):
                _prepare(todo)
                engine = engine_of()
            for stage, parts in todo.items():
                begun = time.monotonic()
                if parts and engine is not None:
                    _run_stage(recipe, stage, parts, store, engine, name, progress)
                report.stages.append(
                    {
                        "stage": stage,
                        "parts": len(plan.stages[stage]),
                        "run": len(parts),
                        "wall_s": round(time.monotonic() - begun, 3),
                    }
                )
        finally:
            if engine is not None:
                engine.close()
            progress.close()
        report.version = store.marker("describe", plan.stages["describe"][0].key).facts["version"]
        versions.point_latest(store.dataset, report.version)
        versions.sweep(store.dataset)  # of a worker that died while it published, and was made up for
        if any(todo.values()):
            _write_run(store.dataset, name, recipe, report, started)
        return report


def _prepare(todo: dict[str, list[Part]]) -> None:
    """Fetch assets and compile kernels before workers start, which may have no network and would compile at once."""
    for stage, parts in todo.items():
        if parts:
            for asset in STAGES[stage].assets:
                assets.fetch(asset)
    if todo["measure"] or todo["match"] or todo["cluster"] or todo["select"]:
        from pipeline.run.warm_up import warm_up

        warm_up()


def _run_stage(
    recipe: Recipe, stage: str, parts: Sequence[Part], store: PartStore, engine: Engine, run: str, progress: Progress
) -> None:
    folder = store.dataset.child(f"work/runs/{run}")
    write_job(folder, f"{stage}.json", recipe, parts)
    progress.start(stage, len(parts))
    waiting = {part.key: part for part in parts}

    def tick() -> None:
        for key in [k for k, part in waiting.items() if is_done(store, part)]:
            del waiting[key]
        progress.update(stage, len(parts) - len(waiting))

    task = StageTask(store.dataset.url, folder.url, f"{stage}.json")
    engine.execute(task, len(parts), folder.child(f"log-{stage}").url, tick)
    deadline = time.monotonic() + STORE_LAG_S
    tick()
    while waiting and not _failures(folder) and time.monotonic() < deadline:
        time.sleep(0.5)
        tick()
    if waiting:
        raise _stage_error(stage, list(waiting.values()), len(parts), folder)
    progress.finish(stage)


def _failures(folder: Folder) -> list[dict[str, Any]]:
    names = [n for n in folder.names() if n.startswith("failure-")]
    return [json.loads(folder.read(n)) for n in names]


def _stage_error(stage: str, missing: Sequence[Part], n_parts: int, folder: Folder) -> RunError:
    failures = _failures(folder)
    where = folder.root if folder.is_local else folder.url
    n_done = n_parts - len(missing)
    done = f" {n_done} of {n_parts} Parts of {stage} are committed and will not run again." if n_done else ""
    if not failures:
        return RunError(
            f"{stage}: {len(missing)} of {n_parts} Parts were not done, first {missing[0].label}, and no worker said "
            f"why: killed, or out of memory? Logs: {where}.{done} Run the same command to go on."
        )
    first = failures[0]
    more = f" ({len(failures) - 1} more Parts failed; see failure-*.json there)" if len(failures) > 1 else ""
    return RunError(
        f"{stage}: {first['label']}: {first['message'] or first['error']}{more}. Details: {where}.{done}",
        "\n".join(f["traceback"] for f in failures),
    )


def _write_run(dataset: Folder, name: str, recipe: Recipe, report: RunReport, started: datetime) -> None:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    value = {
        "run": name,
        "version": report.version,
        "recipe": recipe.model_dump(mode="json"),
        "stages": report.stages,
        "started": started.isoformat(timespec="seconds"),
        "wall_s": round((datetime.now(UTC) - started).total_seconds(), 3),
        "cpu_s": round(own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, 1),
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
    dataset.commit_bytes(f"runs/{name}.json", canonical_json(value) + b"\n")
