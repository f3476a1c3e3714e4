"""`pipeline init` and `pipeline schema` as a user meets them."""

import json
import os
from pathlib import Path

import jsonschema
import pytest
import sentencepiece
import yaml
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.config import ConfigError
from pipeline.recipe import SCHEMA_FILE, SCHEMA_LINE, load_recipe, schema
from pipeline.tokenizer.options import TokenizerOptions
from pipeline.tokenizer.train import train
from tests.small_dataset import article, planted_rows, run_pipeline


def pipeline(*arguments: str | Path, exit_code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert done.exit_code == exit_code, done.output
    return done.output


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with a table below `data`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in planted_rows()))
    return tmp_path


def test_a_folder_becomes_a_recipe_that_runs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = pipeline("init", "mine", "--from", "data")
    for words in (
        "JSON lines, 1 file",
        "text in 'text', url in 'url'",
        "languages: en",
        "Next: read it, then pipeline run",
    ):
        assert words in said
    text = (here / "mine.yaml").read_text()
    assert text.startswith(SCHEMA_LINE) and 'path: "data"' in text
    assert json.loads((here / SCHEMA_FILE).read_text()) == schema()
    done = run_pipeline("run", "mine.yaml", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "mine" in done.stdout and (here / "datasets" / "mine" / "latest").is_file()


def test_nothing_is_overwritten(here: Path) -> None:
    (here / "mine.yaml").write_text("kept")
    (here / "linked.yaml").symlink_to("nowhere")
    (here / SCHEMA_FILE).write_text("kept, too")
    assert "is here already" in pipeline("init", "mine", "--from", "data", exit_code=2)
    assert "is here already" in pipeline("init", "linked", exit_code=2)
    pipeline("init", "other")
    assert (here / "mine.yaml").read_text() == "kept" and (here / SCHEMA_FILE).read_text() == "kept, too"


def test_without_data_the_shipped_recipe_is_written_under_the_new_name(here: Path) -> None:
    assert "sample crawl" in pipeline("init", "first")
    made, shipped = load_recipe(here / "first.yaml"), load_recipe(Path("recipes/commoncrawl.yaml"))
    assert made == shipped.model_copy(update={"name": "first"})
    assert "pipeline run first.yaml" in (here / "first.yaml").read_text()


@pytest.mark.parametrize("name", ["Mine", "my data", "../x", "", "mine.YAML", "ä", "a\nb"])
def test_a_name_that_no_recipe_may_have_is_refused(here: Path, name: str) -> None:
    assert "is no name of a dataset" in pipeline("init", name, exit_code=2)
    assert not list(here.glob("*.yaml"))


def test_data_that_cannot_be_read_are_refused_and_nothing_is_written(here: Path) -> None:
    (here / "empty").mkdir()
    for path in ("nosuch", "empty"):
        assert "error: " in pipeline("init", "mine", "--from", path, exit_code=2)
    assert not list(here.glob("*.yaml"))


def test_what_a_name_of_a_file_or_column_holds_reaches_neither_terminal_nor_recipe(here: Path) -> None:
    evil = "x\nseed: 7\n# \x1b[31m"
    folder = here / "evil"
    folder.mkdir()
    rows = (json.dumps({evil: article(n)}) for n in range(5))
    (folder / f"{evil}.jsonl").write_text("\n".join(rows))
    (folder / f"{evil}.csv").write_text("a")
    said = pipeline("init", "mine", "--from", "evil")
    assert "\x1b" not in said
    text = (here / "mine.yaml").read_text()
    assert "\x1b" not in text and "\nseed: 7" not in text
    made = load_recipe(here / "mine.yaml")
    assert made.seed == 0
    assert [source.path for source in made.sources.values()] == [f"evil/{evil}.jsonl"]
    assert [source.text_column for source in made.sources.values()] == [evil]


def test_a_file_whose_name_is_no_utf8_is_told(here: Path) -> None:
    lines = "".join(json.dumps({"body": row["text"]}) + "\n" for row in planted_rows())
    (here / "data" / os.fsdecode(b"caf\xe9.jsonl")).write_text(lines)
    assert "its name is not UTF-8" in pipeline("init", "mine", "--from", "data")
    assert len(load_recipe(here / "mine.yaml").sources) == 1


# -- A tokenizer that is brought along ---------------------------------------------------------------------------------


def model(vocab_size: int = 600) -> bytes:
    import pyarrow as pa

    words = sorted({word for row in planted_rows() for word in row["text"].split()})
    table = pa.table({"word": [f" {word}" for word in words], "count": [3] * len(words)})
    return train(table, TokenizerOptions(vocab_size=vocab_size), 0).model


def test_a_tokenizer_is_taken_as_it_is_and_its_bytes_are_in_the_key(here: Path) -> None:
    (here / "mine.model").write_bytes(model())
    assert "600 pieces: mine.model" in pipeline("init", "mine", "--from", "data", "--tokenizer", "mine.model")
    pipeline("init", "first", "--tokenizer", "mine.model")
    assert load_recipe(here / "first.yaml").tokenizer.path == "mine.model"
    for number, vocab_size in enumerate((600, 600, 700)):
        (here / "mine.model").write_bytes(model(vocab_size))
        done = run_pipeline("run", "mine.yaml", "--workers", "1", "--quiet")
        assert done.returncode == 0, done.stderr
        found = sorted((here / "datasets" / "mine").glob("*/tokenizer/tokenizer.model"))
        assert len(found) == (1 if number < 2 else 2)
        assert model(vocab_size) in [path.read_bytes() for path in found]
        manifest = json.loads((here / "datasets" / "mine" / done.stdout.split()[-1] / "manifest.json").read_text())
        assert (manifest["tokenizer"]["type"], manifest["tokenizer"]["vocab_size"]) == ("file", vocab_size)


def test_a_tokenizer_of_another_kind_is_refused(here: Path) -> None:
    (here / "tokenizer.json").write_text('{"version": "1.0"}')
    (here / "broken.model").write_bytes(b"no model")
    (here / "lossy.model").write_bytes(lossy())
    for name, message in (
        (
            "tokenizer.json",
            "error: tokenizer.json: JSON without a `model`; expected the tokenizer.json of Hugging Face",
        ),
        ("broken.model", "not a sentencepiece model nor a tokenizer.json"),
        ("lossy.model", "error: lossy.model"),
        ("nosuch.model", "cannot be read"),
    ):
        assert message in pipeline("init", "mine", "--from", "data", "--tokenizer", name, exit_code=2)
    assert not list(here.glob("*.yaml"))


def lossy() -> bytes:
    """A model of sentencepiece's own settings, which change white space."""
    import io

    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([article(n) for n in range(20)]), model_writer=made, vocab_size=80, minloglevel=3
    )
    return made.getvalue()


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        ("{type: file}", "needs a path"),
        ("{path: a.model}", "path goes with"),
        ("{type: file, path: a.model, vocab_size: 700}", "vocab_size is of training"),
        ("{type: file, path: a.model, weights: {web: 1}}", "weights is of training"),
        ("{type: unigram, lossless: false}", "lossless goes with `type: file`; a tokenizer of type unigram is trained"),
        ("{eos: end}", "eos goes with"),
        ("{type: wordpiece, vocab_size: 517}", "vocab_size of wordpiece is above 517"),
        ("{type: wordpiece, indents: true}", "indents is of bpe and unigram"),
        ("{type: wordpiece, character_coverage: 1.0}", "character_coverage is of bpe and unigram"),
        ("{weights: {data: 0}}", "all weights are 0"),
        ("{weights: {date: 1}}", "no source is called 'date'"),
    ],
)
def test_fields_of_a_tokenizer_that_do_not_fit_are_refused(here: Path, tokenizer: str, message: str) -> None:
    pipeline("init", "mine", "--from", "data")
    with pytest.raises(ConfigError, match=message):
        load_recipe(here / "mine.yaml", [f"tokenizer={tokenizer}"])


# -- Schema ------------------------------------------------------------------------------------------------------------


def test_the_schema_that_ships_is_the_one_that_is_printed(repository: Path) -> None:
    """Renew it with `pipeline schema > recipes/recipe.schema.json`."""
    done = run_pipeline("schema")
    assert done.returncode == 0 and "Next: " in done.stderr
    assert (repository / "recipes" / SCHEMA_FILE).read_text() == done.stdout
    jsonschema.Draft202012Validator.check_schema(json.loads(done.stdout))


def test_shipped_recipes_name_the_schema_and_fit_it(repository: Path) -> None:
    checker = jsonschema.Draft202012Validator(schema())
    recipes = sorted((repository / "recipes").glob("*.yaml"))
    assert recipes
    for path in recipes:
        assert path.read_text().startswith(f"{SCHEMA_LINE}\n"), path
        assert list(checker.iter_errors(yaml.safe_load(path.read_text()))) == []


RIGHT = """\
name: a
sources:
  x: {type: tables, path: a.jsonl}
  y: {type: warc, path: a.warc}
steps:
  - {type: lines, rule: c4}
  - {type: preset, name: datatrove-0.10, override: {language_score: {min: 0.8}}}
  - {type: limit, name: short, measure: n_chars, min: 5}
tokenizer: {type: file, path: a.model}
keep: {dropped_text: true}
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("name: a", "name: A"),
        ("name: a", "title: a"),
        ("type: warc", "type: wark"),
        ("{type: warc, path: a.warc}", "{path: a.warc}"),
        ("{type: warc, path: a.warc}", "{type: warc, path: a.warc, text_column: b}"),
        ("  x: ", "  X: "),
        ("rule: c4", "rule: c5"),
        ("{type: limit, name: short", "{name: short"),
        ("measure: n_chars", "measure: n_char"),
        ("min: 5", "min: five"),
        ("min: 0.8", "minimum: 0.8"),
        ("dropped_text: true", "dropped_text: 3"),
        ("type: file", "type: words"),
        ("sources:", "seed: -1\nsources:"),
    ],
)
def test_schema_and_program_refuse_the_same(before: str, after: str, tmp_path: Path) -> None:
    checker = jsonschema.Draft202012Validator(schema())
    path = tmp_path / "a.yaml"
    path.write_text(RIGHT)
    load_recipe(path)
    assert checker.is_valid(yaml.safe_load(RIGHT))
    wrong = RIGHT.replace(before, after)
    assert wrong != RIGHT
    path.write_text(wrong)
    with pytest.raises(ConfigError):
        load_recipe(path)
    assert not checker.is_valid(yaml.safe_load(wrong))


def test_the_schema_has_words_defaults_and_bounds() -> None:
    made = schema()
    fields = made["$defs"]["PackingOptions"]["properties"]["seq_len"]
    assert fields["default"] == 1024 and fields["minimum"] == 16 and "Positions" in fields["description"]
    assert made["$schema"].endswith("2020-12/schema") and "discriminator" not in json.dumps(made)
