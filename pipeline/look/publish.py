"""A version as a folder for others: documents by split, card, Croissant, tokenizer, shards; and its way to the Hub.

docs/cards.md describes the folder.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.card.cost import FILE as COST
from pipeline.card.croissant import FILE as CROISSANT
from pipeline.card.croissant import Table, croissant, tables_of
from pipeline.card.markdown import MARKDOWN, cards
from pipeline.config import ConfigError
from pipeline.files import DamagedError, Folder, sha256_of_file
from pipeline.look.aside import new_folder
from pipeline.look.export import SPLITS, TEXT_COLUMNS, Progress, write_texts
from pipeline.manifest import DataFile, Manifest, load_manifest
from pipeline.versions import MANIFEST

TEXTS = "data"
README = "README.md"
LINKED = ("decisions", "shard", "tokenizer")
"""Kinds of files that are published as they are. Signatures serve later runs only, and dropped texts were dropped."""

SCHEMA = pa.schema([pa.field(name, pa.string()) for name in ("id", *TEXT_COLUMNS)])
"""Of the documents, as `write_texts` has them."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a folder holds: documents by split, and its files with sizes in bytes."""

    documents: dict[str, int]
    files: dict[str, int]


def publish(folder: Path, to: Path, progress: Progress) -> Published:
    """Write what is published of a version on a local disk to the new folder `to`.

    Raises:
        ConfigError: `to` is there already, or being written.
        DamagedError: a file of the version is not what the manifest says.
        ManifestError: for a damaged manifest.
    """
    described = load_manifest(folder)
    with new_folder(to, "--to") as aside:
        (aside / TEXTS).mkdir()
        written = write_texts(folder, described, aside / TEXTS, SPLITS, False, progress)
        documents = {split: sum(one.documents for one in written if one.split == split) for split in SPLITS}
        files = _texts(aside)
        for file in (file for file in described.files if file.kind in LINKED):
            Folder(str(aside)).link(Folder(str(folder)), file.path, file.path)
            if sha256_of_file(aside / file.path) != file.sha256:
                raise DamagedError(f"{folder / file.path}: not what the manifest says; pipeline verify {folder}")
            files.append(file)
        for name, data in _renderings(folder, described, files).items():
            path = aside / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        sizes = {str(p.relative_to(aside)): p.stat().st_size for p in sorted(aside.rglob("*")) if p.is_file()}
    return Published({split: n for split, n in documents.items() if n}, sizes)


def _texts(aside: Path) -> list[DataFile]:
    """The files of documents, as a manifest has files."""
    found = []
    for path in sorted((aside / TEXTS).glob("*/*.parquet")):
        rows = pq.read_metadata(path).num_rows
        name = str(path.relative_to(aside))
        found.append(DataFile(name, "text", sha256_of_file(path), path.stat().st_size, rows, split=path.parent.name))
    return found


def _renderings(folder: Path, described: Manifest, files: Sequence[DataFile]) -> dict[str, bytes]:
    """Manifest, card and Croissant of `files`, by path."""
    path = folder / COST
    spent = json.loads(path.read_bytes()) if path.is_file() else []
    tables = [
        Table(s, f"{TEXTS}/{s}/*.parquet", SCHEMA)
        for s in SPLITS
        if any(f.split == s and f.kind == "text" for f in files)
    ]
    tables += [table for table in tables_of(files) if table.name == "decisions"]
    found = cards(described, described.version, spent, published=True)
    found[README] = found.pop(MARKDOWN)
    found[CROISSANT] = croissant(described, described.version, files, tables)
    return {**found, MANIFEST: (folder / MANIFEST).read_bytes()}


def check(folder: Path, version: str) -> None:
    """See whether a published folder holds just this version.

    Raises:
        ConfigError: it does not, or a file is not what its `croissant.json` says.
    """
    try:
        value = json.loads((folder / CROISSANT).read_bytes())
        wrong = [] if value["version"] == version else [f"its version is {value['version']}, not {version}"]
        files = [entry for entry in value["distribution"] if "sha256" in entry]
        wrong += [f"{e['@id']} was changed" for e in files if sha256_of_file(folder / e["contentUrl"]) != e["sha256"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        wrong = [f"is no published version ({type(error).__name__}: {error})"]
    if wrong:
        raise ConfigError([f"--to {folder}: {wrong[0]}; remove it, or name a folder that is not there"])


def upload(folder: Path, repository: str, version: str) -> str:
    """Put a published folder into a dataset repository of the Hugging Face Hub, which is made, private, if it is not
    there; files of an earlier version go in the same commit. Returns the repository's address.

    Raises:
        ConfigError: the package is missing.
        OSError: the Hub or the network said no.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise ConfigError(["--upload: needs huggingface_hub; pip install 'gristmill[publish]'"]) from None
    api = HfApi()
    try:
        address = api.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            repo_type="dataset",
            commit_message=f"Version {version}",
            delete_patterns=[f"{name}/**" for name in (TEXTS, "decisions", "shards", "tokenizer", "plots")],
        )
    except Exception as error:  # of the network, of the Hub, of its names: their classes have no common base
        raise OSError(f"--upload {repository}: {error}. {folder} is whole: the same command tries again") from error
    return str(address)
