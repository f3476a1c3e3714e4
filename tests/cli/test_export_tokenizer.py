"""`pipeline export-tokenizer`: files that transformers loads and that give the same ids, or none."""

import json
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.manifest import load_manifest
from pipeline.tokenizer import vocab
from pipeline.tokenizer.export import compare, exported
from pipeline.tokenizer.options import TokenizerOptions
from pipeline.tokenizer.train import train
from tests.small_dataset import run_pipeline, write_small_recipe
from tests.tokenizer.conftest import TEXT, count_words
from tests.tokenizer.test_vocab import AWKWARD


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A version for each kind."""
    place = tmp_path_factory.mktemp("exported")
    recipe = write_small_recipe(place)
    found = {}
    for kind in ("bpe", "unigram", "wordpiece"):
        done = run_pipeline("run", recipe, "--output", place / "out", "--set", f"tokenizer.type={kind}")
        assert done.returncode == 0, done.stderr
        found[kind] = place / "out" / "small" / (place / "out" / "small" / "latest").read_text().strip()
    return found


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece"])
def test_transformers_loads_it_and_gives_the_same_ids(versions: dict[str, Path], kind: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    done = run_pipeline("export-tokenizer", versions[kind], tmp_path / "hf")
    assert done.returncode == 0, done.stdout + done.stderr
    described = load_manifest(versions[kind])
    n_documents = sum(described.counts["documents"].values())
    assert f"Ids are equal on all {n_documents} documents" in done.stdout
    ours = vocab.load(versions[kind] / described.tokenizer["path"])
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    texts = [*AWKWARD, "".join(random.Random(1).choices("<s>/[CLSPADMK] \u2581ab\n\t", k=5000))]
    texts += pq.read_table(versions[kind] / "documents" / "main-00000.parquet")["text"].to_pylist()
    for text in texts:
        ids = theirs(text, add_special_tokens=False)["input_ids"]
        assert ids == ours.encode([text])[0].tolist()
        assert theirs.decode(ids, clean_up_tokenization_spaces=False) == text
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == (ours.bos_id, ours.eos_id, ours.pad_id)
    assert len(theirs) == ours.vocab_size and theirs.model_max_length == 64
    with_marks = theirs("a mill")["input_ids"]
    assert with_marks[0] == ours.bos_id and (with_marks[-1] == ours.eos_id) is (kind == "wordpiece")
    if kind == "wordpiece":
        assert theirs.mask_token_id == 4 and theirs.cls_token_id == ours.bos_id


def test_another_id_refuses_the_export_and_shows_where() -> None:
    """Two pieces change places in the file that was made."""
    model = train(count_words(TEXT), TokenizerOptions(vocab_size=600), seed=0).model
    words = vocab.load(model)
    described = json.loads(exported(words, model, 64)["tokenizer.json"])
    pieces = described["model"]["vocab"]
    pieces[" mill"], pieces[" miller"] = pieces[" miller"], pieces[" mill"]
    found = compare(words, json.dumps(described), [[("document 7", "of the mill.")]])
    assert found.texts == 0 and "the spelling of a piece differs from id 0 on, near ' mill" in found.difference
    merges = exported(words, model, 64)["tokenizer.json"]
    assert compare(words, merges, [[("document 7", "of the mill.")]]).difference == ""


def test_indents_are_exported() -> None:
    model = train(count_words(TEXT), TokenizerOptions(vocab_size=600, indents=True), seed=0).model
    words = vocab.load(model)
    draw = random.Random(2)
    texts = ["".join(draw.choices(["\n", "\t", " ", "  ", "    ", "mill", "\u2581"], k=30)) for _ in range(500)]
    found = compare(words, exported(words, model, 64)["tokenizer.json"], [list(zip(texts, texts, strict=True))])
    assert (found.difference, found.texts) == ("", 500)


def test_a_document_that_differs_is_named(versions: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    words = vocab.load(versions["bpe"] / "tokenizer" / "tokenizer.model")
    files = exported(words, (versions["bpe"] / "tokenizer" / "tokenizer.model").read_bytes(), 64)
    encode = type(words).encode
    monkeypatch.setattr(type(words), "encode", lambda self, texts: encode(self, [t.replace("yz", "y") for t in texts]))
    found = compare(words, files["tokenizer.json"], [[("document 1", "x")], [("document 2", "the long bridge xyz.")]])
    assert (found.texts, found.utf8_bytes) == (1, 1)
    assert found.difference.startswith("document 2 differs from id ") and "near 'z.'" in found.difference


def test_a_folder_with_something_in_it_stays(versions: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("kept")
    done = run_pipeline("export-tokenizer", versions["bpe"], tmp_path)
    assert done.returncode == 2 and "name a new folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_a_part_of_the_documents_is_said_to_be_one(versions: dict[str, Path], tmp_path: Path) -> None:
    done = run_pipeline("export-tokenizer", versions["bpe"], tmp_path / "hf", "--documents", "10")
    assert done.returncode == 0 and "Ids are equal on the first 10 documents" in done.stdout


def test_models_that_change_text_are_not_converted() -> None:
    from tests.cli.test_start import lossy

    model = lossy()
    with pytest.raises(Exception, match="changes text before it encodes it"):
        exported(vocab.load(model, pad="</s>", lossless=False), model, 64)
