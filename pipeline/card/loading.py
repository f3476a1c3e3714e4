"""How to load a version, and how to cite it: the last sections of a card."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.card.escape import code, fenced
from pipeline.card.funnel import count
from pipeline.manifest import Manifest


def loading(manifest: Manifest, version: str, published: bool) -> str:
    """Lines of code that read the version, or what was `published` of it, and commands that train on it."""
    folder = "." if published else f"datasets/{manifest.name}/{version}"
    place = "a copy of this folder" if published else f"the folder that holds {code('datasets')}"
    documents = PUBLISHED if published else _documents(folder)
    parts = [
        "## How to load it",
        f"In {place}. The documents, with Hugging Face Datasets, polars or pyarrow:",
        *(fenced(lines, "python") for lines in documents),
    ]
    verify = "" if published else f"\npipeline verify {folder}"
    shards = sorted(f.path for f in manifest.files if f.kind == "shard")
    if shards:
        parts += [
            "Sequences of token ids, memory-mapped:",
            fenced(_shard(f"{folder}/{shards[0]}", _vocab(folder, manifest.tokenizer)), "python"),
            "Batches for training, mixed as above, as tensors:",
            fenced(_batches(folder), "python"),
            "Train on it:" if published else "Train on it, or check every file against the manifest:",
            fenced(f"pipeline train recipes/train/tiny.yaml --data {folder}{verify}", "sh"),
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


PUBLISHED = (
    """from pathlib import Path

from datasets import load_dataset

documents = load_dataset(str(Path.cwd()))  # or the name of the repository
print(documents["train"][0]["text"][:200])""",
    """import polars as pl

documents = pl.scan_parquet("data/train/*.parquet")
print(documents.group_by("source", "language").len().collect())""",
    """import pyarrow.dataset as ds

for batch in ds.dataset("data/train").to_batches(columns=["url", "text"]):
    print(batch.num_rows)  # a RecordBatch at a time: constant memory""",
)
"""Of a published version, from within its folder."""


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


def citation(manifest: Manifest, version: str) -> str:
    """The section `Citation`."""
    note = "A version is known by its digits: who has them can check every byte."
    return f"## Citation\n\n{note}\n\n{fenced(bibtex(manifest, version), 'bibtex')}"


def bibtex(manifest: Manifest, version: str) -> str:
    """An entry for BibTeX. A dataset's name has no character that means anything there."""
    documents = sum(count(manifest, "documents", source) for source in manifest.sources)
    return f"""@misc{{{manifest.name}-{version},
  title = {{{manifest.name}, version {version}}},
  note = {{A dataset of {documents} documents, made with Gristmill}}
}}"""
