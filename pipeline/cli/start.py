"""`pipeline init` and `pipeline schema`."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.assets import AssetError
from pipeline.cli.console import VerboseOption, plain_errors, say
from pipeline.config import ConfigError, locate, read_text
from pipeline.recipe import SCHEMA_FILE, Recipe, load_recipe, schema

if TYPE_CHECKING:
    from pipeline.starter.compose import Entry
    from pipeline.starter.lots import Group
    from pipeline.starter.sample import Sample

SAMPLE_RECIPE = Path("recipes/commoncrawl.yaml")


def schema_command() -> None:
    """Print the JSON Schema of a recipe, for editors."""
    typer.echo(_schema_text(), nl=False)
    typer.echo(f"Next: pipeline schema > {SCHEMA_FILE}, beside your recipe, whose first line names it.", err=True)


def init(
    name: Annotated[str, typer.Argument(help="Name of the dataset; the recipe is written to NAME.yaml.")],
    data: Annotated[
        str | None, typer.Option("--from", metavar="PATH", help="A folder or file to look at; or its fsspec URL.")
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A sentencepiece model or a tokenizer.json to use instead of training one."),
    ] = None,
    verbose: VerboseOption = False,
) -> None:
    """Write a recipe for your data, or for the sample crawl.

    It runs as it stands, and each guess that was made is in a comment.
    """
    with plain_errors(verbose):
        target = _target(name)
        said = [] if tokenizer is None else [_check_tokenizer(tokenizer)]
        text, found = _on_the_sample(name, tokenizer) if data is None else _on_data(name, data, tokenizer or "")
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
        load_recipe(target)
        beside = Path(SCHEMA_FILE)
        with_schema = "" if beside.exists() else f" and {beside}, by which editors check it"
        if with_schema:
            beside.write_text(_schema_text(), encoding="utf-8")
        say("\n".join([*said, *found, "", f"Wrote {target}{with_schema}.", ""]))
        say(f"Next: read it, then pipeline run {target}")


def _target(name: str) -> Path:
    pattern = next(m.pattern for m in Recipe.model_fields["name"].metadata if hasattr(m, "pattern"))
    if not re.fullmatch(pattern, name):
        near = re.sub(r"[^a-z0-9._-]+", "-", name.lower().removesuffix(".yaml")).strip("-._")[:64]
        hint = f", such as {near}" if near else ""
        rule = "use a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"
        raise ConfigError([f"{name!r} is no name of a dataset; {rule}{hint}"])
    target = Path(f"{name}.yaml")
    if target.exists() or target.is_symlink():
        raise ConfigError([f"{target} is here already and stays as it is; choose another name, or remove it first"])
    return target


def _check_tokenizer(path: str) -> str:
    """What the model at `path` is, in a line."""
    from pipeline.tokenizer import vocab
    from pipeline.tokenizer.given import read_model

    try:
        found = vocab.load(read_model(path), origin=path)
    except vocab.VocabError as error:
        raise ConfigError([str(error)]) from None
    return f"{'tokenizer':<12} {found.vocab_size:,} pieces: {path}"


def _on_the_sample(name: str, tokenizer: str | None) -> tuple[str, list[str]]:
    """The shipped recipe under another name, and a line about it."""
    text = read_text(locate(SAMPLE_RECIPE)[0])
    text = re.sub(r"^name: .*$", f"name: {name}", text, count=1, flags=re.MULTILINE)
    text = text.replace(str(SAMPLE_RECIPE), f"{name}.yaml")
    if tokenizer is not None:
        from pipeline.starter.compose import quoted

        given = f"tokenizer:\n  type: file\n  path: {quoted(tokenizer)}\n"
        text = re.sub(r"^tokenizer:\n(?:  .*\n)+", lambda _: given, text, count=1, flags=re.MULTILINE)
    return text, ["A recipe on the sample crawl; `--from FOLDER` looks at your own data instead."]


def _on_data(name: str, data: str, tokenizer: str) -> tuple[str, list[str]]:
    """The recipe on what lies at `data`, and lines about what was found."""
    from pipeline.starter.compose import entries, recipe
    from pipeline.starter.lots import find, shown

    found = find(data)
    listed = entries(found.groups, _samples(found.groups))
    said = [line for entry in listed for line in _about(entry)]
    said += [f"not read: {shown(sentence)}" for sentence in found.left_out]
    return recipe(name, data, listed, found.left_out, tokenizer), said


def _samples(groups: "Sequence[Group]") -> "list[Sample]":
    """A sample of each group; without languages where the model cannot be had."""
    from pipeline.starter.sample import sample
    from pipeline.steps.language import LanguageId

    try:
        languages: LanguageId | None = LanguageId()
        return [sample(group, languages) for group in groups]
    except AssetError as error:
        typer.echo(f"warning: languages are not identified: {error}", err=True)
        return [sample(group, None) for group in groups]


def _about(entry: "Entry") -> Iterator[str]:
    from pipeline.card.escape import size
    from pipeline.starter.compose import sample_in_words
    from pipeline.starter.lots import KIND_WORDS, shown

    group = entry.group
    n_files = len(group.files)
    what = f"{KIND_WORDS[group.kind]}, {n_files:,} file{'s' * (n_files != 1)}, {size(group.n_bytes)}"
    yield f"{entry.name:<12} {what}: {shown(group.path)}"
    if group.columns is not None:
        fields = ("text", "url", "title", "date", "licence")
        named = ((field, getattr(group.columns, field)) for field in fields)
        yield f"{'':<12} columns: {', '.join(f'{field} in {shown(column)!r}' for field, column in named if column)}"
    yield f"{'':<12} {sample_in_words(entry)}"


def _schema_text() -> str:
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
