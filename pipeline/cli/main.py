"""The `pipeline` command: its subcommands and their order in the help."""

import signal
from importlib import import_module
from typing import Any

from pipeline.run import stop

STOPPED_EARLY = "stopped before anything was begun."  # in the second that imports take
try:
    import typer
    from typer.core import TyperGroup
except KeyboardInterrupt:
    stop.leave(STOPPED_EARLY)

COMMANDS = {
    "init": "start.init",
    "run": "run.run",
    "plan": "run.plan",
    "mix": "mix.mix",
    "status": "status.status",
    "list": "versions.list_command",
    "verify": "versions.verify_command",
    "why": "why.why",
    "sample": "sample.sample",
    "diff": "diff.diff",
    "sweep": "sweep.sweep",
    "trace": "trace.trace_command",
    "index": "why.index",
    "export-tokenizer": "export_tokenizer.export_tokenizer",
    "export-model": "export_model.export_model",
    "export": "export.export_command",
    "publish": "publish.publish_command",
    "drop": "versions.drop_command",
    "clean": "versions.clean",
    "schema": "start.schema_command",
    "classifier": "classifier.classifier",
    "train": "train.train",
}
"""Command -> module of `pipeline.cli` and its function, or its group of commands."""
SETTINGS: dict[str, dict[str, Any]] = {
    "train": {
        "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
        "add_help_option": False,
    }
}


class _Commands(dict[str, Any]):
    """The commands by name, each imported when it is asked for: one needs a fraction of what all of them load."""

    def __getitem__(self, name: str) -> Any:
        if super().__getitem__(name) is None:
            self[name] = _load(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def items(self) -> Any:
        return [(name, self[name]) for name in self]

    def values(self) -> Any:
        return [self[name] for name in self]


def _load(name: str) -> Any:
    module, _, function = COMMANDS[name].partition(".")
    try:
        found = getattr(import_module(f"pipeline.cli.{module}"), function)
    except KeyboardInterrupt:
        stop.leave(STOPPED_EARLY)
    if not isinstance(found, typer.Typer):
        of_one = typer.Typer(add_completion=False, rich_markup_mode=None)
        of_one.command(name=name, **SETTINGS.get(name, {}))(found)
        found = of_one
    command = typer.main.get_command(found)
    command.name = name
    return command


class _OnDemand(TyperGroup):
    """A group whose commands are imported when they are asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands(dict.fromkeys(COMMANDS))


app = typer.Typer(
    cls=_OnDemand,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="From raw archives to a tokenised dataset with a data card, and to a trained model.\n\n"
    "Exit codes: 0 done, 1 the work failed, 2 wrong arguments or recipe, 130 stopped by Ctrl-C.",
)


@app.callback()
def _group() -> None:
    """Without it, there would be no group: its commands are not known yet."""


def main() -> None:
    """Entry point of the console command."""
    try:
        stop.listen([signal.SIGINT])
        app()
    except KeyboardInterrupt:
        stop.leave("stopped.")
    except SystemExit as end:
        if end.code == stop.STOPPED:  # typer's word for Ctrl-C; `run` leaves with more words
            stop.leave("stopped.")
        raise
