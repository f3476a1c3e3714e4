"""A run that does not fit is refused before it begins; a full disk on the way loses nothing."""

import os
import shutil
import subprocess
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import preflight
from pipeline.files import Folder, PartStore
from pipeline.plan import Plan, make_plan
from pipeline.preflight import DiskError, check, disk_full, estimate, factors_of
from pipeline.recipe import load_recipe
from pipeline.state import pending
from tests.small_dataset import run_pipeline

Usage = namedtuple("Usage", "total used free")


def planned(recipe: Path, out: Path) -> tuple[Plan, dict, PartStore]:
    plan = make_plan(load_recipe(recipe))
    store = PartStore(f"{out}/small")
    return plan, pending(store, plan), store


def disk_with(free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: Usage(10**12, 10**12 - free, free))


def test_too_little_space_is_refused_with_numbers_and_ways_out(
    small_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, todo, store = planned(small_recipe, tmp_path / "out")
    needed = sum(estimate(plan, todo).values())
    disk_with(needed, monkeypatch)
    check(plan, todo, store.dataset)
    disk_with(needed - 1, monkeypatch)
    with pytest.raises(DiskError) as error:
        check(plan, todo, store.dataset)
    for words in (str(tmp_path), "MB", "free", "pipeline clean", "--output", "--set"):
        assert words in str(error.value)
    check(plan, todo, Folder("memory://small"))  # a store has no disk


def test_what_is_done_needs_no_space(small_recipe: Path, tmp_path: Path) -> None:
    done = run_pipeline("run", small_recipe, "--output", tmp_path / "out", "--workers", "1", "--quiet")
    assert done.returncode == 0, done.stderr
    plan, todo, _ = planned(small_recipe, tmp_path / "out")
    assert sum(estimate(plan, todo).values()) == 0
    shutil.rmtree(tmp_path / "out" / "small" / "work" / "pack")
    shutil.rmtree(tmp_path / "out" / "small" / "work" / "describe")
    plan, todo, _ = planned(small_recipe, tmp_path / "out")
    assert set(estimate(plan, todo)) == {"pack", "rest"}


def test_the_estimate_is_of_the_size_of_what_is_written(small_recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    plan, todo, _ = planned(small_recipe, out)
    done = run_pipeline("run", small_recipe, "--output", out, "--workers", "1", "--quiet")
    assert done.returncode == 0, done.stderr
    links = {(s.st_dev, s.st_ino): s.st_size for p in out.rglob("*.*") if p.is_file() for s in [p.stat()]}
    assert 0.2 < sum(estimate(plan, todo).values()) / sum(links.values()) < 5


def test_archives_packed_and_plain_tables_differ() -> None:
    sizes = [sum(factors_of(name).values()) for name in ("a.warc", "a.WARC.gz", "a.txt", "a.jsonl.zst", "a.parquet")]
    assert sizes[0] < sizes[1] < sizes[2] < sizes[3] == sizes[4]


def test_a_full_disk_is_told_by_the_error_or_the_space_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(str(tmp_path / "not" / "yet"))
    disk_with(10**9, monkeypatch)
    assert disk_full(folder, ["no such column"]) == ""
    said = disk_full(folder, ["[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"])
    assert str(tmp_path) in said and "pipeline clean" in said and "same command" in said
    disk_with(5, monkeypatch)
    assert disk_full(folder, []) and not disk_full(Folder("memory://x"), [])


@pytest.fixture
def little_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.getuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", place]).returncode:
        pytest.skip("mounting a small disk needs root and the right to mount")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_disk_that_fills_up_ends_the_run_and_the_same_command_goes_on(
    small_recipe: Path, tmp_path: Path, little_disk: Path
) -> None:
    expected = run_pipeline("run", small_recipe, "--output", tmp_path / "out", "--workers", "1", "--quiet")
    assert expected.returncode == 0, expected.stderr
    command = ("run", small_recipe, "--output", little_disk, "--workers", "1", "--quiet")
    filled = run_pipeline(*command)
    assert filled.returncode == 1 and "Traceback" not in filled.stderr
    assert "No space left on device" in filled.stderr or "disk" in filled.stderr
    subprocess.run(["mount", "-o", "remount,size=100m", little_disk], check=True)
    again = run_pipeline(*command)
    assert again.returncode == 0, again.stderr
    assert again.stdout == expected.stdout  # the version
