"""The `pipeline` command: arguments and output only."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pipeline.assets import AssetError
from pipeline.config import ConfigError, locate
from pipeline.files import DamagedError, PartStore
from pipeline.manifest import Manifest, ManifestError, load_manifest, total
from pipeline.mixture import remarks
from pipeline.plan import Part, Plan, make_plan
from pipeline.recipe import Recipe, load_recipe
from pipeline.sources.record import SourceError
from pipeline.state import Reasons, pending
from pipeline.versions import VersionError, find_version, list_versions, point_latest, verify

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="From raw archives to a tokenised dataset with a data card, and to a trained model.\n\n"
    "Exit codes: 0 done, 1 the work failed, 2 wrong arguments or recipe, 130 stopped by Ctrl-C.",
)


class EngineName(StrEnum):
    """Where the work runs."""

    local = "local"
    ray = "ray"
    slurm = "slurm"


RecipeArgument = Annotated[Path, typer.Argument(help="A recipe file; a shipped recipe's name works from any folder.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="a.b=c", help="Replace one value of the recipe; may be repeated.")
]
OutputOption = Annotated[str, typer.Option(help="Folder of datasets: a path or an fsspec URL.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Show stack traces of failures.")]


def _default_workers() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _say(text: str = "") -> None:
    typer.echo(text)


@contextmanager
def _plain_errors(verbose: bool = False) -> Iterator[None]:
    """Turn the errors that a user can act on into a message and an exit code."""
    try:
        yield
    except (ConfigError, SourceError, VersionError) as error:
        if verbose:
            raise
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except (AssetError, ManifestError, DamagedError, OSError) as error:
        if verbose:
            raise
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


def _load(recipe_path: Path, overrides: list[str] | None, output: str) -> tuple[Recipe, Plan, str, PartStore]:
    found, is_shipped = locate(recipe_path)
    if is_shipped:
        typer.echo(f"{recipe_path} is not here: using the recipe that comes with the program, {found}", err=True)
    recipe = load_recipe(recipe_path, overrides or ())
    dataset_url = f"{output.rstrip('/')}/{recipe.name}"
    return recipe, make_plan(recipe), dataset_url, PartStore(dataset_url)


@app.command()
def run(
    recipe_path: RecipeArgument,
    workers: Annotated[int, typer.Option(min=1, help="Workers at a time.")] = _default_workers(),
    engine: Annotated[EngineName, typer.Option(help="Where the work runs.")] = EngineName.local,
    overrides: SetOption = None,
    output: OutputOption = "datasets",
    slurm: Annotated[
        list[str] | None,
        typer.Option(
            "--slurm", metavar="key=value", help="An sbatch directive, such as partition=cpu or time=2:00:00."
        ),
    ] = None,
    verbose: VerboseOption = False,
) -> None:
    """Make a dataset version from a recipe; what is done already is not done again."""
    with _plain_errors(verbose):
        recipe, plan, dataset_url, store = _load(recipe_path, overrides, output)
        todo = pending(store, plan)
        if not any(todo.values()) and store.dataset.is_local:
            version = store.marker("describe", plan.stages["describe"][0].key).facts["version"]
            point_latest(store.dataset, version)
            _say(f"Nothing to do: all {sum(len(p) for p in plan.stages.values())} Parts are committed.")
        else:
            version = _run(recipe, plan, dataset_url, engine, workers, slurm or [], verbose)
        if store.dataset.is_local:
            _summary(_relative(Path(store.dataset.root)), version)
        else:
            _say(f"version {version} in {dataset_url}/{version}")


def _run(
    recipe: Recipe, plan: Plan, dataset_url: str, engine: EngineName, workers: int, slurm: list[str], verbose: bool
) -> str:
    from pipeline.run.engines import EngineError, make_engine
    from pipeline.run.progress import Progress
    from pipeline.run.runner import RunError, run_plan

    directives = dict(item.partition("=")[::2] for item in slurm)
    try:
        report = run_plan(recipe, plan, dataset_url, lambda: make_engine(engine.value, workers, directives), Progress())
    except (RunError, EngineError) as error:
        typer.echo(f"error: {error}", err=True)
        if verbose and isinstance(error, RunError):
            typer.echo(error.details, err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("stopped: committed Parts are safe; run the same command again to go on.", err=True)
        raise typer.Exit(130) from None
    return report.version


def _empty_sources(described: Manifest) -> Iterator[str]:
    """A warning for each source that gave no document although it has records, with the most frequent reasons."""
    counts = described.counts
    for name in described.sources:
        if not counts.get("records", {}).get(name):
            yield f"warning: {name}: its files hold no records"
        elif not counts.get("documents", {}).get(name):
            ends = {**counts.get("fates", {}).get(name, {}), **counts.get("dropped", {}).get(name, {})}
            most = sorted(ends.items(), key=lambda item: (-item[1], item[0]))[:3]
            why = ", ".join(f"{reason} {n:,}" for reason, n in most)
            yield f"warning: {name}: none of {counts['records'][name]:,} records became a document ({why})"


def _relative(path: Path) -> Path:
    """The path from here, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _summary(dataset: Path, version: str) -> None:
    """The funnel, the mix and the next step, from the version's manifest."""
    described = load_manifest(dataset / version)
    counts = described.counts
    table = Table("source", box=None, pad_edge=False)
    for heading in ("records", "extracted", "dropped", "kept", "tokens read", "share", "epochs"):
        table.add_column(heading, justify="right")
    planned = {row.cell: row for row in described.mixture}
    for name in described.sources:
        row = planned.get(name)
        numbers = [total(counts.get(key, {}).get(name, 0)) for key in ("records", "extracted", "dropped", "documents")]
        mix = [f"{row.tokens:,}", f"{row.share:.1%}", f"{row.epochs:.2f}"] if row else ["0", "0.0%", "0.00"]
        table.add_row(name, *(f"{n:,}" for n in numbers), *mix)
    _say()
    Console(width=max(80, shutil.get_terminal_size().columns)).print(table)
    _say()
    notes = [*_empty_sources(described), *remarks(described.mixture)]
    _say("\n".join([*notes, ""]) if notes else "Every source is read once.\n")
    _say(f"version  {version}")
    _say(f"data     {dataset / version}")
    _say(f"card     {dataset / version / 'card.md'}")
    _say()
    _say("Next: read the card, then train on the shards (extra: pip install 'gristmill[train]'):")
    _say(f"  pipeline train recipes/train/tiny.yaml --data {dataset / version}")


@app.command()
def plan(
    recipe_path: RecipeArgument,
    overrides: SetOption = None,
    output: OutputOption = "datasets",
    verbose: VerboseOption = False,
) -> None:
    """Show stages and Parts, what is cached, and why each of the others must run."""
    with _plain_errors(verbose):
        _, planned, _, store = _load(recipe_path, overrides, output)
        todo = pending(store, planned)
        reasons = Reasons(store)
        for stage, parts in planned.stages.items():
            _say(
                f"{stage:<10} {len(parts):>5} Parts, {len(parts) - len(todo[stage])} cached, {len(todo[stage])} to run"
            )
            for line, same in _grouped(todo[stage], reasons).items():
                _say(f"    {line}" + (f" (and {same - 1} more Parts for the same reason)" if same > 1 else ""))
        waiting = sum(len(parts) for parts in todo.values())
        _say()
        again = ["pipeline", "run", str(recipe_path)]
        again += [word for override in overrides or () for word in ("--set", override)]
        again += ["--output", output] * (output != "datasets")
        _say(f"Next: {shlex.join(again)}" if waiting else "Nothing to do.")


def _grouped(parts: list[Part], reasons: Reasons) -> dict[str, int]:
    """First Part of each reason -> how many Parts share it."""
    lines: dict[str, str] = {}
    n: dict[str, int] = {}
    for part in parts:
        reason = reasons.why(part)
        lines.setdefault(reason, f"{part.label}: {reason}")
        n[reason] = n.get(reason, 0) + 1
    return {lines[reason]: count for reason, count in n.items()}


@app.command(name="list")
def list_command(output: Annotated[Path, typer.Option(help="Folder of datasets.")] = Path("datasets")) -> None:
    """List the versions of all datasets below a folder."""
    found = list_versions(output)
    if not found:
        _say(f"No versions below {output}. Next: pipeline run recipes/commoncrawl.yaml")
        return
    for entry in found:
        try:
            described = load_manifest(entry.folder)
        except ManifestError as error:
            _say(f"{entry.dataset}/{entry.version}  damaged: {error}")
        else:
            kept = sum(described.counts.get("documents", {}).values())
            tokens = sum(cell.tokens for cell in described.cells)
            mark = "latest" if entry.is_latest else ""
            _say(f"{entry.dataset}/{entry.version}  {kept:>12,} documents  {tokens:>15,} tokens  {mark}".rstrip())
    _say()
    _say("Next: pipeline verify VERSION, or pipeline train recipes/train/tiny.yaml --data FOLDER/VERSION")


@app.command(name="verify")
def verify_command(
    version: Annotated[str, typer.Argument(help="A version, its first digits, a dataset's name, or a folder.")],
    output: Annotated[Path, typer.Option(help="Folder of datasets.")] = Path("datasets"),
) -> None:
    """Read every file of a version and compare it with the manifest."""
    with _plain_errors():
        folder = find_version(version, output)
        problems = verify(folder)
        for problem in problems:
            _say(problem)
        if problems:
            _say()
            _say(f"{len(problems)} problems in {folder.resolve()}. Next: remove that folder and run its recipe again.")
            raise typer.Exit(1)
        files = load_manifest(folder).files
    _say(f"{folder}: {len(files)} files, {sum(f.size for f in files):,} bytes, all as the manifest says.")
    _say(f"Next: pipeline train recipes/train/tiny.yaml --data {folder}")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def train(context: typer.Context) -> None:
    """Train a model on a version's shards: starts `python -m training` with the same arguments."""
    arguments: list[Any] = [sys.executable, "-m", "training", *context.args]
    raise typer.Exit(_wait_for(subprocess.Popen(arguments)))


def _wait_for(process: "subprocess.Popen[Any]") -> int:
    """The exit code. Ctrl-C reaches the trainer itself, which saves a checkpoint; wait for it."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def main() -> None:
    """Entry point of the console command."""
    app()
