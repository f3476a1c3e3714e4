"""kill -9 at every commit point and at random moments: the next run ends with the same version, byte for byte."""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path

import pytest

from tests.small_dataset import write_small_recipe

STAGES = ("extract", "measure", "judge", "match", "cluster", "select", "tokenizer", "pack")
MOMENTS = ("file", "before_marker", "after_marker")
POINTS = [f"{stage}:{moment}" for stage in STAGES for moment in MOMENTS]
POINTS += [f"describe:{moment}" for moment in ("linked", "published", "before_marker", "after_marker")]
SOME_POINTS = [f"{stage}:{moment}" for stage, moment in zip(STAGES[::2], cycle(MOMENTS), strict=False)]
SOME_POINTS += ["describe:published"]
"""One of every other stage, since each costs a run."""


def run(recipe: Path, out: Path, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pipeline", "run", str(recipe), "--output", str(out), "--workers", "2"]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(env or {})}, timeout=300)


def outcome(out: Path) -> dict[str, bytes]:
    """Everything that a reader may take for whole: committed Parts and the version. Leftovers aside must not show.

    What a run took by the clock differs, so it is replaced, and nothing else is.
    """
    dataset = out / "small"
    files = (p for p in dataset.rglob("*") if p.is_file() and p.name not in (".lock",))
    found = {str(p.relative_to(dataset)): p for p in files}
    return {n: without_times(p) for n, p in found.items() if not n.startswith(("runs/", "work/runs/"))}


def without_times(path: Path) -> bytes:
    """The bytes of a file, with a `T` for each time that a run took."""
    found = path.read_bytes()
    if path.name in ("time.json", "cost.json"):
        return re.sub(rb'"(wall_s|seconds)":[0-9.e-]+', rb'"\1":T', found)
    if path.name in ("card.md", "card.html"):
        before, heading, after = found.partition(b"What it cost")
        shown, next_heading, rest = after.partition(b"How to load it")
        assert heading and next_heading
        return before + heading + re.sub(rb"(under )?[0-9,]+[.][0-9]{3}\b", b"T", shown) + next_heading + rest
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the small recipe, and `expected`, where it has been run without a fault."""
    made = tmp_path_factory.mktemp("kills")
    done = run(write_small_recipe(made), made / "expected")
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def small_recipe(folder: Path) -> Path:
    return folder / "recipe.yaml"


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, bytes]:
    return outcome(folder / "expected")


def done_before(stage: str, folder: Path, out: Path) -> None:
    """Make `out` a copy of the expected output in which `stage` and those after it have not run."""
    subprocess.run(["cp", "-a", folder / "expected", out], check=True)
    dataset = out / "small"
    order = [*STAGES, "describe"]
    for gone in order[order.index(stage) :]:
        shutil.rmtree(dataset / "work" / gone)
    shutil.rmtree(dataset / (dataset / "latest").read_text().strip())
    (dataset / "latest").unlink()


def check(recipe: Path, out: Path, expected: dict[str, bytes]) -> None:
    again = run(recipe, out)
    assert again.returncode == 0, again.stderr
    found = outcome(out)
    assert found.keys() == expected.keys()
    assert [name for name in expected if expected[name] != found[name]] == []


@pytest.mark.parametrize("points", [SOME_POINTS, pytest.param(POINTS, marks=pytest.mark.long)], ids=["some", "all"])
def test_a_worker_killed_once_at_commit_points(
    points: list[str], small_recipe: Path, folder: Path, tmp_path: Path, expected
) -> None:
    """The pool notices the dead worker and the run ends well by itself."""
    crossed = []
    for number, point in enumerate(points):
        once = tmp_path / f"once-{number}"
        out = tmp_path / f"out-{number}"
        done_before(point.split(":")[0], folder, out)
        done = run(small_recipe, out, {"GRISTMILL_FAULT": f"{point}@{once}"})
        assert done.returncode == 0, (point, done.stderr)
        if once.exists():
            crossed.append(point)
        found = outcome(out)
        assert [name for name in expected if expected[name] != found.get(name)] == [], point
        assert found.keys() == expected.keys(), point
        shutil.rmtree(out)
    assert crossed == points  # every point was really reached


def test_a_part_that_always_kills_its_worker_ends_the_run_with_a_message(small_recipe: Path, tmp_path: Path) -> None:
    done = run(small_recipe, tmp_path / "out", {"GRISTMILL_FAULT": "judge:before_marker"})
    assert done.returncode == 1
    assert "a worker was killed 3 times" in done.stderr and "--workers" in done.stderr
    assert "Traceback" not in done.stderr


def group_of(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == pid:
                found += [int(entry.name), *descendants(int(entry.name))]
    return found


def kill_at_random(recipe: Path, out: Path, seconds: float, whom: str) -> bool:
    """Start a run, kill the parent or everything after `seconds`; whether it was still running."""
    command = [sys.executable, "-m", "pipeline", "run", str(recipe), "--output", str(out), "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(seconds)
    running = process.poll() is None
    children = descendants(process.pid)
    if whom == "parent":
        process.kill()
        process.wait()
        deadline = time.monotonic() + 20
        while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []  # no orphan works on
    else:
        group_of(process)
        process.wait()
    return running


def random_kills(recipe: Path, tmp_path: Path, expected: dict[str, bytes], n: int, seed: int) -> None:
    random_ = random.Random(seed)
    begun = time.monotonic()
    assert run(recipe, tmp_path / "timed").returncode == 0
    length = time.monotonic() - begun
    interrupted = 0
    out = tmp_path / "out-0"
    for number in range(n):
        if number % 5 == 0:  # five kills on one dataset, then a clean end, then another dataset
            if number:
                check(recipe, out, expected)
            out = tmp_path / f"out-{number}"
        interrupted += kill_at_random(recipe, out, random_.uniform(0.2, length), random_.choice(["parent", "all"]))
    check(recipe, out, expected)
    assert interrupted > n // 4


def test_five_random_kills(small_recipe: Path, tmp_path: Path, expected) -> None:
    random_kills(small_recipe, tmp_path, expected, 5, seed=11)


@pytest.mark.long
def test_two_hundred_random_kills(small_recipe: Path, tmp_path: Path, expected) -> None:
    random_kills(small_recipe, tmp_path, expected, 200, seed=12)
