"""One run: stage after stage through an engine, markers checked after each, times and costs written to `runs/`."""

import json
import os
import platform
import resource
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import assets, kernel_cache, versions
from pipeline.files import DamagedError, Folder, PartStore
from pipeline.manifest import canonical_json
from pipeline.plan import Part, Plan, without_files
from pipeline.preflight import DiskError, check, disk_full
from pipeline.recipe import Recipe
from pipeline.run import stop, unavailable
from pipeline.run.engines import STORE_LAG_S, Engine, EngineError
from pipeline.run.events import Emit, Event, RunFailed, RunStarted, Warned
from pipeline.run.notes import read_note
from pipeline.run.status import RUNS, StatusFile
from pipeline.run.task import StageTask, worker_environment, write_job
from pipeline.run.watch import Watch, finished
from pipeline.state import pending
from pipeline.steps.options import CountedStep, LineStep
from pipeline.steps.presets import expand, requested


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
    warnings: list[Warned] = field(default_factory=list)


@contextmanager
def _alone(dataset: Folder) -> Iterator[None]:
    """Keep other runs away from a dataset on a local disk."""
    if not dataset.is_local:
        yield
        return
    folder = Path(dataset.root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / versions.LOCK).touch()
    except OSError as error:
        raise RunError(
            f"{error.filename or folder}: {error.strerror}; give --output a folder that this user may write"
        ) from None
    try:
        with versions.locked(folder):
            yield
    except versions.LockedError as error:
        raise RunError(f"{error}, or use another --output") from None


@dataclass(frozen=True, slots=True)
class HowToRun:
    """What decides no byte. `engine_of` makes the Engine; it is called only if something must run. `command` goes on
    after a stop. `is_here`: workers are processes of this machine. `verbose`: events for each Part."""

    engine_of: Callable[[], Engine]
    command: str
    is_here: bool = True
    checks_space: bool = True
    verbose: bool = False


def run_plan(recipe: Recipe, plan: Plan, dataset_url: str, how: HowToRun, display: Emit) -> RunReport:
    """Run what is pending and return the report; `display` is given the events, RunFailed among them.

    Raises:
        RunError: if a Part failed, another run holds the dataset, or something else went wrong on the way.
        EngineError: if the engine cannot start, or its workers die.
        KeyboardInterrupt: after Ctrl-C, when workers have ended; a second one ends the process at once.
    """
    store = PartStore(dataset_url)
    started = datetime.now(UTC)
    name = f"{started:%Y%m%dT%H%M%S}-{os.getpid()}"
    folder = store.dataset.child(f"{RUNS}/{name}")
    status = StatusFile(folder)
    run: _Run | None = None

    def emit(event: Event) -> None:
        display(event)
        if run is not None:  # which has the lock
            status(event)

    def fail(message: str, details: str = "", exit_code: int = 1) -> None:
        emit(RunFailed(message, exit_code, run.watch.safe() if run else "", how.command, details))

    try:
        with _alone(store.dataset):
            versions.remove_aside(store.dataset)
            while any((todo := pending(store, plan)).values()):
                watch = Watch(emit, store, plan, todo, folder, verbose=how.verbose, is_here=how.is_here)
                if run is None:
                    if how.checks_space:
                        check(plan, todo, store.dataset)
                    run = _Run(recipe, store, folder, watch)
                    stages = plan.stages.items()
                    counted = {stage: (len(parts), len(parts) - len(todo[stage])) for stage, parts in stages}
                    emit(RunStarted(name, store.dataset.url, how.command, counted))
                else:
                    run.follow(watch)
                try:
                    run.stages(plan, todo, how.engine_of)
                    break
                except unavailable.FilesLostError as error:
                    watch.warn(unavailable.warnings(error.lost))
                    plan = without_files(recipe, plan, error.lost)
            version = store.marker("describe", plan.stages["describe"][0].key).facts["version"]
            versions.point_latest(store.dataset, version)
            versions.remove_aside(store.dataset)  # of a worker that died while it published, and was made up for
            report = run.report if run else RunReport()
            report.version = version
            if run is not None:
                run.watch.check(version)
                report.warnings = run.watch.warnings
                _write_run(store.dataset, name, recipe, report, started)
            emit(finished(store.dataset, version))
            return report
    except KeyboardInterrupt:
        fail("stopped", exit_code=130)
        raise
    except (RunError, EngineError) as error:
        fail(str(error), error.details if isinstance(error, RunError) else "")
        raise
    except Exception as error:  # as when the disk is full
        known = isinstance(error, OSError | assets.AssetError | DamagedError)
        full = "" if isinstance(error, DiskError) else disk_full(store.dataset, [str(error)])
        message = full or str(error) if known else f"{type(error).__name__}: {error} (a defect? -v shows where)"
        fail(message, traceback.format_exc())
        raise RunError(message) from error


@dataclass(slots=True)
class _Run:
    """One run of stages, with what all of them need."""

    recipe: Recipe
    store: PartStore
    folder: Folder
    watch: Watch
    report: RunReport = field(default_factory=RunReport)

    def follow(self, watch: Watch) -> None:
        """Go on with the plan that `watch` is about."""
        watch.warnings = self.watch.warnings
        self.watch = watch

    def stages(self, plan: Plan, todo: dict[str, list[Part]], engine_of: Callable[[], Engine]) -> None:
        """All stages in order.

        Raises:
            pipeline.run.unavailable.FilesLostError: if files cannot be had, and the recipe allows that.
        """
        engine: Engine | None = None
        try:
            _prepare(self.recipe, todo)
            engine = engine_of()
            for stage, parts in todo.items():
                stop.check()
                begun = time.monotonic()
                self.watch.start(stage)
                if parts:
                    self._stage(stage, parts, engine, plan)
                self.watch.finish()
                wall_s = round(time.monotonic() - begun, 3)
                self.report.stages.append(
                    {"stage": stage, "parts": len(plan.stages[stage]), "run": len(parts), "wall_s": wall_s}
                )
        except KeyboardInterrupt:
            stop.end_at_the_next()
            raise
        finally:
            if engine is not None:
                engine.close()

    def _stage(self, stage: str, parts: Sequence[Part], engine: Engine, plan: Plan) -> None:
        job = f"{stage}.json"
        write_job(self.folder, job, self.recipe, parts)
        task = StageTask(self.store.dataset.url, self.folder.url, job)
        engine.execute(task, len(parts), self.folder.child(f"log-{stage}").url, self.watch.tick)
        deadline = time.monotonic() + STORE_LAG_S
        while (missing := self.watch.missing()) and not _failures(self.folder) and time.monotonic() < deadline:
            time.sleep(0.5)
        if missing:
            lost = unavailable.lost_files(self.recipe, missing, _failures(self.folder))
            if lost and not (message := unavailable.too_many(self.recipe, plan, lost)):
                raise unavailable.FilesLostError(lost)
            if lost:
                raise RunError(f"{stage}: {message}")
            raise _stage_error(stage, missing, len(parts), self.folder)


def _prepare(recipe: Recipe, todo: dict[str, list[Part]]) -> None:
    """Fetch assets and compile kernels before workers start, which may have no network and would compile at once."""
    for parts in todo.values():
        if parts:
            for asset in parts[0].ingredients["assets"]:
                if asset in assets.ASSETS:
                    assets.fetch(asset)
    if any(todo.get(stage) for stage in ("extract", "lines", "measure", "match", "cluster", "select")):
        _compile_kernels(recipe)


def _compile_kernels(recipe: Recipe) -> None:
    """In a process of its own, which Ctrl-C kills: an interrupt on its way through llvmlite would crash this one.

    What was compiled before is left to the workers to load.
    """
    reading, limits = expand(recipe.steps)
    rules = [step.rule for step in reading if isinstance(step, LineStep)]
    groups = [*requested(limits), *["overlap"] * bool(recipe.overlap.benchmarks)]
    groups += ["lines"] * any(isinstance(step, CountedStep) for step in reading)
    wanted = [*groups, *dict.fromkeys(rules)]
    if (mark := kernel_cache.mark(wanted)).exists():
        return
    environment = {**os.environ, **worker_environment(), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.run.warm_up", *wanted],
        env=environment,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        cause = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise RunError(f"the kernels could not be compiled: {cause}", done.stderr)
    mark.touch()


def _failures(folder: Folder) -> list[dict[str, Any]]:
    names = [n for n in folder.names() if n.startswith("failure-")]
    return [json.loads(folder.read(n)) for n in names]


def _stage_error(stage: str, missing: Sequence[Part], n_parts: int, folder: Folder) -> RunError:
    failures = _failures(folder)
    if full := disk_full(folder, [failure["message"] for failure in failures]):
        return RunError(f"{stage}: {full}", "\n".join(failure["traceback"] for failure in failures))
    where = folder.root if folder.is_local else folder.url
    if not failures:
        first = missing[0]
        note = read_note(folder, first)
        place = f" ({note.place()})" if note and note.record else ""
        return RunError(
            f"{stage}: {len(missing)} of {n_parts} Parts were not done, first {first.label}{place}, and no worker said "
            f"why: killed, or out of memory? Logs: {where}"
        )
    first_failure = failures[0]
    more = f" ({len(failures) - 1} more Parts failed; see failure-*.json there)" if len(failures) > 1 else ""
    place = f" ({first_failure['record']})" if first_failure["record"] else ""
    return RunError(
        f"{stage}: {first_failure['label']}{place}: {first_failure['message'] or first_failure['error']}{more}. "
        f"Details: {where}",
        "\n".join(f["traceback"] for f in failures),
    )


def _write_run(dataset: Folder, name: str, recipe: Recipe, report: RunReport, started: datetime) -> None:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    value = {
        "run": name,
        "version": report.version,
        "recipe": recipe.model_dump(mode="json"),
        "stages": report.stages,
        "warnings": [asdict(warning) for warning in report.warnings],
        "started": started.isoformat(timespec="seconds"),
        "wall_s": round((datetime.now(UTC) - started).total_seconds(), 3),
        "cpu_s": round(own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, 1),
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
    dataset.commit_bytes(f"runs/{name}.json", canonical_json(value) + b"\n")
