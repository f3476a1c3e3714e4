"""A run in a folder that has nothing to do with the project, and something called `pipeline` in it."""

import os
import subprocess
import sys
from pathlib import Path


def test_a_folder_called_pipeline_in_the_current_folder_is_left_alone(
    repository: Path, small_recipe: Path, tmp_path: Path
) -> None:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("raise RuntimeError('the wrong package')\n")
    command = [sys.executable, "-P", "-c", "from pipeline.cli.main import main; main()", "run", small_recipe]
    env = {**os.environ, "PYTHONPATH": str(repository)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "wrong package" not in done.stderr
