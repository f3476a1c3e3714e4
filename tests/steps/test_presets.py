"""The presets that ship: what each says, on what it rests, and what it drops of the sample crawl."""

import re

import pyarrow as pa
import pytest

from pipeline.measures import LANGUAGE_STOPS
from pipeline.recipe import schema
from pipeline.steps.language import LanguageId
from pipeline.steps.limits import judge
from pipeline.steps.options import OVERLAP_RULE, PRESET_FILES, PRESETS, Limit, LimitOverride, PresetStep, Where
from pipeline.steps.presets import PresetError, expand, preset_source, preset_steps
from pipeline.text.chunks import measure_chunks, removed_word_fraction
from pipeline.text.line_rules import RULES, mark_lines
from pipeline.text.scan import measure_texts
from pipeline.text.spans import apply_spans
from pipeline.text.stop_words import count_stop_words, stop_words
from tests.sample.records import entries

PAGES = [entry for entry in entries() if entry.page and not entry.name.startswith("broken-")]
"""Without broken pages: their markup decides what is extracted, and so what they meet."""


def limits(name: str) -> tuple[Limit, ...]:
    return expand([PresetStep(type="preset", name=name)])[1]


def decisions(name: str, texts: list[str], languages: pa.StringArray | None = None) -> list[str]:
    """The drop reasons of texts, English unless `languages` says otherwise, by a preset."""
    languages = pa.array(["en"] * len(texts)) if languages is None else languages
    lines, rules = expand([PresetStep(type="preset", name=name)])
    array = pa.array(texts, pa.large_string())
    spans = [mark_lines(array, step.rule) for step in lines] or [pa.nulls(len(texts), pa.list_(pa.int64()))]
    kept = apply_spans(array, spans[0])
    measured, of_kept = measure_texts(array, spans[0], True)
    measured, of_kept = measured | measure_chunks(array), of_kept | measure_chunks(kept)
    columns = {**measured, "language": languages, "language_score": [0.99] * len(texts)}
    columns[LANGUAGE_STOPS] = count_stop_words(array, languages)
    columns |= {f"kept_{measure}": values for measure, values in of_kept.items()}
    columns["removed_word_fraction"] = removed_word_fraction(measured, of_kept)
    ids = pa.array([k.to_bytes(16, "big") for k in range(len(texts))], pa.binary(16))
    reasons: list[str] = judge(pa.table({"id": ids, **columns}), rules)["drop_reason"].to_pylist()
    return reasons


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_names_its_source_and_expands(name: str) -> None:
    assert len(preset_source(name)) > 20
    head = PRESET_FILES.joinpath(f"{name}.yaml").read_text("utf-8").split("source:")[0]
    assert head.startswith("# ")
    where = Where(source=("web",))
    lines, rules = expand([PresetStep(type="preset", name=name, where=where)])
    assert len(lines) + len(rules) == len(preset_steps(name))
    assert all(step.where.source == ("web",) for step in (*lines, *rules))
    assert all(step.rule in RULES for step in lines)
    for rule in rules:
        if rule.measure.startswith(("kept_", "removed_")):
            assert lines, f"{rule.name} speaks of kept lines, and no line rule keeps any"


@pytest.mark.parametrize("name", PRESETS)
def test_any_limit_can_be_overridden(name: str) -> None:
    for rule in limits(name):
        fields = {"one_of": ("de",)} if rule.one_of else {"min": 1.0, "max": 2.0, "exclusive": not rule.exclusive}
        override = {rule.name: LimitOverride.model_validate(fields)}
        _, found = expand([PresetStep(type="preset", name=name, override=override)])
        (changed,) = [other for other in found if other.name == rule.name and other.where == rule.where]
        assert changed == rule.model_copy(update=fields)


def test_names_are_those_of_the_files() -> None:
    assert PRESETS == ("c4", "datatrove-0.10", "dclm-heuristics", "fineweb-2", "fineweb-v1", "gopher")
    assert schema()["$defs"]["PresetStep"]["properties"]["name"]["enum"] == list(PRESETS)


def test_line_rules_of_a_recipe_are_those_that_exist() -> None:
    assert schema()["$defs"]["LineStep"]["properties"]["rule"]["enum"] == [*RULES, OVERLAP_RULE]


def test_fineweb_v1_differs_where_its_code_did() -> None:
    new, old = ({rule.name: rule for rule in limits(name)} for name in ("datatrove-0.10", "fineweb-v1"))
    assert list(new) == list(old)
    assert [name for name in new if new[name] != old[name]] == [
        "gopher_stop_words",
        "fineweb_line_punctuation",
        "fineweb_short_lines",
        "fineweb_duplicate_line_chars",
    ]
    assert [rule.name for rule in old.values() if rule.exclusive] == [
        "language_score",
        "fineweb_line_punctuation",
        "fineweb_short_lines",
        "fineweb_duplicate_line_chars",
    ]


def test_gopher_has_the_numbers_of_datatroves_filters() -> None:
    here, there = ({rule.name: rule for rule in limits(name)} for name in ("gopher", "datatrove-0.10"))
    assert here == {name: rule for name, rule in there.items() if name.startswith("gopher_")}


def test_the_sample_crawl_meets_the_limits_that_its_truth_names() -> None:
    """A page written to break one rule breaks it under every preset that has the rule."""
    texts = [entry.page.text for entry in PAGES if entry.page]
    for name in ("datatrove-0.10", "fineweb-v1", "gopher", "c4"):
        reasons = decisions(name, texts)
        names = {rule.name for rule in limits(name)} - {"language", "language_score"}
        checked = 0
        for entry, reason in zip(PAGES, reasons, strict=True):
            if entry.fate in names:
                checked += 1
                assert reason, f"{name}: {entry.name} should meet {entry.fate}"
        assert checked >= 3, name


def sentences(n: int) -> list[str]:
    """Sentences of the sample's articles, each of eight words or more, no two alike."""
    prose = " ".join(entry.page.text for entry in PAGES if entry.page and entry.fate == "kept")
    found = re.findall(r"(?<=[.] )[A-Z][a-z, ]{45,110}[.](?= )", prose)
    return list(dict.fromkeys(found))[:n]


LINES = sentences(24)
TEXT = "\n".join(LINES)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TEXT, ""),
        ("\n".join(LINES[:2]), "dclm_too_few_words"),
        (re.sub(r"\b(the|be|to|of|and|that|have|with)\b", "some", TEXT, flags=re.IGNORECASE), "dclm_stop_words"),
        ("\n".join(f"* {line}" for line in LINES), "dclm_bullet_lines"),
        ("\n".join(f"{line} . . ." for line in LINES), "dclm_ellipsis_lines"),
        (TEXT.replace(",", "##,"), "dclm_symbols"),
        ("\n".join(f"{line} 123 1456 1789 2024 1999" for line in LINES), "dclm_alphabetic_words"),
        ("\n".join([*LINES[:20], *LINES[:4]]), "dclm_repeated_lines"),
        ("\n".join([*LINES, *[line.upper() for line in sentences(30)[24:]]]), "dclm_removed_words"),
        (f"{TEXT}\n3 likes\nSign-in", ""),
    ],
)
def test_dclm_drops(text: str, reason: str) -> None:
    assert decisions("dclm-heuristics", [text]) == [reason]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TEXT, ""),
        (TEXT.replace(".", ""), "c4_sentences"),
        ("\n".join(LINES[:2]), "c4_sentences"),
        (f"{TEXT}\nThis line holds a {{ and ends well.", "c4_curly_bracket"),
        (f"{TEXT}\nThis line holds a {{ and ends badly", ""),
        (f"{TEXT}\nAnd here is some Lorem ipsum for you.", "c4_lorem_ipsum"),
        (TEXT * 200, "c4_too_long"),
    ],
)
def test_c4_drops(text: str, reason: str) -> None:
    assert decisions("c4", [text]) == [reason]


def test_fineweb_v1_drops_a_value_at_the_bound() -> None:
    """Ten characters of a thousand are in a line seen before: the bound of 0.01."""
    lines = ["Yes it is.", *LINES[:11], "Yes it is."]
    left = 1000 - sum(map(len, lines))
    assert 10 < left < 200
    lines.insert(1, f"{'So said the good people of the old town to him, ' * 4}"[: left - 1] + ".")
    text = "\n".join(lines)
    assert decisions("datatrove-0.10", [text]) == [""]
    assert decisions("fineweb-v1", [text]) == ["fineweb_duplicate_line_chars"]


def test_fineweb_v1_counts_five_marks_and_every_stop_word() -> None:
    chinese_stops = TEXT.replace(".", "\u3002")
    assert decisions("datatrove-0.10", [chinese_stops]) == [""]
    assert decisions("fineweb-v1", [chinese_stops]) == ["fineweb_line_punctuation"]
    one_word = re.sub(r"\b(be|to|of|and|that|have|with)\b", "some", TEXT, flags=re.IGNORECASE)
    assert "gopher_stop_words" in decisions("gopher", [one_word])
    assert decisions("fineweb-v1", [one_word]) == [""]


FINEWEB_2_COLUMNS = (
    "gopher_duplicate_lines",
    "gopher_top_2gram",
    "gopher_duplicate_5gram",
    "gopher_duplicate_10gram",
    "fineweb_line_punctuation",
    "fineweb_newlines",
    "gopher_short_words",
    "gopher_long_words",
    "gopher_alphabetic_words",
)


@pytest.mark.parametrize(
    ("language", "numbers"),
    [  # dup_line_frac, top_n_grams 2, dup_n_grams 5 and 10, line_punct_thr, new_line_ratio, average word length, alpha
        ("de", (0.263, 0.169, 0.141, 0.098, 0.0, 0.152, 0, 15, 0.774)),
        ("ru", (0.322, 0.184, 0.168, 0.109, 0.231, 0.139, 3, 11, 0.713)),
        ("zh", (0.287, 0.256, 0.198, 0.127, 0.106, 0.178, 1, 5, 0.735)),
        ("pt", (0.287, 0.371, 0.163, 0.108, 0.077, 0.186, 3, 13, 0.814)),
        ("lv", (0.329, 0.526, 0.173, 0.109, 0.125, 0.169, 2, 13, 0.727)),
    ],
)
def test_fineweb_2_has_the_numbers_of_its_configurations(language: str, numbers: tuple[float, ...]) -> None:
    rules = {rule.name: rule for rule in _of_language("fineweb-2", language)}
    found = (rules[name] for name in FINEWEB_2_COLUMNS)
    assert tuple(rule.min if rule.max is None else rule.max for rule in found) == numbers


def _of_language(name: str, language: str) -> list[Limit]:
    return [rule for rule in limits(name) if not rule.where.language or language in rule.where.language]


def test_fineweb_2_gives_each_language_each_limit_once() -> None:
    (known,) = [rule.one_of for rule in limits("fineweb-2") if rule.name == "language"]
    assert known is not None
    assert len(known) == 38
    assert [code for code in known if code not in stop_words()] == ["km", "ko", "lo", "my", "th"]
    names = [rule.name for rule in limits("fineweb-2")]
    for language in known:
        mine = [rule.name for rule in _of_language("fineweb-2", language)]
        assert len(mine) == len(set(mine))
        of_words = set(names) - set(mine)
        assert bool(of_words) == (language in ("km", "ko", "lo", "my", "th"))
        assert not any(name.endswith(("_lines", "_line_chars", "_punctuation")) for name in of_words)
    assert {rule.name for rule in _of_language("fineweb-2", "en")} == {
        rule.name for rule in limits("fineweb-2") if not rule.where.language
    }


def test_where_narrows_a_preset_to_the_languages_that_both_name() -> None:
    where = Where(source=("web",), language=("fr", "de", "en"))
    _, rules = expand([PresetStep(type="preset", name="fineweb-2", where=where)])
    assert {rule.where.source for rule in rules} == {("web",)}
    assert {code for rule in rules for code in rule.where.language} == {"de", "fr", "en"}
    (language,) = [rule for rule in rules if rule.name == "language"]
    assert language.where == where  # so that a text in English is dropped as one
    assert language.one_of is not None
    assert "en" not in language.one_of
    assert [(r.where.language, r.max) for r in rules if r.name == "gopher_long_words"] == [(("fr",), 11), (("de",), 15)]


def test_an_override_is_for_all_languages() -> None:
    override = {"gopher_long_words": LimitOverride(max=30.0)}
    _, rules = expand([PresetStep(type="preset", name="fineweb-2", override=override)])
    assert {rule.max for rule in rules if rule.name == "gopher_long_words"} == {30.0}
    assert sum(rule.max == 30.0 for rule in rules) == sum(r.name == "gopher_long_words" for r in limits("fineweb-2"))
    override = {"gopher_long_words": LimitOverride(where=Where(language=("de",)))}
    with pytest.raises(PresetError, match="override of gopher_long_words: the preset has it by language"):
        expand([PresetStep(type="preset", name="fineweb-2", override=override)])


def test_fineweb_2_keeps_the_sample_crawls_texts_in_its_languages() -> None:
    """What the truth keeps of a language is kept, and dropped as another language in English."""
    pages = [entry for entry in PAGES if entry.fate in ("kept", "look_language")]
    texts = pa.array([entry.page.text for entry in pages if entry.page], pa.large_string())
    labels, _ = LanguageId().identify(texts, 10_000)
    reasons = decisions("fineweb-2", texts.to_pylist(), labels)
    (known,) = [rule.one_of for rule in limits("fineweb-2") if rule.name == "language"]
    assert known is not None
    assert len({*labels.to_pylist()} & {*known}) >= 5
    for entry, label, reason in zip(pages, labels.to_pylist(), reasons, strict=True):
        assert (reason == "language") == (label not in known), entry.name
