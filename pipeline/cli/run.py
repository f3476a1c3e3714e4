"""`pipeline run` and `pipeline plan`."""

import os
import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import OutputOption, RecipeArgument, SetOption, VerboseOption, plain_errors, relative, say
from pipeline.cli.summary import print_summary
from pipeline.config import locate
from pipeline.files import PartStore
from pipeline.plan import Part, Plan, make_plan
from pipeline.recipe import Recipe, load_recipe
from pipeline.state import Reasons, pending
from pipeline.versions import point_latest


class EngineName(StrEnum):
    """Where the work runs."""

    local = "local"
    ray = "ray"
    slurm = "slurm"


def _default_workers() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _load(recipe_path: Path, overrides: list[str] | None, output: str) -> tuple[Recipe, Plan, str, PartStore]:
    found, is_shipped = locate(recipe_path)
    if is_shipped:
        typer.echo(f"{recipe_path} is not here: using the recipe that comes with the program, {found}", err=True)
    recipe = load_recipe(recipe_path, overrides or ())
    dataset_url = f"{output.rstrip('/')}/{recipe.name}"
    return recipe, make_plan(recipe), dataset_url, PartStore(dataset_url)


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
    with plain_errors(verbose):
        recipe, plan, dataset_url, store = _load(recipe_path, overrides, output)
        todo = pending(store, plan)
        if not any(todo.values()) and store.dataset.is_local:
            version = store.marker("describe", plan.stages["describe"][0].key).facts["version"]
            point_latest(store.dataset, version)
            say(f"Nothing to do: all {sum(len(p) for p in plan.stages.values())} Parts are committed.")
        else:
            version = _run(recipe, plan, dataset_url, engine, workers, slurm or [], verbose)
        if store.dataset.is_local:
            print_summary(relative(Path(store.dataset.root)), version)
        else:
            say(f"version {version} in {dataset_url}/{version}")


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


def plan(
    recipe_path: RecipeArgument,
    overrides: SetOption = None,
    output: OutputOption = "datasets",
    verbose: VerboseOption = False,
) -> None:
    """Show stages and Parts, what is cached, and why each of the others must run."""
    with plain_errors(verbose):
        _, planned, _, store = _load(recipe_path, overrides, output)
        todo = pending(store, planned)
        reasons = Reasons(store)
        for stage, parts in planned.stages.items():
            say(f"{stage:<10} {len(parts):>5} Parts, {len(parts) - len(todo[stage])} cached, {len(todo[stage])} to run")
            for line, same in _grouped(todo[stage], reasons).items():
                say(f"    {line}" + (f" (and {same - 1} more Parts for the same reason)" if same > 1 else ""))
        waiting = sum(len(parts) for parts in todo.values())
        say()
        again = ["pipeline", "run", str(recipe_path)]
        again += [word for override in overrides or () for word in ("--set", override)]
        again += ["--output", output] * (output != "datasets")
        say(f"Next: {shlex.join(again)}" if waiting else "Nothing to do.")


def _grouped(parts: list[Part], reasons: Reasons) -> dict[str, int]:
    """First Part of each reason -> how many Parts share it."""
    lines: dict[str, str] = {}
    n: dict[str, int] = {}
    for part in parts:
        reason = reasons.why(part)
        lines.setdefault(reason, f"{part.label}: {reason}")
        n[reason] = n.get(reason, 0) + 1
    return {lines[reason]: count for reason, count in n.items()}
