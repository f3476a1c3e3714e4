"""A real one-node Slurm makes the same version as the local engine."""

from pathlib import Path

import pytest

from tests.small_dataset import run_pipeline

pytestmark = pytest.mark.long


def files_of(out: Path) -> dict[str, bytes]:
    work = out / "small" / "work"
    found = (p for p in work.rglob("*") if p.is_file() and "runs" not in p.relative_to(work).parts)
    return {str(p.relative_to(work)): p.read_bytes() for p in found}


def test_slurm_makes_the_same_bytes(small_recipe: Path, tmp_path: Path, slurm: Path) -> None:
    local = run_pipeline("run", small_recipe, "--output", tmp_path / "local")
    assert local.returncode == 0, local.stderr
    options = ["--engine", "slurm", "--workers", "2", "--slurm", "partition=debug", "--slurm", "mem-per-cpu-gb=1"]
    done = run_pipeline("run", small_recipe, "--output", tmp_path / "slurm", *options)
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "slurm") == files_of(tmp_path / "local")


def test_a_killed_slurm_task_is_made_up_for_by_the_next_run(small_recipe: Path, tmp_path: Path, slurm: Path) -> None:
    options = ["--engine", "slurm", "--workers", "2", "--slurm", "partition=debug", "--slurm", "mem-per-cpu-gb=1"]
    fault = {"GRISTMILL_FAULT": f"judge:before_marker@{tmp_path / 'once'}"}
    first = run_pipeline("run", small_recipe, "--output", tmp_path / "out", *options, env=fault)
    assert first.returncode == 1
    assert "run the same command to go on" in first.stderr
    second = run_pipeline("run", small_recipe, "--output", tmp_path / "out", *options)
    assert second.returncode == 0, second.stderr
    assert run_pipeline("verify", "small", "--output", tmp_path / "out").returncode == 0
