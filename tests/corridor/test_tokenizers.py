"""Tokenizers from recipe to shards and card: every kind, weights of their own, files of others."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline.look.whole import whole_documents
from pipeline.manifest import Manifest, load_manifest
from pipeline.tokenizer import vocab
from tests.small_dataset import run_pipeline, write_small_recipe
from tests.tokenizer.conftest import TEXT, byte_level


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizers")
    write_small_recipe(folder)
    return folder


def build(place: Path, *settings: str) -> tuple[Path, Manifest]:
    settings = ("packing.seq_len=4096", "packing.validation_share=0.5", "mixture={}", *settings)
    options = [word for setting in settings for word in ("--set", setting)]
    done = run_pipeline("run", place / "recipe.yaml", "--output", place / "out", "--workers", "1", *options)
    assert done.returncode == 0, done.stderr
    folder = place / "out" / "small" / (place / "out" / "small" / "latest").read_text().strip()
    return folder, load_manifest(folder)


def opened(folder: Path, described: Manifest) -> vocab.Vocab:
    return vocab.load(folder / described.tokenizer["path"], **described.tokenizer.get("load", {}))


def packed(folder: Path, described: Manifest, split: str) -> Iterator[np.ndarray]:
    """The ids of each document in the shards of a split."""
    for cell in sorted({file.cell for file in described.files if (file.kind, file.split) == ("shard", split)}):
        for documents in whole_documents(folder, described, cell, split):
            yield from np.split(documents.tokens, documents.offsets[1:-1])


def holds_the_documents(folder: Path, described: Manifest) -> None:
    """The shards decode to the text of the documents, and the card's unused pieces are those that they do not use."""
    words = opened(folder, described)
    texts = pl.read_parquet(folder / "documents" / "*.parquet")["text"].to_list()
    found = [ids for split in ("train", "validation") for ids in packed(folder, described, split)]
    assert all(ids[0] == words.bos_id and ids[-1] == words.eos_id for ids in found)
    assert sorted(map(words.decode, found)) == sorted(texts)
    used = {i for ids in packed(folder, described, "train") for i in ids.tolist()}
    marks = {words.unk_id, words.bos_id, words.eos_id, words.pad_id}
    unused = set(range(words.vocab_size)) - used - marks
    assert described.tokenizer["unused_pieces"] == len(unused)
    assert f"| pieces that no training token is | {len(unused)} |" in (folder / "card.md").read_text()


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece"])
def test_every_kind_gives_the_documents_back(place: Path, kind: str) -> None:
    folder, described = build(place, f"tokenizer.type={kind}")
    assert described.tokenizer["path"] == f"tokenizer/tokenizer.{'json' if kind == 'wordpiece' else 'model'}"
    assert (described.tokenizer["type"], described.tokenizer["lossless"]) == (kind, True)
    holds_the_documents(folder, described)
    assert run_pipeline("verify", folder).returncode == 0


def test_a_tokenizer_json_with_named_marks(place: Path) -> None:
    (place / "gpt.json").write_text(byte_level(TEXT))
    file = ("tokenizer.vocab_size=16384", "tokenizer.type=file", f"tokenizer.path={place / 'gpt.json'}")
    done = run_pipeline("run", place / "recipe.yaml", *(w for s in file for w in ("--set", s)))
    assert done.returncode == 2
    assert "set tokenizer.bos in the recipe. It has: '<|endoftext|>'" in done.stderr
    folder, described = build(place, *file, "tokenizer.bos=<|endoftext|>")
    assert (folder / "tokenizer" / "tokenizer.json").read_text() == byte_level(TEXT)
    assert described.tokenizer["load"] == {"bos": "<|endoftext|>"}
    holds_the_documents(folder, described)
    assert 'bos="<|endoftext|>"' in (folder / "card.md").read_text()


def test_a_tokenizer_that_loses_text_is_labelled(place: Path) -> None:
    from tests.tokenizer.test_json_vocab import bert_like

    (place / "bert.json").write_text(bert_like())
    file = ("tokenizer.vocab_size=16384", "tokenizer.type=file", f"tokenizer.path={place / 'bert.json'}")
    folder, described = build(place, *file, "tokenizer.lossless=false")
    documents = sum(described.counts["documents"].values())
    assert sum(described.counts["changed_documents"].values()) == documents
    assert f"{documents} of {documents} documents are not what was encoded" in (folder / "card.md").read_text()


def trained(place: Path) -> list[str]:
    return sorted(path.name for path in (place / "out" / "small" / "work" / "tokenizer").iterdir())


def test_weights_train_and_the_mixture_does_not(place: Path) -> None:
    _, plain = build(place)
    before = trained(place)
    _, mixed = build(place, "mixture={weights: {main: 1}}")
    assert trained(place) == before and mixed.tokenizer == plain.tokenizer
    _, extra = build(place, "tokenizer.weights={extra: 1}")
    assert len(trained(place)) == len(before) + 1
    assert extra.tokenizer["word_occurrences"] < plain.tokenizer["word_occurrences"]
    _, both = build(place, "tokenizer.weights={extra: 1, main: 3}")
    assert both.tokenizer["word_occurrences"] == plain.tokenizer["word_occurrences"]
    assert len({m.tokenizer["fingerprint"] for m in (plain, extra, both)}) == 3
    done = run_pipeline("run", place / "recipe.yaml", "--set", "tokenizer.weights={extr: 1}")
    assert done.returncode == 2 and "did you mean extra?" in done.stderr


def test_the_cut_of_the_input_changes_no_piece(place: Path) -> None:
    """One Part a file, or all in one."""
    _, plain = build(place, "tokenizer.weights={extra: 1, main: 3}")
    merged = place / "data" / "rows-all.jsonl"
    merged.write_text("".join(path.read_text() for path in sorted((place / "data").glob("rows-?.jsonl"))))
    _, whole = build(place, "tokenizer.weights={extra: 1, main: 3}", f"sources.main.path={merged}")
    other = {"unused_pieces", "unused_byte_pieces"}  # ids of documents, and so what is held out, go by file
    of_both = [{k: v for k, v in m.tokenizer.items() if k not in other} for m in (plain, whole)]
    assert of_both[0] == of_both[1]
