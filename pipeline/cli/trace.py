"""`pipeline trace`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.console import plain_errors, say
from pipeline.run.events import printable

if TYPE_CHECKING:
    from pipeline.look.trace import Piece, Traced

SHOWN_CHARS = 200


def trace_command(
    version: Annotated[str, typer.Argument(help="A version, its first digits, a dataset's name, or a folder.")],
    row: Annotated[int, typer.Option(min=0, help="Number of the row, from 0: in its shard, or in its Cell and split.")],
    shard: Annotated[str | None, typer.Option(help="A shard, such as shards/train/web-00000.arrow.")] = None,
    cell: Annotated[str | None, typer.Option(help="A Cell; needed where the split has several.")] = None,
    split: Annotated[str, typer.Option(help="train or validation; not with --shard.")] = "train",
    output: Annotated[Path, typer.Option(help="Folder of datasets.")] = Path("datasets"),
) -> None:
    """Show what a row of a version's shards is made of: documents, URLs, archive files and offsets.

    Rows of a Cell are counted over its shards in the order of their names, as the trainer counts them.
    """
    from pipeline.look.trace import trace
    from pipeline.manifest import ManifestError
    from pipeline.shards import ShardError
    from pipeline.tokenizer.vocab import VocabError
    from pipeline.versions import find_version

    with plain_errors():
        folder = find_version(version, output)
        try:
            found = trace(folder, row, shard, cell, split)
        except (ShardError, VocabError) as error:
            raise ManifestError(str(error)) from None
    _show(found)


def _show(found: "Traced") -> None:
    used = sum(piece.n_tokens for piece in found.pieces)
    say(
        f"{found.file.path}, row {found.row} (row {found.row_of_cell} of {found.file.cell}, {found.file.split}): "
        f"{found.seq_len + 1} places, {used} with tokens, {len(found.pieces)} piece{'s' * (len(found.pieces) > 1)}"
    )
    for piece in found.pieces:
        say()
        _show_piece(piece)
    say()
    for sentence in found.missing:
        say(sentence)
    say("Next: `pipeline why VERSION ID` tells what was measured of a document. To leave one out of the next")
    say("version, put its URL or id into a file that the recipe's removals.files names, and run the recipe.")


def _show_piece(piece: "Piece") -> None:
    begins = "the whole document" if piece.is_end else "its beginning"
    continues = "its end" if piece.is_end else "from its middle"
    say(
        f"places {piece.place} to {piece.place + piece.n_tokens - 1}: document {piece.id}, tokens {piece.start} to "
        f"{piece.start + piece.n_tokens - 1}, {continues if piece.start else begins}"
    )
    record = f"{piece.record['path']}, offset {piece.record['offset']}" if piece.record else ""
    lines = {
        "url": piece.document.get("url", ""),
        "title": piece.document.get("title", ""),
        "source": piece.document.get("source", ""),
        "record": record,
        "text": piece.text,
    }
    for name, value in lines.items():
        if value:
            plain = printable(" ".join(value.split()))
            say(f"  {name:<7} {plain if len(plain) <= SHOWN_CHARS else plain[: SHOWN_CHARS - 3] + '...'}")
