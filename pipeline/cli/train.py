"""`pipeline train`: the trainer, in a process of its own."""

import subprocess
import sys
from typing import Any

import typer

from pipeline.run import stop


def train(context: typer.Context) -> None:
    """Train a model on a version's shards.

    Starts `python -m training` with the same arguments.
    """
    arguments: list[Any] = [sys.executable, "-m", "training", *context.args]
    code = _wait_for(subprocess.Popen(arguments))
    if code == stop.STOPPED:  # the trainer has said so
        stop.leave()
    raise typer.Exit(code)


def _wait_for(process: "subprocess.Popen[Any]") -> int:
    """The exit code. Ctrl-C reaches the trainer itself, which saves a checkpoint; wait for it."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
