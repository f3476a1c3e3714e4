"""What is done once and not again: kernels are compiled, rooms imported."""

import subprocess
import sys
from pathlib import Path

import pytest
from llvmlite import binding

from pipeline import kernel_cache
from pipeline.recipe import Recipe, load_recipe
from pipeline.run import runner
from pipeline.run.task import worker_environment
from tests.small_dataset import write_small_recipe


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.setenv("GRISTMILL_CACHE", str(tmp_path / "cache"))
    return load_recipe(write_small_recipe(tmp_path))


def started(monkeypatch: pytest.MonkeyPatch, returncode: int = 0) -> list[list[str]]:
    """The commands that would compile; each makes the folder and ends with `returncode`."""
    found = []

    def run(command: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        found.append(command[3:])
        kernel_cache.folder().mkdir(parents=True, exist_ok=True)
        return subprocess.CompletedProcess(command, returncode, "", "no space left")

    monkeypatch.setattr(runner.subprocess, "run", run)
    return found


def test_kernels_are_compiled_once(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = started(monkeypatch)
    runner._compile_kernels(recipe)
    runner._compile_kernels(recipe)
    assert commands == [[]]


def test_others_are_compiled_for_another_processor_or_recipe(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = started(monkeypatch)
    runner._compile_kernels(recipe)
    monkeypatch.setattr(binding, "get_host_cpu_name", lambda: "another")
    runner._compile_kernels(recipe)
    assert len(commands) == 2
    assert kernel_cache.mark(["lines"]) != kernel_cache.mark([]) != kernel_cache.mark(["c4", "lines"])
    assert kernel_cache.mark(["c4", "lines"]) == kernel_cache.mark(["lines", "c4"])


def test_what_was_not_compiled_is_tried_again(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = started(monkeypatch, returncode=1)
    for _ in range(2):
        with pytest.raises(runner.RunError, match="no space left"):
            runner._compile_kernels(recipe)
    assert len(commands) == 2


def test_the_server_of_workers_has_no_thread_that_they_would_lack() -> None:
    """Beside the main one it has the allocator's, which starts its own after a fork."""
    look = """
import pathlib, pipeline.run.preloaded
print(*(path.read_text() for path in pathlib.Path("/proc/self/task").glob("*/comm")))
"""
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=True, env=worker_environment()
    )
    assert len([name for name in done.stdout.split() if name != "jemalloc_bg_thd"]) == 1, done.stdout
