"""How a version was made, and how to load it: the last sections of a card."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from pipeline.card.escape import code, fenced, number, size, table
from pipeline.manifest import Manifest

SHOWN_INPUTS = 20


def making(manifest: Manifest) -> str:
    """Recipe, library versions, assets and inputs: what it takes to make the same bytes again."""
    recipe = yaml.safe_dump(_plain(manifest.recipe), sort_keys=True, allow_unicode=False, width=100)
    libraries = [(code(name), code(v)) for name, v in sorted(manifest.libraries.items())]
    assets = [(code(name), code(v)) for name, v in sorted(manifest.assets.items())]
    inputs = [_input_row(entry) for entry in manifest.inputs[:SHOWN_INPUTS]]
    n_files = len({(entry.get("source"), entry.get("path")) for entry in manifest.inputs})
    n_bytes = sum(int(entry.get("end", 0)) - int(entry.get("start", 0)) for entry in manifest.inputs)
    read = f"{size(n_bytes)} were read, as stored; slices: {number(len(manifest.inputs))}, files: {number(n_files)}."
    shown = (
        f" The first {len(inputs)} slices are shown; the manifest lists all."
        if len(manifest.inputs) > len(inputs)
        else ""
    )
    parts = [
        "## How it was made",
        "### Recipe\n\n" + fenced(recipe, "yaml"),
        "### Libraries\n\n" + table(("library", "version"), libraries),
        "### Assets\n\n" + (table(("asset", "sha256"), assets) if assets else "None."),
        f"### Inputs\n\n{read}{shown}",
        table(("source", "path", "bytes:", "sha256"), inputs),
    ]
    return "\n\n".join(parts if inputs else parts[:-1])


def _input_row(entry: Mapping[str, Any]) -> tuple[str, str, str, str]:
    start, end = entry.get("start"), entry.get("end")
    span = f"{number(start)} to {number(end)}" if isinstance(start, int) and isinstance(end, int) else "–"
    return code(entry.get("source", "")), code(entry.get("path", "")), span, code(entry.get("sha256") or "–")


def _plain(value: Any) -> Any:
    """`value` as JSON has it: tuples become lists, so that a manifest in memory and one read back give one card."""
    return json.loads(json.dumps(value))


def loading(manifest: Manifest, version: str) -> str:
    """Lines of code that read the version, and the commands that train on it and check it."""
    folder = f"datasets/{manifest.name}/{version}"
    documents = f"""import polars as pl

documents = pl.scan_parquet({f"{folder}/documents/*.parquet"!r})
print(documents.select("source", "url", "text").head(3).collect())"""
    with_arrow = f"""import pyarrow.dataset as ds

for batch in ds.dataset({f"{folder}/documents"!r}).to_batches(columns=["text"]):
    ...  # a RecordBatch: constant memory"""
    parts = [
        "## How to load it",
        f"Documents, from the folder that holds {code('datasets')}:",
        fenced(documents, "python"),
        fenced(with_arrow, "python"),
    ]
    shards = sorted(f.path for f in manifest.files if f.kind == "shard")
    if shards:
        parts += [
            "Sequences of token ids, memory-mapped:",
            fenced(
                f"from pipeline.shards import open_shard\n\nshard = open_shard({f'{folder}/{shards[0]}'!r})\n"
                "print(len(shard), shard.tokens(0), shard.lengths(0))",
                "python",
            ),
            "Train on it, or check every file against the manifest:",
            fenced(f"pipeline train recipes/train/tiny.yaml --data {folder}\npipeline verify {folder}", "sh"),
        ]
    return "\n\n".join(parts)
