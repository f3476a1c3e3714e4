"""`pipeline run` and `pipeline plan`."""

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import OutputOption, RecipeArgument, SetOption, VerboseOption, plain_errors, relative, say
from pipeline.config import ConfigError, locate
from pipeline.files import Folder, PartStore
from pipeline.plan import Part, Plan, make_plan
from pipeline.preflight import check_lists, check_models, check_tokenizer
from pipeline.recipe import Recipe, load_recipe
from pipeline.run import stop
from pipeline.state import Reasons, pending
from pipeline.steps.options import DatatroveStep
from pipeline.versions import point_latest


class EngineName(StrEnum):
    """Where the work runs."""

    local = "local"
    ray = "ray"
    slurm = "slurm"


def _default_workers() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_planned(recipe_path: Path, overrides: list[str] | None, output: str) -> tuple[Recipe, Plan, str, PartStore]:
    """What a command's arguments name: the recipe, its plan, the URL of its dataset, and the Parts there."""
    found, is_shipped = locate(recipe_path)
    if is_shipped:
        typer.echo(f"{recipe_path} is not here: using the recipe that comes with the program, {found}", err=True)
    recipe = load_recipe(recipe_path, overrides or ())
    dataset_url = f"{output.rstrip('/')}/{recipe.name}"
    return recipe, make_plan(recipe), dataset_url, PartStore(dataset_url)


def _check_classes(
    recipe_path: Path, overrides: list[str] | None, recipe: Recipe, todo: Mapping[str, Sequence[Part]]
) -> None:
    """Try the classes of datatrove that the recipe names, if some work waits for them: they must be imported for it."""
    if todo["measure"] and any(isinstance(step, DatatroveStep) for step in recipe.steps):
        from pipeline.interop.walk import check

        load_recipe(recipe_path, overrides or (), check)


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
    as_json: Annotated[
        bool, typer.Option("--json", help="Events as JSON, one a line, on standard output, and no other text.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Warnings, errors and the version only.")] = False,
    preflight: Annotated[
        bool, typer.Option("--preflight/--no-preflight", help="Refuse a run that will not fit on the disk.")
    ] = True,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="A line for each Part; stack traces of failures.")
    ] = False,
) -> None:
    """Make a dataset version from a recipe.

    What is done already is not done again. A table on a terminal, plain lines elsewhere; `pipeline status` tells as
    much in another shell. Ctrl-C is safe: the same command goes on. NO_COLOR and TERM=dumb are honoured.

    Exit codes: 0 the version is made, 1 the work failed, 2 wrong arguments or recipe, 130 stopped by Ctrl-C.
    """
    command = shlex.join(["pipeline", *sys.argv[1:]])
    try:
        with plain_errors(verbose):
            directives = _directives(slurm or (), engine)
            recipe, plan, dataset_url, store = load_planned(recipe_path, overrides, output)
            dataset = store.dataset
            todo = pending(store, plan)
            _check_classes(recipe_path, overrides, recipe, todo)
            if any(todo.values()) or not dataset.is_local:
                check_models(recipe)
                check_lists(recipe)
                check_tokenizer(recipe)
                settings = _Settings(engine, workers, directives, command, as_json, quiet, verbose, preflight)
                version, warnings = _run(recipe, plan, dataset_url, settings)
            else:
                version, warnings = store.marker("describe", plan.stages["describe"][0].key).facts["version"], None
                point_latest(dataset, version)
                if as_json:
                    _say_finished(dataset, version)
                elif not quiet:
                    say(f"Nothing to do: all {sum(len(p) for p in plan.stages.values())} Parts are committed.")
            if quiet or (not dataset.is_local and not as_json):
                say(f"version  {version}" if quiet else f"version {version} in {dataset_url}/{version}")
            elif not as_json:
                from pipeline.cli.summary import print_summary

                print_summary(relative(Path(dataset.root)), version, warnings)
    except KeyboardInterrupt:
        stop.leave(f"stopped: committed Parts are safe.\nTo go on: {command}")


def _directives(items: Sequence[str], engine: EngineName) -> dict[str, str]:
    """What --slurm was given."""
    for item in items:
        if not item.partition("=")[0] or "=" not in item:
            raise ConfigError([f"--slurm {item}: expected key=value, such as partition=cpu"])
    if items and engine is not EngineName.slurm:
        raise ConfigError([f"--slurm {items[0]}: is for --engine slurm, and this is --engine {engine}; give both"])
    return dict(item.partition("=")[::2] for item in items)


def _say_finished(dataset: Folder, version: str) -> None:
    from pipeline.run.events import as_json
    from pipeline.run.watch import finished

    say(json.dumps(as_json(finished(dataset, version))))


@dataclass(frozen=True, slots=True)
class _Settings:
    """Options of `pipeline run` that decide no byte."""

    engine: EngineName
    workers: int
    slurm: Mapping[str, str]
    command: str
    as_json: bool
    quiet: bool
    verbose: bool
    preflight: bool


def _run(recipe: Recipe, plan: Plan, dataset_url: str, settings: _Settings) -> tuple[str, list[str]]:
    """Version and warnings. What went wrong has been shown when this raises typer.Exit."""
    from pipeline.run.engines import EngineError, make_engine
    from pipeline.run.progress import make_display
    from pipeline.run.runner import HowToRun, RunError, run_plan

    display = make_display(is_json=settings.as_json, quiet=settings.quiet, verbose=settings.verbose)
    how = HowToRun(
        lambda: make_engine(settings.engine.value, settings.workers, settings.slurm),
        settings.command,
        is_here=settings.engine is EngineName.local,
        checks_space=settings.preflight,
        verbose=settings.verbose,
    )
    try:
        report = run_plan(recipe, plan, dataset_url, how, display)
    except (RunError, EngineError):
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        display.close()
        stop.leave()
    finally:
        display.close()
    return report.version, [warning.message for warning in report.warnings]


def plan(
    recipe_path: RecipeArgument,
    overrides: SetOption = None,
    output: OutputOption = "datasets",
    verbose: VerboseOption = False,
) -> None:
    """Show what a run would do, and why.

    Stages and Parts, what is cached, and why each of the others must run.
    """
    with plain_errors(verbose):
        recipe, planned, _, store = load_planned(recipe_path, overrides, output)
        todo = pending(store, planned)
        _check_classes(recipe_path, overrides, recipe, todo)
        reasons = Reasons(store)
        say(f"{'stage':<10} {'Parts':>7} {'cached':>7} {'to run':>7}")
        for stage, parts in planned.stages.items():
            say(f"{stage:<10} {len(parts):>7,} {len(parts) - len(todo[stage]):>7,} {len(todo[stage]):>7,}")
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
