"""The `pipeline` command: its subcommands and their order in the help."""

import typer

from pipeline.cli.run import plan, run
from pipeline.cli.train import train
from pipeline.cli.versions import list_command, verify_command

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="From raw archives to a tokenised dataset with a data card, and to a trained model.\n\n"
    "Exit codes: 0 done, 1 the work failed, 2 wrong arguments or recipe, 130 stopped by Ctrl-C.",
)
app.command()(run)
app.command()(plan)
app.command(name="list")(list_command)
app.command(name="verify")(verify_command)
app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)(train)


def main() -> None:
    """Entry point of the console command."""
    app()
