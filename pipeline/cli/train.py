"""`pipeline train`: the trainer, in a process of its own."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import typer

from pipeline.cli.console import plain_errors, say
from pipeline.run import stop

DATA = "--data"
LINE_EVERY_S = 10.0
"""Seconds between two lines of progress where the output is no terminal."""


def train(context: typer.Context) -> None:
    """Train a model on a version's shards.

    Starts `python -m training` with the same arguments. A version at a URL is copied to the cache and verified first.
    """
    with plain_errors():
        given = [_local(argument, before) for before, argument in zip(["", *context.args], context.args, strict=False)]
    arguments: list[Any] = [sys.executable, "-m", "training", *given]
    code = _wait_for(subprocess.Popen(arguments))
    if code == stop.STOPPED:  # the trainer has said so
        stop.leave()
    raise typer.Exit(code)


def _local(argument: str, before: str) -> str:
    """`argument`, or where the version now lies whose URL it gives."""
    name, is_joined, url = argument.partition("=")
    if name == DATA and is_joined and "://" in url:
        return f"{DATA}={_fetch(url)}"
    return str(_fetch(argument)) if before == DATA and "://" in argument else argument


def _fetch(url: str) -> Path:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from pipeline.look.fetch import fetch_version

    console = Console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    last_line_s = time.monotonic()

    def show(n_bytes: int, n_all: int) -> None:
        nonlocal last_line_s
        display.update(task, advance=n_bytes, total=n_all)
        if display.disable and time.monotonic() - last_line_s > LINE_EVERY_S:
            last_line_s = time.monotonic()
            say(f"{url}: {display.tasks[0].completed / 1e6:,.0f} of {n_all / 1e6:,.0f} MB")

    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as display:
        task = display.add_task(url, total=None)
        folder = fetch_version(url, show)
    n_copied = display.tasks[0].completed
    what = f"{n_copied / 1e6:,.1f} MB, sha256 of each file checked" if n_copied else "there already"
    say(f"Data of {url}: {folder} ({what})")
    return folder


def _wait_for(process: "subprocess.Popen[Any]") -> int:
    """The exit code. Ctrl-C reaches the trainer itself, which saves a checkpoint; wait for it."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
