"""How a version was made, and how to load it: the last sections of a card."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from pipeline.card.escape import code, fenced, number, size, table
from pipeline.manifest import Manifest, digest

SHOWN_INPUTS = 5
"""Slices of each source whose digests are shown; the digest of the list covers all."""


def making(manifest: Manifest) -> str:
    """Recipe, library versions, assets and inputs: what it takes to make the same bytes again."""
    libraries = [(code(name), code(v)) for name, v in sorted(manifest.libraries.items())]
    assets = [(code(name), code(v)) for name, v in sorted(manifest.assets.items())]
    parts = [
        "## How it was made",
        "With the recipe, these libraries, these assets and these inputs, the same bytes come out again, and so the "
        "same version.",
        _recipe(manifest),
        "### Libraries\n\n" + (table(("library", "version"), libraries) if libraries else "None."),
        "### Assets\n\n" + (table(("asset", "sha256"), assets) if assets else "None."),
        _inputs(manifest),
    ]
    return "\n\n".join(parts)


def _recipe(manifest: Manifest) -> str:
    """Folded away by GitHub and the Hub, since presets written out are long."""
    text = yaml.safe_dump(_plain(manifest.recipe), sort_keys=True, allow_unicode=False, width=100)
    block = fenced(text, "yaml")
    return (
        "### Recipe\n\nAs resolved: presets are written out, defaults filled in.\n\n"
        f"<details>\n<summary>Show the recipe</summary>\n\n{block}\n\n</details>"
    )


def _inputs(manifest: Manifest) -> str:
    """By source: how much was read, one digest over all of it, and the digests of the first slices."""
    by_source: dict[str, list[Mapping[str, Any]]] = {source: [] for source in manifest.sources}
    for entry in manifest.inputs:
        by_source.setdefault(str(entry.get("source", "")), []).append(entry)
    rows, slices, n_left = [], [], 0
    for source, entries in by_source.items():
        n_bytes = sum(int(entry.get("end", 0)) - int(entry.get("start", 0)) for entry in entries)
        files = number(len({entry.get("path") for entry in entries}))
        rows.append((code(source), files, number(len(entries)), size(n_bytes), code(digest(list(entries)))))
        slices += [_slice_row(entry) for entry in entries[:SHOWN_INPUTS]]
        n_left += max(0, len(entries) - SHOWN_INPUTS)
    note = (
        f"A slice is a range of bytes of a file as stored. The digest of a list is the sha256 of its entries under "
        f"{code('inputs')} in {code('manifest.json')}, as JSON with sorted keys and without spaces."
    )
    parts = ["### Inputs", note, table(("source", "files:", "slices:", "size:", "sha256 of the list"), rows)]
    if slices:
        parts.append(table(("source", "path", "bytes:", "sha256"), slices))
    if n_left:
        parts.append(f"{number(n_left)} more slices are in {code('manifest.json')}.")
    return "\n\n".join(parts)


def _slice_row(entry: Mapping[str, Any]) -> tuple[str, str, str, str]:
    start, end = entry.get("start"), entry.get("end")
    span = f"{number(start)} to {number(end)}" if isinstance(start, int) and isinstance(end, int) else "–"
    return code(entry.get("source", "")), code(entry.get("path", "")), span, code(entry.get("sha256") or "–")


def _plain(value: Any) -> Any:
    """`value` as JSON has it: tuples become lists, so that a manifest in memory and one read back give one card."""
    return json.loads(json.dumps(value))


def loading(manifest: Manifest, version: str) -> str:
    """Lines of code that read the version, and the commands that train on it and check it."""
    folder = f"datasets/{manifest.name}/{version}"
    parts = [
        "## How to load it",
        f"From the folder that holds {code('datasets')}; to publish it on the Hub, call this page "
        f"{code('README.md')} there. The documents, with Hugging Face Datasets, polars or pyarrow:",
        *(fenced(lines, "python") for lines in _documents(folder)),
    ]
    shards = sorted(f.path for f in manifest.files if f.kind == "shard")
    if shards:
        parts += [
            "Sequences of token ids, memory-mapped:",
            fenced(_shard(f"{folder}/{shards[0]}", _vocab(folder, manifest.tokenizer)), "python"),
            "Batches for training, mixed as above, as tensors:",
            fenced(_batches(folder), "python"),
            "Train on it, or check every file against the manifest:",
            fenced(f"pipeline train recipes/train/tiny.yaml --data {folder}\npipeline verify {folder}", "sh"),
        ]
    return "\n\n".join(parts)


def _quoted(text: str) -> str:
    """A string as Python and JSON write it alike."""
    return json.dumps(text)


def _documents(folder: str) -> tuple[str, ...]:
    files = f"{folder}/documents/*.parquet"
    return (
        f"""from datasets import load_dataset

documents = load_dataset("parquet", data_files={_quoted(files)}, split="train")
print(documents[0]["text"][:200])""",
        f"""import polars as pl

documents = pl.scan_parquet({_quoted(files)})
print(documents.group_by("source", "language").len().collect())""",
        f"""import pyarrow.dataset as ds

for batch in ds.dataset({_quoted(f"{folder}/documents")}).to_batches(columns=["url", "text"]):
    print(batch.num_rows)  # a RecordBatch at a time: constant memory""",
    )


def _vocab(folder: str, facts: Mapping[str, Any]) -> str:
    path = _quoted(f"{folder}/{facts.get('path', 'tokenizer/tokenizer.model')}")
    options = {name: _quoted(v) if isinstance(v, str) else repr(bool(v)) for name, v in facts.get("load", {}).items()}
    return ", ".join([f"Path({path})", *(f"{name}={value}" for name, value in options.items())])


def _shard(shard: str, tokenizer: str) -> str:
    return f"""from pathlib import Path

from pipeline.shards import open_shard
from pipeline.tokenizer import vocab

shard = open_shard({_quoted(shard)})
words = vocab.load({tokenizer})
print(len(shard), words.decode(shard.tokens(0))[:200])"""


def _batches(folder: str) -> str:
    return f"""from pathlib import Path

from training.data import Batches, Dataset

dataset = Dataset(Path({_quoted(folder)}))
batches = Batches(dataset, seed=0, context=dataset.seq_len)
batch, tokens_by_source = batches.at(position=0, n_sequences=2)
print(batch.tokens.shape, tokens_by_source)"""
