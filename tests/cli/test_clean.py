"""`pipeline drop` and `pipeline clean`: what no version needs goes, all else stays, and a kill leaves a valid state."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.leftovers import find
from pipeline.versions import free_bytes, list_versions, verify
from tests.small_dataset import run_pipeline, write_small_recipe

OTHER = ("--set", "steps.0.min=200")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small recipe and `out`, where it was run twice: as it is, then with another Limit."""
    folder = tmp_path_factory.mktemp("clean")
    recipe = write_small_recipe(folder)
    for options in ((), OTHER):
        done = run_pipeline("run", recipe, "--output", folder / "out", "--workers", "1", *options)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """A copy of `out`, hard links included."""
    subprocess.run(["cp", "-a", made / "out", tmp_path / "out"], check=True)
    return tmp_path / "out"


def pipeline(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def versions(out: Path) -> dict[str, bool]:
    return {entry.version: entry.is_latest for entry in list_versions(out)}


def first_and_second(out: Path) -> tuple[str, str]:
    found = versions(out)
    return next(v for v in found if not found[v]), next(v for v in found if found[v])


def plan(made: Path, out: Path, *options: str) -> str:
    return pipeline("plan", made / "recipe.yaml", "--output", out, *options)


def test_without_a_yes_everything_is_shown_and_nothing_removed(out: Path) -> None:
    first, _ = first_and_second(out)
    before = sorted(out.rglob("*"))
    shown = pipeline("drop", first, "--output", out)
    assert "become free" in shown and f"pipeline drop {first} --yes --output {out}" in shown
    shown = pipeline("clean", "--output", out)
    assert "pipeline clean --yes" in shown
    assert sorted(p for p in out.rglob("*") if p.name != ".lock") == [p for p in before if p.name != ".lock"]


def test_parts_go_with_the_last_version_that_was_made_from_them(made: Path, out: Path) -> None:
    dataset = out / "small"
    first, second = first_and_second(out)
    assert not find(dataset).unneeded
    assert f"latest version of small is {second}" in pipeline("drop", first, "--output", out, "--yes")
    assert versions(out) == {second: True} and not list(dataset.glob(".aside*"))
    stages = {path.parent.name for path in find(dataset).unneeded}
    assert stages == {"judge", "match", "cluster", "select", "tokenizer", "pack", "describe"}
    _, free = free_bytes(find(dataset).unneeded)
    used = disk_bytes(out)
    shown = pipeline("clean", "small", "--output", out, "--yes")
    assert "became free. Next: pipeline list" in shown
    assert used - disk_bytes(out) >= free > 0
    assert verify(dataset / second) == []
    assert "Nothing to do" in plan(made, out, *OTHER)
    again = plan(made, out)
    assert "extract          2       2       0" in again and "judge            2       0       2" in again
    done = run_pipeline("run", made / "recipe.yaml", "--output", out, "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert set(versions(out)) == {first, second}  # the dropped version comes back, byte for byte


def disk_bytes(folder: Path) -> int:
    return sum({(s.st_dev, s.st_ino): s.st_size for p in folder.rglob("*") if p.is_file() for s in [p.stat()]}.values())


def test_the_newest_version_that_remains_becomes_the_latest_and_the_last_leaves_none(out: Path) -> None:
    first, second = first_and_second(out)
    pipeline("drop", second, "--output", out, "--yes")
    assert versions(out) == {first: True}
    assert "it was the last" in pipeline("drop", out / "small" / first, "--output", out, "--yes")
    assert versions(out) == {} and not (out / "small" / "latest").exists()


def test_all_keeps_versions_whole_and_says_that_they_are_done(made: Path, out: Path) -> None:
    pipeline("clean", "--all", "--yes", "--output", out)
    assert [verify(entry.folder) for entry in list_versions(out)] == [[], []]
    assert [path.parent.name for path in (out / "small" / "work").glob("*/*/part.json")] != []  # Describe's only
    assert not list((out / "small" / "work").glob("extract/*"))
    assert "Nothing to do" in plan(made, out) and "Nothing to do" in plan(made, out, *OTHER)


def test_an_unfinished_run_stays_and_goes_on(made: Path, out: Path) -> None:
    changed = ("--set", "extract.max_page_bytes=1000")
    stopped = run_pipeline(
        "run", made / "recipe.yaml", "--output", out, "--workers", "1", *changed,
        env={"GRISTMILL_FAULT": "judge:before_marker"},
    )  # fmt: skip
    assert stopped.returncode == 1
    found = find(out / "small")
    assert {path.parent.name for path in found.unfinished} == {"extract", "measure"}
    assert {path.parent.name for path in found.unneeded} == {"judge"}  # killed before its marker
    assert len(found.logs) == 2
    shown = pipeline("clean", "--output", out, "--yes")
    assert "Parts of unfinished runs" in shown and "--all removes them, too" in shown
    found = find(out / "small")
    assert len(found.unfinished) == 4 and not found.unneeded and not found.logs
    assert "extract          2       2       0" in plan(made, out, *changed)


def test_never_while_a_run_works(out: Path) -> None:
    first, _ = first_and_second(out)
    with FileLock(out / "small" / ".lock"):
        for arguments in (["clean", "--yes"], ["drop", first, "--yes"]):
            done = CliRunner().invoke(app, [*arguments, "--output", str(out)])
            assert done.exit_code == 2 and "another run is working on" in done.output
    assert len(versions(out)) == 2


@pytest.mark.parametrize("point", ["drop:latest", "remove:aside"])
@pytest.mark.parametrize("command", ["drop", "clean"])
def test_a_kill_at_any_moment_leaves_a_valid_state(command: str, point: str, made: Path, out: Path) -> None:
    first, second = first_and_second(out)
    arguments = ["drop", second] if command == "drop" else ["clean", "--all"]
    killed = subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments, "--yes", "--output", out],
        env={**os.environ, "GRISTMILL_FAULT": point}, capture_output=True,
    )  # fmt: skip
    assert killed.returncode == (0 if (command, point) == ("clean", "drop:latest") else -9)
    left = versions(out)
    assert list(left.values()).count(True) == 1  # `latest` names a version that is there
    assert [verify(entry.folder) for entry in list_versions(out)] == [[]] * len(left)
    done = run_pipeline("run", made / "recipe.yaml", "--output", out, "--workers", "1", *OTHER)
    assert done.returncode == 0, done.stderr
    assert versions(out) == {first: False, second: True}
    pipeline("clean", "--yes", "--output", out)  # where there was nothing to run
    assert not list((out / "small").glob(".aside*"))


def test_what_cannot_be_dropped_is_said(out: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (["drop", "small"], "names a dataset"),
        (["drop", "nosuch"], "no version or dataset"),
        (["clean", "nosuch"], "there: small"),
    ):
        done = CliRunner().invoke(app, [*arguments, "--output", str(out), "--yes"])
        assert done.exit_code == 2 and message in done.output
    assert "no dataset holds" in pipeline("clean", "--output", tmp_path / "empty")


def test_what_crashes_left_aside_goes_and_a_file_with_two_names_counts_once(out: Path) -> None:
    aside = out / "small" / ".aside-0123456789ab"
    aside.mkdir()
    (aside / "a").write_bytes(b"x" * 1000)
    os.link(aside / "a", aside / "b")
    shutil.copy(aside / "a", aside / "c")
    os.link(aside / "c", out / "elsewhere")
    assert free_bytes([aside]) == (3000, 1000)
    pipeline("clean", "--output", out, "--yes")
    assert not aside.exists()
