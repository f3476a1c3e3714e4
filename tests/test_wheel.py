"""What an installed wheel holds: every package, every recipe, the sample crawl."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory) -> list[str]:
    folder, copy = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("copy") / "checkout"
    # A copy: setuptools builds in place, and would take up what lies in an old build folder.
    left_out = shutil.ignore_patterns(".git", ".venv", "build", "*.egg-info", "datasets", "models", "__pycache__")
    shutil.copytree(repository, copy, ignore=left_out)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, copy]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl"))).namelist()


@pytest.mark.parametrize("package", ["pipeline", "training"])
def test_every_module_and_data_file_is_in_the_wheel(package: str, wheel: list[str], repository: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", package],
        cwd=repository, capture_output=True, text=True,
    )  # fmt: skip
    files = tracked.stdout.split() or [
        str(p.relative_to(repository)) for p in (repository / package).rglob("*") if "__pycache__" not in p.parts
    ]
    wanted = [f for f in files if (repository / f).is_file()]
    assert len(wanted) > 5
    assert [f for f in wanted if f not in wheel] == []


def test_recipes_ship_under_the_package(wheel: list[str], repository: Path) -> None:
    recipes = sorted(p.relative_to(repository).as_posix() for p in (repository / "recipes").rglob("*.yaml"))
    assert "recipes/commoncrawl.yaml" in recipes
    assert [r for r in recipes if f"pipeline/{r}" not in wheel] == []
    assert "pipeline/sources/sample/sample.warc.gz" in wheel
