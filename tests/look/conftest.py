"""A version made once for all tests of readers of versions."""

from pathlib import Path

import pytest

from tests.small_dataset import run_pipeline, write_small_recipe


@pytest.fixture(scope="session")
def small_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a version of the small recipe; `recipe.yaml` lies three folders up."""
    folder = tmp_path_factory.mktemp("small")
    done = run_pipeline("run", write_small_recipe(folder), "--output", folder / "out", "--workers", "2")
    assert done.returncode == 0, done.stderr
    dataset = folder / "out" / "small"
    return dataset / (dataset / "latest").read_text().strip()
