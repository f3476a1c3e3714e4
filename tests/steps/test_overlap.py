"""Items planted in documents: what is found of them, and what is not."""

import hashlib
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import ConfigError
from pipeline.plan import make_plan
from pipeline.recipe import load_recipe
from pipeline.sources.items import read_items
from pipeline.steps.overlap import OVERLAPS, Benchmarks, totals
from pipeline.steps.overlap_options import ITEM_SUFFIXES, OverlapOptions, benchmark_files
from pipeline.text.spans import apply_spans
from tests.small_dataset import article

QUESTION = "Which of the seven bridges did the engineer cross twice before the rain came down on the old town that day?"
SHORT = "A lamp lights nine rooms but one is dark"
CHINESE = "明朝的皇帝为什么决定把首都从南京迁到北方的那个大城市"
THAI = "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทยตั้งแต่ปี"


def benchmarks(items: dict[str, list[list[str]]], **options: Any) -> Benchmarks:
    return Benchmarks(items, OverlapOptions(**options))


def measured(found: Benchmarks, *texts: str) -> list[dict[str, Any]]:
    columns = found.measure(pa.array(texts, pa.large_string()))
    return pa.table(columns).to_pylist()


@pytest.mark.parametrize(
    "text",
    [
        QUESTION,
        QUESTION.upper(),
        QUESTION.replace(" ", "\n\n"),
        "“" + QUESTION.replace(" the ", " — the, ") + "”",
        "Before it. " + QUESTION + " Behind it.",
        QUESTION.replace("bridges", "brídges"),
    ],
)
def test_an_item_is_found_in_any_case_and_punctuation_and_across_lines(text: str) -> None:
    (row,) = measured(benchmarks({"b": [["other words"], [QUESTION]]}), text)
    assert row["overlap_ngrams"] == 21 - 13 + 1
    assert row["overlap_item_fraction"] == 1
    assert row["overlaps"] == [{"benchmark": "b", "ngrams": 9, "items": [1]}]


def test_what_is_cut_short_or_said_in_other_words_is_not_found() -> None:
    words = QUESTION.split()
    found = benchmarks({"b": [[QUESTION]]})
    rows = measured(found, " ".join(words[:12]), " ".join(words[:13]), QUESTION.replace("seven", "eight"), "")
    assert [row["overlap_ngrams"] for row in rows] == [0, 1, 5, 0]
    assert [row["overlap_item_fraction"] for row in rows] == [0, 1 / 9, 5 / 9, 0]
    assert [row["overlap_fraction"] for row in rows] == [0, 1, 17 / 21, 0]
    assert [len(row["overlaps"]) for row in rows] == [0, 1, 1, 0]


def test_a_short_text_is_compared_as_a_whole_and_a_shorter_one_not() -> None:
    found = benchmarks({"b": [[SHORT, "No"], ["Only seven words are in this item"], []]})
    assert found.described() == {"b": {"items": 3, "comparable_items": 1, "ngrams": 1, "common_ngrams": 0}}
    rows = measured(found, f"Say: {SHORT}!", SHORT[:-5], "Only seven words are in this item")
    assert [row["overlap_ngrams"] for row in rows] == [1, 0, 0]
    shorter = benchmarks({"b": [[SHORT]]}, ngram_words=5)  # below min_words, which then says nothing
    assert shorter.described()["b"]["ngrams"] == 5


def test_numbers_are_compared_and_runs_of_them_are_not() -> None:
    counting = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14"
    item = f"Tom has {counting} and then twelve more boxes of nails to count by hand: how many, 7 or 8?"
    found = benchmarks({"b": [[item], [counting]]})
    assert found.described()["b"]["comparable_items"] == 1
    rows = measured(found, counting, item, item.replace(" 7 ", " 9 "), f"a1 {counting}")
    assert [row["overlap_item_fraction"] for row in rows] == [0, 1, 1 / 4, 0]
    seven = "1 2 3 4 5 6 7 words"
    assert benchmarks({"b": [[seven]]}).described()["b"]["ngrams"] == 1


def test_strings_of_an_item_are_texts_of_their_own() -> None:
    words = QUESTION.split()
    found = benchmarks({"b": [[" ".join(words[:10]), " ".join(words[10:])]]})
    (row,) = measured(found, QUESTION)
    assert row["overlaps"] == [{"benchmark": "b", "ngrams": 2, "items": [0]}]
    assert row["overlap_fraction"] == 1


@pytest.mark.parametrize("text", [CHINESE, THAI])
def test_scripts_without_spaces(text: str) -> None:
    found = benchmarks({"b": [[text]]})
    rows = measured(found, "中国。" + text + "的", text[: len(text) // 2] + "新" + text[len(text) // 2 :], text[5:16])
    assert rows[0]["overlap_item_fraction"] == 1
    assert rows[0]["overlap_ngrams"] > 10
    assert rows[1]["overlap_item_fraction"] < 1
    assert rows[2]["overlap_ngrams"] == 0


def test_an_n_gram_of_too_many_items_of_a_benchmark_tells_none_of_them() -> None:
    frame = "Read the passage below with care and then choose the one answer that fits it best."
    items = [[frame, article(seed)] for seed in range(5)]
    few, many = (benchmarks({"b": items, "c": [[frame]]}, max_items=n) for n in (4, 5))
    assert few.described()["b"]["common_ngrams"] == 4
    assert many.described()["b"]["common_ngrams"] == 0
    assert few.described()["b"]["ngrams"] + 4 == many.described()["b"]["ngrams"]
    in_c = {"benchmark": "c", "ngrams": 4, "items": [0]}
    assert measured(few, frame)[0]["overlaps"] == [in_c]
    assert measured(many, frame)[0]["overlaps"] == [{"benchmark": "b", "ngrams": 4, "items": [0, 1, 2, 3, 4]}, in_c]
    assert measured(few, article(3))[0]["overlaps"][0]["items"] == [3]


def test_the_order_of_benchmarks_changes_nothing() -> None:
    items = {name: [[article(seed)] for seed in seeds] for name, seeds in (("x", (1, 2)), ("a", (2, 3)), ("m", (4,)))}
    texts = [article(2) + article(4), article(3), "", article(9)]
    one, other = benchmarks(items), benchmarks(dict(reversed(items.items())))
    assert measured(one, *texts) == measured(other, *texts)
    assert one.described() == other.described()
    assert [entry["benchmark"] for entry in measured(one, *texts)[0]["overlaps"]] == ["a", "m", "x"]


@given(st.lists(st.lists(st.integers(0, 5), max_size=3), max_size=6), st.lists(st.integers(0, 5), min_size=1))
def test_totals_are_sums_over_documents_and_different_items(held: list[list[int]], planted: list[int]) -> None:
    names = {0: "a", 1: "a", 2: "a", 3: "b", 4: "b", 5: "c"}
    items = {name: [[article(n, 4)] for n, other in names.items() if other == name] for name in "abc"}
    found = benchmarks(items)
    n_ngrams = [benchmarks({"x": [[article(n, 4)]]}).described()["x"]["ngrams"] for n in names]
    documents = ["\n".join(article(n, 4) for n in seeds) for seeds in (*held, planted)]
    half = len(documents) // 2
    chunks = [
        found.measure(pa.array(part, pa.large_string()))["overlaps"] for part in (documents[:half], documents[half:])
    ]
    column = pa.chunked_array(chunks, OVERLAPS)
    expected = {}
    for seeds in (*held, planted):
        for name in {names[n] for n in seeds}:
            own = {n for n in seeds if names[n] == name}
            documents_, ngrams, all_items = expected.get(name, (0, 0, set()))
            first = min(n for n in names if names[n] == name)
            expected[name] = (
                documents_ + 1,
                ngrams + sum(n_ngrams[n] for n in own),
                all_items | {n - first for n in own},
            )
    assert list(totals(column)) == [(name, d, n, sorted(i)) for name, (d, n, i) in sorted(expected.items())]


def test_lines_that_hold_or_touch_an_n_gram_are_cut() -> None:
    begin, end = QUESTION.split(" before ")
    text = f"First line.\n{begin}\nbefore {end} And more.\n\nLast line of {CHINESE[:12]}.\n"
    texts = pa.array([text, "Nothing here."], pa.large_string())
    found = benchmarks({"b": [[QUESTION], [CHINESE]]})
    spans = found.spans_without(texts)
    assert spans[1].as_py() is None
    kept = apply_spans(texts, spans)
    assert kept.to_pylist() == [f"First line.\n\nLast line of {CHINESE[:12]}.\n", "Nothing here."]


# -- files and recipes -------------------------------------------------------------------------------------------------


def recipe(folder: Path, overlap: str, steps: str = "[]") -> Path:
    if not (folder / "rows.jsonl").exists():
        (folder / "rows.jsonl").write_text('{"text": "one"}\n')
    path = folder / "r.yaml"
    source = f'{{rows: {{type: tables, path: "{folder}/rows.jsonl"}}}}'
    path.write_text(f"name: d\nsources: {source}\noverlap: {overlap}\nsteps: {steps}\n")
    return path


def test_without_benchmarks_nothing_depends_on_the_other_fields(tmp_path: Path) -> None:
    plain, changed = (load_recipe(recipe(tmp_path, f"{{ngram_words: {n}}}")) for n in (13, 9))
    keys = [[part.key for part in make_plan(one).parts() if part.stage != "describe"] for one in (plain, changed)]
    assert keys[0] == keys[1]
    assert "overlap" not in make_plan(plain).stages["measure"][0].ingredients["recipe"]


def test_files_and_fields_are_in_the_keys_of_measure(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"q": "one", "r": "two"}\n')

    def keys(overlap: str) -> tuple[str, str, dict[str, str]]:
        stages = make_plan(load_recipe(recipe(tmp_path, overlap))).stages
        part = stages["measure"][0]
        return stages["extract"][0].key, part.key, part.ingredients["assets"]

    path = f"path: {tmp_path}/b.jsonl"
    all_fields = keys(f"{{benchmarks: {{b: {{{path}}}}}}}")
    assert set(all_fields[2]) == {"lid.176", "overlap.b.0"}
    others = [
        keys("{}"),
        keys(f"{{benchmarks: {{b: {{{path}, fields: [q]}}}}}}"),
        keys(f"{{benchmarks: {{c: {{{path}}}}}}}"),
        keys(f"{{benchmarks: {{b: {{{path}}}}}, max_items: 3}}"),
    ]
    (tmp_path / "b.jsonl").write_text('{"q": "one", "r": "three"}\n')
    others.append(keys(f"{{benchmarks: {{b: {{{path}}}}}}}"))
    assert len({all_fields[1], *(found[1] for found in others)}) == 6
    assert {all_fields[0], *(found[0] for found in others)} == {all_fields[0]}


def test_a_benchmark_is_a_file_or_several_or_one_for_each_file(tmp_path: Path) -> None:
    for name in ("b.parquet", "a.jsonl", "c.jsonl.gz", "n.txt"):
        (tmp_path / name).write_text(name)
    one = OverlapOptions.model_validate({"benchmarks": {"x": {"path": f"{tmp_path}/[abc].*", "fields": ("q",)}}})
    each = OverlapOptions.model_validate({"benchmarks": {"x": {"path": f"{tmp_path}/[abc].*", "one_per_file": True}}})
    files = benchmark_files(one)
    assert [Path(file["path"]).name for file in files["x"]] == ["a.jsonl", "b.parquet", "c.jsonl.gz"]
    assert {name: [Path(f["path"]).name for f in own] for name, own in benchmark_files(each).items()} == {
        "x/a": ["a.jsonl"],
        "x/b": ["b.parquet"],
        "x/c": ["c.jsonl.gz"],
    }
    assert (one.fields_of("x"), each.fields_of("x/a")) == (("q",), ())


def test_a_glob_of_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRISTMILL_CACHE", str(tmp_path))
    store = fsspec.filesystem("memory")
    for name in ("b.jsonl", "a.jsonl"):
        store.pipe(f"/overlap/{name}", name.encode())
    options = OverlapOptions.model_validate({"benchmarks": {"x": {"path": "memory://overlap/*.jsonl"}}})
    expected = [
        {"path": f"memory:///overlap/{name}", "sha256": hashlib.sha256(name.encode()).hexdigest()}
        for name in ("a.jsonl", "b.jsonl")
    ]
    assert benchmark_files(options) == {"x": expected}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nowhere.jsonl", "cannot be read (No such file or directory)"),
        ("none*.jsonl", "no file matches, looked from"),
        ("", "is a folder; name the files in it"),
        ("n.txt", f"unknown kind of file; items are read from {', '.join(ITEM_SUFFIXES)}"),
        ("memory://nowhere/*.jsonl", "no file matches"),
    ],
)
def test_files_that_are_missing_or_of_another_kind(tmp_path: Path, path: str, said: str) -> None:
    (tmp_path / "n.txt").write_text("one\n")
    whole = path if "://" in path else f"{tmp_path}/{path}"
    options = OverlapOptions.model_validate({"benchmarks": {"b": {"path": whole}}})
    with pytest.raises(ConfigError) as error:
        benchmark_files(options)
    assert str(error.value).startswith(f"overlap.benchmarks.b.path: {whole}: ")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (
            "[{type: limit, name: a, measure: overlap_ngrams, max: 0}]",
            "r.yaml:4:41: steps.0.measure: the measure overl",
        ),
        ("[{type: lines, rule: benchmark_overlap}]", "r.yaml:4:29: steps.0.rule: the rule benchmark_overlap looks for"),
        ("[{type: limit, name: a, measure: overlap_ngram, max: 0}]", "did you mean 'overlap_ngrams'?"),
    ],
)
def test_steps_that_need_benchmarks_say_so(tmp_path: Path, steps: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_recipe(recipe(tmp_path, "{}", steps))
    assert said in str(error.value)


def test_items_of_the_benchmarks_at_hand_are_found_in_pages_that_quote_them(shared_data: Path) -> None:
    """Each item's longest text is planted in a page of its own: all of those compared are found, in that page."""
    items = {
        path.stem: list(read_items(path, path.name, (), "")) for path in sorted((shared_data / "bench").glob("*.jsonl"))
    }
    assert len(items) > 15
    found = benchmarks(items)
    for name, described in found.described().items():
        pages = [f"{article(n)}\n{max(strings, key=len)}\n{article(n + 1)}" for n, strings in enumerate(items[name])]
        rows = measured(found, *pages)
        held = [
            n
            for n, row in enumerate(rows)
            for entry in row["overlaps"]
            if entry["benchmark"] == name and n in entry["items"]
        ]
        assert described["items"] == len(items[name])
        # Where the longest text is a little shorter in words than another one, or common, only the other was compared.
        assert described["comparable_items"] >= len(held) >= 0.97 * described["comparable_items"], name
    assert not any(row["overlap_ngrams"] for row in measured(found, *(article(n) for n in range(200))))
