# ruff: noqa: E501
"""What a person reads when the parts of a recipe do not fit together, and that the shipped recipes do."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import ConfigError, dump
from pipeline.recipe import Recipe, load_recipe
from pipeline.steps.language_codes import LID_176

GOOD = "name: d\nsources:\n  web: {type: commoncrawl, snapshot: sample}\n"
STEPS = GOOD + "steps:\n"

CASES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "source in where, a name is near": (
        STEPS + "  - {type: lines, rule: c4, where: {source: [wbe]}}\n",
        (),
        ("r.yaml:5:46: steps.0.where.source.0: no source is called 'wbe'; did you mean web?",),
    ),
    "source in where, no name is near": (
        STEPS + "  - {type: preset, name: datatrove-0.10, where: {source: [web, books]}}\n",
        (),
        ("r.yaml:5:64: steps.0.where.source.1: no source is called 'books'; there are: web",),
    ),
    "language in where": (
        STEPS + "  - {type: lines, rule: c4, where: {language: [english]}}\n",
        (),
        ("r.yaml:5:48: steps.0.where.language.0: no language code is called 'english'",),
    ),
    "language of a limit": (
        STEPS + "  - {type: limit, name: a, measure: language, one_of: [en, eng]}\n",
        (),
        ("r.yaml:5:60: steps.0.one_of.1: no language code is called 'eng'; did you mean en?",),
    ),
    "source's name": (
        "name: d\nsources:\n  My Web: {type: commoncrawl, snapshot: sample}\n",
        (),
        ("r.yaml:3:3: sources.My Web: as a key expected text (matching ^[a-z0-9][a-z0-9_-]{0,63}$), found 'My Web'",),
    ),
    "source's name leads out of the folder": (
        "name: d\nsources:\n  ../web: {type: commoncrawl, snapshot: sample}\n",
        (),
        ("r.yaml:3:3: sources.../web: as a key expected text (matching ^[a-z0-9][a-z0-9_-]{0,63}$), found '../web'",),
    ),
    "dataset's name leads out of the folder": (
        "name: ../d\nsources:\n  web: {type: commoncrawl, snapshot: sample}\n",
        (),
        ("r.yaml:1:7: name: expected text (matching ^[a-z0-9][a-z0-9._-]{0,63}$), found the text '../d'",),
    ),
    "snapshot": (
        GOOD,
        ("sources.web.snapshot=CC-MAIN-2026",),
        (
            r"--set sources.web.snapshot=CC-MAIN-2026: sources.web.snapshot: expected text (matching ^(sample|CC-MAIN-\d{4}-\d{2})$), found the text 'CC-MAIN-2026'",
        ),
    ),
    "weight of no source": (
        GOOD + "mixture: {weights: {web: 1, wbe: 2}}\n",
        (),
        ("r.yaml:4:34: mixture.weights.wbe: no source is called 'wbe'; did you mean web?",),
    ),
    "weight of no source, by option": (
        GOOD + "mixture: {weights: {web: 1}}\n",
        ("mixture.weights.code=1",),
        ("--set mixture.weights.code=1: mixture.weights.code: no source is called 'code'; there are: web",),
    ),
    "negative weight": (
        GOOD + "mixture: {weights: {web: -1}}\n",
        (),
        ("r.yaml:4:26: mixture.weights.web: expected a number (>= 0), found the number -1",),
    ),
    "weights all 0": (
        GOOD + "mixture: {weights: {web: 0}}\n",
        (),
        (
            "r.yaml:4:11: mixture.weights: all weights are 0; give at least one source a weight above 0, or no weights at all",
        ),
    ),
    "measure": (
        STEPS + "  - {type: limit, name: a, measure: n_wrods, min: 1}\n",
        (),
        ("r.yaml:5:5: steps.0: unknown measure 'n_wrods'; did you mean 'n_words'?",),
    ),
    "measure that is a word": (
        STEPS + "  - {type: limit, name: a, measure: language, min: 1}\n",
        (),
        ("r.yaml:5:5: steps.0: language is a word: give one_of, and neither min nor max",),
    ),
    "measure that is a number": (
        STEPS + "  - {type: limit, name: a, measure: n_words, one_of: [a]}\n",
        (),
        ("r.yaml:5:5: steps.0: n_words is a number: give min or max, and not one_of",),
    ),
    "nothing passes": (
        STEPS + "  - {type: limit, name: a, measure: n_words, min: 2, max: 2, exclusive: true}\n",
        (),
        ("r.yaml:5:73: steps.0.exclusive: min and max are both 2 and excluded: no document would pass",),
    ),
    "reason twice": (
        STEPS
        + "  - {type: limit, name: a, measure: n_words, min: 2}\n"
        + "  - {type: limit, name: a, measure: n_chars, min: 2, where: {source: [web]}}\n",
        (),
        ("r.yaml:6:25: steps.1.name: steps.0 has a limit called a, too, for the same documents; rename one",),
    ),
    "reason of a preset": (
        STEPS
        + "  - {type: preset, name: datatrove-0.10}\n"
        + "  - {type: limit, name: gopher_stop_words, measure: n_words, min: 2}\n",
        (),
        (
            "r.yaml:6:25: steps.1.name: steps.0 has a limit called gopher_stop_words, too, for the same documents; rename one",
        ),
    ),
    "reason of deduplication": (
        STEPS + "  - {type: limit, name: near_duplicate, measure: n_words, min: 2}\n",
        (),
        ("r.yaml:5:25: steps.0.name: the name near_duplicate is kept for deduplication; choose another",),
    ),
    "preset": (
        STEPS + "  - {type: preset, name: datatrove}\n",
        (),
        (
            "r.yaml:5:26: steps.0.name: expected datatrove-0.10, found the text 'datatrove'; did you mean datatrove-0.10?",
        ),
    ),
    "override of no limit": (
        STEPS
        + "  - type: preset\n    name: datatrove-0.10\n    override:\n"
        + "      gopher_stopwords: {min: 1}\n      c4_sentences: {min: 3}\n",
        (),
        (
            "r.yaml:8:7: steps.0.override.gopher_stopwords: preset 'datatrove-0.10' has no limit 'gopher_stopwords' to override; did you mean 'gopher_stop_words'?",
        ),
    ),
    "override of no field": (
        STEPS + "  - {type: preset, name: datatrove-0.10, override: {c4_sentences: {mni: 1}}}\n",
        (),
        (
            "r.yaml:5:53: steps.0.override.c4_sentences: override of 'c4_sentences': mni: Extra inputs are not permitted",
        ),
    ),
    "several at once": (
        STEPS + "  - {type: lines, rule: c4, where: {source: [wbe]}}\nmixture: {weights: {wbe: 2}}\n",
        ("steps.0.where.language=[xx]",),
        (
            "r.yaml:5:46: steps.0.where.source.0: no source is called 'wbe'; did you mean web?",
            "r.yaml:6:26: mixture.weights.wbe: no source is called 'wbe'; did you mean web?",
            "--set steps.0.where.language=[xx]: steps.0.where.language.0: no language code is called 'xx'",
        ),
    ),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def loaded(text: str, overrides: tuple[str, ...] = ()) -> Recipe:
    path = Path("r.yaml")
    path.write_text(text, encoding="utf-8")
    return load_recipe(path, overrides)


@pytest.mark.parametrize("case", CASES)
def test_every_message_in_full(case: str) -> None:
    text, overrides, messages = CASES[case]
    with pytest.raises(ConfigError) as caught:
        loaded(text, overrides)
    assert caught.value.problems == messages


def test_one_preset_for_two_sources() -> None:
    text = (
        "name: d\nsources:\n  a: {type: warc, path: x}\n  b: {type: warc, path: y}\nsteps:\n"
        "  - {type: preset, name: datatrove-0.10, where: {source: [a]}}\n"
        "  - {type: preset, name: datatrove-0.10, where: {source: [b]}, override: {c4_sentences: {min: 1}}}\n"
    )
    assert len(loaded(text).steps) == 2
    with pytest.raises(
        ConfigError, match=r"^r.yaml:7:5: steps.1: steps.0 has a limit called language and 31 more, too"
    ):
        loaded(text, ("steps.1.where.source=[b, a]",))


def shipped() -> list[Path]:
    return sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.name)
def test_shipped_recipes_are_whole(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert recipe.card.summary and recipe.card.intended_use and recipe.card.limits
    assert Recipe.model_validate(dump(recipe)) == recipe


def test_the_first_recipe_in_an_empty_folder_and_for_a_real_crawl() -> None:
    path = Path("recipes/commoncrawl.yaml")
    sample = load_recipe(path)
    real = load_recipe(path, ["sources.web.snapshot=CC-MAIN-2026-43", "sources.web.files=4"])
    assert dump(sample.sources["web"])["snapshot"] == "sample"
    assert dump(real.sources["web"])["snapshot"] == "CC-MAIN-2026-43"
    assert real.model_copy(update={"sources": sample.sources}) == sample
    assert set(sample.mixture.weights) == set(sample.sources)


def test_an_installed_package_finds_its_recipes(tmp_path: Path, repository: Path) -> None:
    site = tmp_path / "site-packages"
    shutil.copytree(repository / "pipeline", site / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(repository / "recipes", site / "pipeline" / "recipes")
    code = "from pathlib import Path; from pipeline.recipe import load_recipe as l; print(l(Path('recipes/commoncrawl.yaml')).name)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("commoncrawl\n", "")


def test_language_codes_are_plausible() -> None:
    assert len(LID_176) == 176
    assert {"en", "de", "zh", "als", "ceb"} <= LID_176
