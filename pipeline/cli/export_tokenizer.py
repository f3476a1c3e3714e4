"""`pipeline export-tokenizer`."""

import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.console import plain_errors, relative, say
from pipeline.cli.versions import OutputFolder
from pipeline.config import ConfigError
from pipeline.manifest import Manifest, load_manifest
from pipeline.versions import find_version

if TYPE_CHECKING:
    from pipeline.tokenizer.export import Compared

BATCH_DOCUMENTS = 256


def export_tokenizer(
    version: Annotated[str, typer.Argument(help="A version, its first digits, a dataset's name, or a folder.")],
    to: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that is not there yet, or is empty.")],
    documents: Annotated[
        int | None, typer.Option(min=1, help="Compare the ids of that many documents only; without it, of all.")
    ] = None,
    output: OutputFolder = Path("datasets"),
) -> None:
    """Write a version's tokenizer for Hugging Face transformers, if it gives the same ids.

    Every document of the version is encoded by both, so this takes a second for each few megabytes of text.
    """
    with plain_errors():
        folder = find_version(version, output)
        if to.exists() and (not to.is_dir() or any(to.iterdir())):
            raise ConfigError([f"{to}: is there already and stays as it is; name a new folder"])
        files, found, n_pieces = compared_files(folder, load_manifest(folder).packing["seq_len"], documents)
        if found.difference:
            path = folder / load_manifest(folder).tokenizer["path"]
            say(f"Nothing was written: `tokenizers` does not give the same ids. {found.difference}.")
            say(f"{found.texts:,} documents before it agree. Next: vocab.load({str(path)!r}) of pipeline.tokenizer")
            raise typer.Exit(1)
        _write(files, to)
    of_all = "all" if documents is None else "the first"
    say(f"{relative(to)}: {', '.join(files)}. Ids are equal on {of_all} {found.texts:,} documents")
    say(f"({found.utf8_bytes:,} bytes of text), and on the spellings of all {n_pieces:,} pieces.")
    say(f"Next: transformers.AutoTokenizer.from_pretrained({shlex.quote(str(to))!r})")


def compared_files(folder: Path, max_length: int, documents: int | None) -> tuple[dict[str, str], "Compared", int]:
    """The files of the tokenizer of the version in `folder`, how they compare with it on that many of its documents
    (all if None), and how many pieces it has.

    Raises:
        ConfigError: if `tokenizers` cannot hold it.
    """
    from pipeline.tokenizer.export import ExportError, compare, exported
    from pipeline.tokenizer.vocab import VocabError, load

    described = load_manifest(folder)
    path = folder / described.tokenizer["path"]
    try:
        words = load(path, **described.tokenizer.get("load", {}))
        files = exported(words, path.read_bytes(), max_length)
    except (VocabError, ExportError) as error:
        raise ConfigError([f"{path}: {error}"]) from None
    found = compare(words, files["tokenizer.json"], _documents(folder, described, documents))
    return files, found, words.vocab_size


def _documents(folder: Path, described: Manifest, limit: int | None) -> Iterator[list[tuple[str, str]]]:
    """Names and texts of a version's documents, in the order of its files."""
    import pyarrow.parquet as pq

    left = limit
    for entry in described.files:
        if entry.kind != "documents" or left == 0:
            continue
        with pq.ParquetFile(folder / entry.path) as file:
            for batch in file.iter_batches(BATCH_DOCUMENTS, columns=["id", "text"]):
                batch = batch if left is None else batch.slice(0, left)
                left = None if left is None else left - batch.num_rows
                names = (f"document {key.hex()} of {entry.path}" for key in batch["id"].to_pylist())
                yield list(zip(names, batch["text"].to_pylist(), strict=True))


def _write(files: dict[str, str], to: Path) -> None:
    """The folder appears with all of its files, or not at all."""
    to.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".aside-", dir=to.parent))
    try:
        for name, content in files.items():
            (aside / name).write_text(content, encoding="utf-8")
        aside.chmod(0o755)
        if to.is_dir():
            to.rmdir()
        aside.rename(to)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
