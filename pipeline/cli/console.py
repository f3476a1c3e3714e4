"""What several commands share: options, output, and errors as messages."""

import os
import shlex
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

RecipeArgument = Annotated[Path, typer.Argument(help="A recipe file; a shipped recipe's name works from any folder.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="a.b=c", help="Replace one value of the recipe; may be repeated.")
]
OutputOption = Annotated[str, typer.Option(help="Folder of datasets: a path or an fsspec URL.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Show stack traces of failures.")]


def say(text: str = "") -> None:
    """Print a line to standard output."""
    typer.echo(text)


def command(*words: str, output: Path) -> str:
    """A command of this program to go on with, for a shell."""
    rest = [] if output == Path("datasets") else ["--output", str(output)]
    return shlex.join(["pipeline", *words, *rest])


def relative(path: Path) -> Path:
    """The path from here, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


@contextmanager
def plain_errors(verbose: bool = False) -> Iterator[None]:
    """Turn the errors that a user can act on into a message and an exit code; `verbose` shows the stack trace, too."""
    try:
        yield
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        _show(error, verbose)
        raise typer.Exit(code) from None


def _exit_code(error: Exception) -> int | None:
    """2 for what was asked for wrongly, 1 for work that failed, None for what is no user's business."""
    from pipeline.assets import AssetError  # late: commands that need none of these are to be quick
    from pipeline.config import ConfigError
    from pipeline.files import DamagedError
    from pipeline.manifest import ManifestError
    from pipeline.sources.record import SourceError
    from pipeline.versions import VersionError

    if isinstance(error, (ConfigError, SourceError, VersionError)):
        return 2
    return 1 if isinstance(error, (AssetError, ManifestError, DamagedError, OSError)) else None


def _show(error: Exception, verbose: bool) -> None:
    if verbose:
        typer.echo("".join(traceback.format_exception(error)), err=True)
    typer.echo(f"error: {error}", err=True)
