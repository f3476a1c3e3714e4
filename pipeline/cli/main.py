"""The `pipeline` command: its subcommands and their order in the help."""

import signal

from pipeline.run import stop

try:
    import typer

    from pipeline.cli.classifier import classifier
    from pipeline.cli.export import export_command
    from pipeline.cli.export_model import export_model
    from pipeline.cli.export_tokenizer import export_tokenizer
    from pipeline.cli.mix import mix
    from pipeline.cli.run import plan, run
    from pipeline.cli.start import init, schema_command
    from pipeline.cli.status import status
    from pipeline.cli.sweep import sweep
    from pipeline.cli.trace import trace_command
    from pipeline.cli.train import train
    from pipeline.cli.versions import clean, drop_command, list_command, verify_command
except KeyboardInterrupt:  # in the second that imports take
    stop.leave("stopped before anything was begun.")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="From raw archives to a tokenised dataset with a data card, and to a trained model.\n\n"
    "Exit codes: 0 done, 1 the work failed, 2 wrong arguments or recipe, 130 stopped by Ctrl-C.",
)
app.command()(init)
app.command()(run)
app.command()(plan)
app.command()(mix)
app.command()(status)
app.command(name="list")(list_command)
app.command(name="verify")(verify_command)
app.command()(sweep)
app.command(name="trace")(trace_command)
app.command()(export_tokenizer)
app.command()(export_model)
app.command(name="export")(export_command)
app.command(name="drop")(drop_command)
app.command()(clean)
app.command(name="schema")(schema_command)
app.add_typer(classifier, name="classifier")
app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)(train)


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
