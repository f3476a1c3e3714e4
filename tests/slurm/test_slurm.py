"""A real one-node Slurm makes the same version as the local engine, and says what keeps it from doing so."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.files import TIME
from pipeline.run.task import SINGLE_THREAD
from tests.small_dataset import run_pipeline

pytestmark = pytest.mark.long
OPTIONS = ["--engine", "slurm", "--workers", "2", "--slurm", "partition=debug", "--slurm", "mem-per-cpu=1G"]


def files_of(out: Path) -> dict[str, bytes]:
    work = out / "small" / "work"
    found = (p for p in work.rglob("*") if p.is_file() and "runs" not in p.relative_to(work).parts)
    return {str(p.relative_to(work)): p.read_bytes() for p in found if p.name != TIME}


def jobs() -> str:
    """Name and state of every job that is not over."""
    return subprocess.run(["squeue", "-h", "-o", "%j %T"], capture_output=True, text=True, check=True).stdout


def job_processes(out: Path) -> list[Path]:
    """/proc folders of Slurm tasks that work on the datasets in `out`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if b"datatrove.tools.launch_pickled_pipeline" in words and any(str(out).encode() in word for word in words):
            found.append(entry)
    return found


def wait_for(what: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def running(recipe: Path, out: Path, errors: Path, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "pipeline", "run", str(recipe), "--output", str(out), *OPTIONS, *options]
    with errors.open("wb") as file:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file, start_new_session=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def test_slurm_makes_the_same_bytes(small_recipe: Path, tmp_path: Path, slurm: Path) -> None:
    local = run_pipeline("run", small_recipe, "--output", tmp_path / "local")
    assert local.returncode == 0, local.stderr
    done = run_pipeline("run", small_recipe, "--output", tmp_path / "on slurm's nodes", *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "on slurm's nodes") == files_of(tmp_path / "local")


def test_a_killed_slurm_task_is_made_up_for_by_the_next_run(small_recipe: Path, tmp_path: Path, slurm: Path) -> None:
    fault = {"GRISTMILL_FAULT": f"judge:before_marker@{tmp_path / 'once'}"}
    first = run_pipeline("run", small_recipe, "--output", tmp_path / "out", *OPTIONS, env=fault)
    assert first.returncode == 1
    assert "1 FAILED" in first.stderr and "its logs are in" in first.stderr
    assert "To go on: pipeline run" in first.stderr and " ".join(OPTIONS) in first.stderr.splitlines()[-1]
    second = run_pipeline("run", small_recipe, "--output", tmp_path / "out", *OPTIONS)
    assert second.returncode == 0, second.stderr
    assert run_pipeline("verify", "small", "--output", tmp_path / "out").returncode == 0


@pytest.mark.parametrize(
    ("option", "reason"),
    [("partition=nowhere", "invalid partition"), ("time=soon", "Invalid"), ("array=0-3", "is set by the engine")],
)
def test_a_refused_job_ends_the_run_with_the_reason(
    option: str, reason: str, small_recipe: Path, tmp_path: Path, slurm: Path
) -> None:
    done = run_pipeline("run", small_recipe, "--output", tmp_path / "out", *OPTIONS, "--slurm", option)
    assert done.returncode == 1
    assert reason in done.stderr and "--slurm" in done.stderr
    assert "Traceback" not in done.stderr
    assert jobs() == ""


def test_a_job_that_cannot_start_is_reported_and_sigterm_cancels_it(
    small_recipe: Path, tmp_path: Path, slurm: Path
) -> None:
    errors = tmp_path / "errors"
    with running(small_recipe, tmp_path / "out", errors, "--slurm", "nodes=99") as process:
        wait_for(lambda: "2 PENDING (PartitionConfig)" in errors.read_text(), 60)
        assert "PENDING" in jobs()
        process.terminate()
        assert process.wait(timeout=20) == 130
    assert jobs() == ""
    assert "Traceback" not in errors.read_text()


def test_ctrl_c_cancels_tasks_that_run_with_one_thread_each(small_recipe: Path, tmp_path: Path, slurm: Path) -> None:
    errors, out = tmp_path / "errors", tmp_path / "out"
    with running(small_recipe, out, errors) as process:
        wait_for(lambda: job_processes(out), 60)
        variables = (job_processes(out)[0] / "environ").read_text().split("\0")
        assert {f"{name}={value}" for name, value in SINGLE_THREAD.items()} <= set(variables)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=20) == 130
    wait_for(lambda: not job_processes(out) and jobs() == "", 30)
    assert "stopped" in errors.read_text() and "Traceback" not in errors.read_text()
