"""Engines under bad luck: signals, killed workers, Parts that raise, clusters that do not answer or run other code."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.files import Folder
from pipeline.plan import make_plan
from pipeline.recipe import load_recipe
from pipeline.run import slurm, task
from pipeline.run.engines import EngineError, run_ranks
from pipeline.run.task import StageTask, write_job
from tests.small_dataset import run_pipeline


def wait_for(what: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def session(leader: int) -> dict[int, str]:
    """Command lines of the live processes of a session, by process id."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            state, *fields = (entry / "stat").read_text().rsplit(")", 1)[1].split() if entry.name.isdigit() else ["Z"]
            if state != "Z" and int(fields[2]) == leader:
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@contextmanager
def running(recipe: Path, tmp_path: Path, *options: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """A run in a session of its own whose first stage has begun, and the file of its standard error."""
    command = [sys.executable, "-m", "pipeline", "run", str(recipe), "--output", str(tmp_path / "out"), *options]
    errors = tmp_path / "errors"
    with errors.open("wb") as file:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file, start_new_session=True)
    try:
        wait_for(lambda: "extract: 2 Parts" in errors.read_text(), 120)
        yield process, errors
    finally:
        for pid in session(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("wait_s", [0.1, 1.2])  # workers import the package, or work
@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM"])
def test_a_stopped_run_says_so_and_leaves_no_process(
    how: str, wait_s: float, small_recipe: Path, tmp_path: Path
) -> None:
    with running(small_recipe, tmp_path, "--workers", "2") as (process, errors):
        time.sleep(wait_s)
        if how == "Ctrl-C":  # a terminal sends it to every process
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.terminate()
        assert process.wait(timeout=20) == 130
        wait_for(lambda: not session(process.pid), 20)
    said, next_ = errors.read_text().splitlines()[-2:]
    assert said.startswith("stopped: ") and next_.startswith(f"To go on: pipeline run {small_recipe} --output ")
    assert "Traceback" not in errors.read_text()


def test_a_run_survives_its_fork_server_and_leaves_no_process(small_recipe: Path, tmp_path: Path) -> None:
    """There are more workers than Parts, too."""
    with running(small_recipe, tmp_path, "--workers", "7") as (process, errors):
        servers = [pid for pid, words in session(process.pid).items() if "multiprocessing.forkserver" in words]
        os.kill(min(servers), signal.SIGKILL)
        assert process.wait(timeout=120) == 0, errors.read_text()
        wait_for(lambda: not session(process.pid), 20)
    assert "Traceback" not in errors.read_text()
    assert run_pipeline("verify", "small", "--output", tmp_path / "out").returncode == 0


def test_a_part_that_raises_is_a_message_and_with_v_a_stack_trace(small_recipe: Path, tmp_path: Path) -> None:
    work = tmp_path / "out" / "small" / "work"
    work.mkdir(parents=True)
    (work / "extract").write_text("a file where a folder belongs")
    for options in ([], ["-v"]):
        done = run_pipeline("run", small_recipe, "--output", tmp_path / "out", *options)
        assert done.returncode == 1
        assert re.search(r"error: extract: (main|extra):.*Not a directory", done.stderr)
        assert "(1 more Parts failed" in done.stderr
        assert ("Traceback" in done.stderr) == bool(options)


@pytest.mark.long
def test_a_killed_ray_worker_is_replaced(small_recipe: Path, tmp_path: Path) -> None:
    fault = {"GRISTMILL_FAULT": f"extract:before_marker@{tmp_path / 'once'}"}
    options = ["--output", tmp_path / "out", "--engine", "ray", "--workers", "2"]
    done = run_pipeline("run", small_recipe, *options, env=fault)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "once").exists()
    assert "will run again with nothing beside it" in done.stderr
    assert run_pipeline("verify", "small", "--output", tmp_path / "out").returncode == 0


def test_a_ray_cluster_that_does_not_answer_is_named(small_recipe: Path, tmp_path: Path) -> None:
    options = ["--output", tmp_path / "out", "--engine", "ray"]
    done = run_pipeline("run", small_recipe, *options, env={"RAY_ADDRESS": "127.0.0.1:1"})
    assert done.returncode == 1
    assert "error: Ray could not be started or reached (RAY_ADDRESS: 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


class _Labels:
    def label(self, rank: int) -> str:
        return f"Part {rank}"


@pytest.mark.parametrize("culprit", [None, 1])
def test_a_part_that_ran_beside_a_killed_worker_is_not_blamed(culprit: int | None) -> None:
    """Parts 0 and 1 die together, as all do in a process pool; alone, only the culprit dies. Part 3 takes its time."""
    submitted: list[int] = []
    futures: list[Future[None]] = []

    def submit(rank: int) -> Future[None]:
        future: Future[None] = Future()
        if rank in submitted:
            assert all(f.done() for f in futures)  # nothing beside it
            future.set_exception(BrokenProcessPool()) if rank == culprit else future.set_result(None)
        elif rank == 1:
            futures[0].set_exception(BrokenProcessPool())
            future.set_exception(BrokenProcessPool())
        elif rank == 2:
            future.set_result(None)
        submitted.append(rank)
        futures.append(future)
        return future

    def tick(ended: object = None) -> None:
        if submitted[-1] == 3 and not futures[3].done():
            futures[3].set_result(None)

    def run() -> None:
        run_ranks(_Labels(), 4, 2, submit, (BrokenProcessPool,), tick)  # type: ignore[arg-type]

    if culprit is None:
        run()
        assert submitted == [0, 1, 2, 3, 0, 1]
    else:
        with pytest.raises(EngineError, match="killed 3 times while it ran Part 1"):
            run()
        assert submitted == [0, 1, 2, 3, 0, 1, 1]


@pytest.fixture
def job(small_recipe: Path, tmp_path: Path) -> Callable[[dict[str, str]], StageTask]:
    """Makes the task of the extract stage of a planned run, with some ingredients of the first Part replaced."""

    def make(changes: dict[str, str]) -> StageTask:
        recipe = load_recipe(small_recipe)
        first, *rest = make_plan(recipe).stages["extract"]
        parts = [dataclasses.replace(first, ingredients={**first.ingredients, **changes}), *rest]
        write_job(Folder(str(tmp_path / "run")), "extract.json", recipe, parts)
        return StageTask(str(tmp_path / "dataset"), str(tmp_path / "run"), "extract.json")

    return make


def failures(tmp_path: Path) -> list[dict[str, str]]:
    return [json.loads(path.read_text()) for path in sorted((tmp_path / "run").glob("failure-extract-*.json"))]


def test_whatever_a_part_raises_is_recorded_and_the_next_one_runs(job, tmp_path: Path, monkeypatch) -> None:
    class PanicException(BaseException):  # what polars raises is no Exception
        pass

    ran = []

    def run_part(recipe: object, part: object, store: object) -> None:
        ran.append(part)
        if len(ran) == 1:
            raise PanicException("an index was out of bounds")

    monkeypatch.setattr(task, "run_part", run_part)
    job({})(None, 0, 1)
    assert len(ran) == 2
    assert [(f["error"], f["message"]) for f in failures(tmp_path)] == [
        ("PanicException", "an index was out of bounds")
    ]


def test_a_worker_with_other_code_runs_nothing(job, tmp_path: Path, monkeypatch) -> None:
    ran = []
    monkeypatch.setattr(task, "run_part", lambda recipe, part, store: ran.append(part.label))
    made = job({"libraries": {"trafilatura": "1.0"}})
    made.elsewhere()(None, 0, 1)
    (failure,) = failures(tmp_path)
    assert failure["error"] == "OtherCodeError" and "libraries.trafilatura: 1.0 ->" in failure["message"]
    assert len(ran) == 1 and ran != [failure["label"]]


def test_slurm_is_over_when_squeue_says_so_not_when_it_cannot_say(
    tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = ["PENDING|Priority", "!slurm_load_jobs error: Unable to contact slurm controller", "", "RUNNING|None"]
    answers += ["!slurm_load_jobs error: Invalid job id specified", "RUNNING|None", "OUT_OF_MEMORY|OutOfMemory"]
    for number, answer in enumerate(answers):
        (tmp_path / f"answer-{number}").write_text(answer)
    fake = tmp_path / "squeue"
    fake.write_text(
        f"""#!/bin/sh
cd {tmp_path}
n=$(ls -d asked-* 2> /dev/null | wc -l); touch "asked-$n"
grep -q '^!' answer-$n && {{ cat answer-$n >&2; exit 1; }}
cat answer-$n
"""
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(slurm, "POLL_S", 0.01)
    monkeypatch.setattr(slurm, "SAY_AFTER_S", 0.0)
    engine = slurm.SlurmEngine(2, {})
    engine._job = "17"
    engine._wait("/the/logs", lambda: None)
    assert len(list(tmp_path.glob("asked-*"))) == len(answers)
    said = capsys.readouterr().err
    assert "Slurm job 17: 1 PENDING (Priority)" in said
    assert "Unable to contact slurm controller" in said
    assert "Slurm job 17: 1 OUT_OF_MEMORY (OutOfMemory); its logs are in /the/logs" in said
