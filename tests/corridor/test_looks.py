"""The looks at a page before it is extracted: what they drop, and that the same documents come out without them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline import stages
from pipeline.config import ConfigError
from pipeline.files import PartStore
from pipeline.plan import make_plan
from pipeline.recipe import Recipe, load_recipe
from pipeline.run.task import run_part
from tests.sources.warc_writer import http, warc_record

LOOKS = [{"measure": "language", "one_of": ["en"]}, {"measure": "n_words", "min": 50}]
LIMITS = [
    {"type": "limit", "name": "language", "measure": "language", "one_of": ["en"]},
    {"type": "limit", "name": "too_short", "measure": "n_words", "min": 50},
]


def decided(recipe: dict[str, Any], folder: Path) -> dict[str, str]:
    """URL -> reason or fate of each record, "" if it passes Judge."""
    checked = Recipe.model_validate_json(json.dumps({"name": "looks", **recipe}))
    plan, store = make_plan(checked), PartStore(str(folder))
    for stage in ("extract", "measure", "judge"):
        for part in plan.stages[stage]:
            run_part(checked, part, store)
    found = {}
    for part in plan.stages["judge"]:
        fates = store.table("extract", part.work["extract"], "fates.parquet").to_pylist()
        documents = store.table("extract", part.work["extract"], "documents.parquet").to_pylist()
        reasons = store.table("judge", part.key, "decisions.parquet")["drop_reason"].to_pylist()
        found |= {row["url"]: row["fate"] for row in fates}
        found |= {row["url"]: reason for row, reason in zip(documents, reasons, strict=True)}
    return found


def archive(folder: Path, pages: dict[str, str]) -> dict[str, Any]:
    """Sources that read the pages from a WARC file."""
    records = [warc_record(http(page.encode()), f"http://{name}.example/") for name, page in pages.items()]
    (folder / "a.warc").write_bytes(b"".join(records))
    return {"web": {"type": "warc", "path": str(folder / "a.warc")}}


def page(text: str) -> str:
    return f"<html><head><title>t</title></head><body><article><p>{text}</p></article></body></html>"


ENGLISH = "The mill at the river has been grinding grain for two hundred years, and its stones still turn. " * 10
GERMAN = "Die Mühle am Fluss mahlt seit zweihundert Jahren Korn, und ihre Steine drehen sich noch immer. " * 10


def test_each_look_has_its_fate(tmp_path: Path) -> None:
    sources = archive(
        tmp_path,
        {
            "good": page(ENGLISH),
            "german": page(GERMAN),
            "short": page("The mill at the river turns."),
            "blank": page(""),
            "small": "<p>a</p>",
            "tags": page("<b>a</b>" * 600),
            "deep": page("<div>" * 200 + ENGLISH),
        },
    )
    extract = {"looks": LOOKS, "min_page_bytes": 20, "max_tags": 500, "max_depth": 100}
    assert decided({"sources": sources, "extract": extract, "steps": LIMITS}, tmp_path / "out") == {
        "http://good.example/": "",
        "http://german.example/": "look_language",
        "http://short.example/": "look_n_words",
        "http://blank.example/": "no_text",
        "http://small.example/": "page_too_small",
        "http://tags.example/": "page_too_many_tags",
        "http://deep.example/": "page_too_deep",
    }


def test_the_batch_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = archive(tmp_path, {f"p{n}": page((ENGLISH, GERMAN, "Short.")[n % 3] + str(n)) for n in range(20)})
    recipe = {"sources": sources, "extract": {"looks": LOOKS}, "steps": LIMITS}
    whole = decided(recipe, tmp_path / "whole")
    monkeypatch.setattr(stages, "BATCH_RECORDS", 3)
    assert decided(recipe, tmp_path / "cut") == whole
    assert Counter(whole.values()) == {"": 7, "look_language": 7, "look_n_words": 6}


def test_survivors_of_the_shipped_recipe_are_those_without_looks(tmp_path: Path, repository: Path) -> None:
    shipped = load_recipe(repository / "recipes" / "commoncrawl.yaml")
    steps = [step.model_dump(mode="json", by_alias=True, exclude_unset=True) for step in shipped.steps[:1]]
    looks = [look.model_dump(mode="json", exclude_unset=True) for look in shipped.extract.bounds]
    recipe = {"sources": {"web": {"type": "commoncrawl", "snapshot": "sample"}}, "steps": steps}
    on = decided({**recipe, "extract": {"looks": looks}}, tmp_path / "on")
    off = decided({**recipe, "extract": {"looks": "off"}}, tmp_path / "off")
    assert looks and any(reason.startswith("look_") for reason in on.values())
    assert {url for url, reason in on.items() if not reason} == {url for url, reason in off.items() if not reason}
    assert on.keys() == off.keys()


RECIPE = """\
name: a
sources:
  web: {type: commoncrawl, snapshot: sample}
  notes: {type: tables, path: notes}
extract:
  looks:
    - {measure: n_words, min: 50}
    - {measure: mean_word_length, max: 12}
    - {measure: language, one_of: [en]}
steps:
"""
GOOD = """\
  - {type: limit, name: short, measure: kept_n_words, min: 60}
  - {type: limit, name: long_words, measure: mean_word_length, max: 10, where: {source: [web]}}
  - {type: limit, name: english, measure: language, one_of: [en]}
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", ""),
        ("min: 60", "min: 40", "looks.0: the look at n_words (min 50) drops pages of web that the Limits on it would "
         "keep: short (min 40); loosen the look, or give web a Limit on n_words that is at least as strict"),
        ("max: 10,", "max: 15,", "looks.1: the look at mean_word_length (max 12)"),
        ("measure: mean_word_length, max", "measure: kept_mean_word_length, max", "would keep: none;"),
        ("source: [web]", "source: [notes]", "looks.1: "),
        ("one_of: [en]}\n", "one_of: [en, de]}\n", "english (one_of en, de)"),
        ("min: 60", "min: 60, where: {language: [en]}", "looks.0: "),
    ],
)  # fmt: skip
def test_a_limit_looser_than_its_look_is_refused_with_both_names(tmp_path: Path, old: str, new: str, said: str) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE + GOOD.replace(old, new) if old else RECIPE + GOOD)
    if not said:
        load_recipe(tmp_path / "r.yaml")
        return
    with pytest.raises(ConfigError) as error:
        load_recipe(tmp_path / "r.yaml")
    assert said in str(error.value)
