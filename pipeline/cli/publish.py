"""`pipeline publish`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.console import command, plain_errors, say
from pipeline.manifest import load_manifest

SAID = ("summary", "intended_use", "limits", "contact")
"""Fields of the recipe's card that a stranger will look for."""


def publish_command(
    version: Annotated[str, typer.Argument(help="A version, its first digits, a dataset's name, or a folder.")],
    to: Annotated[Path, typer.Option(help="Folder to make.")],
    upload: Annotated[
        str | None,
        typer.Option(metavar="USER/NAME", help="Then upload it to this dataset of the Hugging Face Hub."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder of datasets.")] = Path("datasets"),
) -> None:
    """Make a folder to publish a version: documents, card, Croissant, tokenizer, shards.

    With --upload, a folder that is there already and holds this version is uploaded as it is. Log in before:
    `hf auth login`. A repository that is made is private.
    """
    from rich.console import Console
    from rich.progress import Progress

    from pipeline.card.escape import size
    from pipeline.look import publish
    from pipeline.versions import find_version

    with plain_errors():
        folder = find_version(version, output)
        described = load_manifest(folder)
        if upload and to.exists():
            publish.check(to, described.version)
        else:
            n_rows = sum(file.rows for file in described.files if file.kind == "documents")
            try:
                with Progress(console=Console(stderr=True), transient=True) as display:
                    task = display.add_task("reading", total=n_rows)
                    made = publish.publish(
                        folder, to, lambda what, n: display.update(task, description=what, advance=n)
                    )
            except KeyboardInterrupt:
                typer.echo(f"stopped; {to} was not made.", err=True)
                raise
            documents = ", ".join(f"{n:,} documents in data/{split}" for split, n in made.documents.items())
            say(f"Wrote {to} from {described.name}/{described.version}: {documents or 'no documents'},")
            n_bytes = size(sum(made.files.values()))
            say(f"the card as README.md and card.html, croissant.json, tokenizer, shards; {n_bytes}.")
        for name in _unsaid(described.recipe):
            say(f"warning: the card does not say it: card.{name} of the recipe is empty")
        if upload:
            address = publish.upload(to, upload, described.version)
            say(f"Uploaded to {address}")
            say(f"Next: look at {address}, and make it public there; load_dataset({upload!r}) reads it.")
            return
    again = command("publish", version, "--to", str(to), "--upload", "USER/NAME", output=output)
    say(f"Next: read {to / 'card.html'}; datasets.load_dataset({str(to)!r}) reads the documents.")
    say(f"To upload it: {again}")


def _unsaid(recipe: Mapping[str, Any]) -> list[str]:
    card = recipe.get("card") or {}
    return [name for name in SAID if not str(card.get(name) or "").strip()]
