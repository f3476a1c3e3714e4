"""Looking at data: what is found is what a recipe can read, and what is written stands whatever the data are called."""

import gzip
import json
import tempfile
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.recipe import load_recipe
from pipeline.sources.listing import list_files
from pipeline.sources.record import Slice, SourceError
from pipeline.starter.columns import Columns, choose
from pipeline.starter.compose import Entry, entries, quoted, recipe
from pipeline.starter.lots import Found, Group, find
from pipeline.starter.sample import Sample, looks_like_code, sample, source_of
from pipeline.steps.language import LanguageId
from pipeline.yaml_nodes import parse
from tests.small_dataset import article
from tests.sources.warc_writer import http, warc_record

PAGE = warc_record(http())
ENGLISH = [article(seed) for seed in range(30)]
GERMAN = "Der Müller am Bach hat gestern drei Säcke Mehl verkauft, und heute regnet es seit dem frühen Morgen. "
SAMPLED = Sample(
    n_records=9, n_texts=9, languages={"en": 0.9, "de": 0.1}, median_chars=900, n_characters=60, is_code=False
)


def lines(path: Path, rows: list[dict[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def texts(column: str = "text", **rest: object) -> list[dict[str, object]]:
    return [{column: text, **rest} for text in ENGLISH]


def written(found: Found, folder: Path, samples: list[Sample] | None = None) -> Path:
    """The recipe for what was found, checked and with sources that list the files of their groups, no more, no less."""
    listed = entries(found.groups, samples or [SAMPLED] * len(found.groups))
    path = folder / "made.yaml"
    path.write_text(recipe("made", str(folder), listed, found.left_out))
    loaded = load_recipe(path)
    assert list(loaded.sources) == [entry.name for entry in listed]
    for name, source in loaded.sources.items():
        group = next(entry.group for entry in listed if entry.name == name)
        wanted = {file.url for file in group.files}
        assert wanted <= {file.url for file in list_files(name, source)}
    return path


# -- Files -------------------------------------------------------------------------------------------------------------


def test_one_kind_of_file_is_named_by_its_folder(tmp_path: Path) -> None:
    for n in range(3):
        lines(tmp_path / "data" / f"part-{n}.jsonl.gz", texts(url="https://a.example/"))
    found = find(str(tmp_path / "data"))
    assert [(g.kind, g.path, len(g.files)) for g in found.groups] == [("lines", str(tmp_path / "data"), 3)]
    assert found.groups[0].columns == Columns("text", url="url")
    written(found, tmp_path)


def test_a_mixed_folder_becomes_several_sources_and_the_rest_is_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    lines(data / "books" / "a.jsonl", texts("body", title="T"))
    lines(data / "books" / "b.jsonl", texts("body", title="T"))
    pq.write_table(pa.table({"content": ENGLISH, "year": [1999] * 30}), data / "wiki.parquet")
    for n in range(2):
        (data / f"note-{n}.md").write_text(ENGLISH[n])
    (data / "crawl.warc").write_bytes(PAGE)
    (data / "table.csv").write_text(f"id,body\n1,{ENGLISH[0]!r}\n".replace("'", '"'))
    (data / "dump.xml.bz2").write_bytes(b"BZh9")
    (data / "photo.jpeg").write_bytes(b"\xff\xd8")
    (data / "old.arc").write_bytes(b"x")
    (data / "none.jsonl").write_bytes(b"")
    (data / ".hidden.jsonl").write_text("{}")
    lines(data / "labels.jsonl", [{"label": n} for n in range(30)])
    found = find(str(data))
    made = {(g.kind, g.path.removeprefix(f"{data}/"), g.columns.text if g.columns else None) for g in found.groups}
    assert made == {
        ("lines", "books", "body"),
        ("parquet", "wiki.parquet", "content"),
        ("delimited", "table.csv", "body"),
        ("text", "note-*.md", None),
        ("warc", "crawl.warc", None),
    }
    told = "\n".join(found.left_out)
    for name in ("dump.xml.bz2", "photo.jpeg", "old.arc", "none.jsonl", "labels.jsonl"):
        assert name in told
    assert (
        "recipes/encyclopedia.yaml" in told
        and "ARC" in told
        and "no column holds text" in told
        and "hidden" not in told
    )
    names = set(load_recipe(written(found, tmp_path)).sources) - {"table"}
    assert names == {"books", "wiki", "note", "web"} or names == {"books", "wiki", "data", "web"}


def test_a_column_that_some_file_lacks_is_not_named(tmp_path: Path) -> None:
    """The sources refuse a file without a column that the recipe names."""
    lines(tmp_path / "data" / "a.jsonl", texts(url="https://a.example/", title="T"))
    lines(tmp_path / "data" / "b.jsonl", texts(url="https://a.example/"))
    assert find(str(tmp_path / "data")).groups[0].columns == Columns("text", url="url")
    lines(tmp_path / "data" / "labels.jsonl", [{"label": 1, "url": "https://a.example/"}])
    found = find(str(tmp_path / "data"))
    assert [(g.path, g.columns) for g in found.groups] == [(str(tmp_path / "data"), Columns("text", url="url"))]
    lines(tmp_path / "data" / "labels.jsonl", [{"label": 1}])
    assert find(str(tmp_path / "data")).groups[0].columns == Columns("text")


def test_shards_of_a_data_set_are_one_source_and_folders_are_several(tmp_path: Path) -> None:
    for folder in ("en", "de"):
        for n in range(4):
            lines(tmp_path / folder / f"{n:05d}-of-00004.jsonl", texts())
    assert {(g.path, len(g.files)) for g in find(str(tmp_path)).groups} == {
        (str(tmp_path / "en"), 4),
        (str(tmp_path / "de"), 4),
    }


def test_names_with_wildcards_are_taken_as_they_are(tmp_path: Path) -> None:
    data = tmp_path / "a[1]*"
    lines(data / "x[2].jsonl", texts())
    lines(data / "y.jsonl", texts("body"))
    lines(data / "y2.jsonl", texts("body"))
    (data / "z.txt").write_text("x")
    found = find(str(data))
    assert len(found.groups) == 3
    written(found, tmp_path)
    loaded = load_recipe(tmp_path / "made.yaml")
    assert sorted(len(list_files(name, source)) for name, source in loaded.sources.items()) == [1, 1, 2]


def test_a_pattern_a_file_and_an_archive_of_any_name(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", texts())
    lines(tmp_path / "b.jsonl", texts("body"))
    assert find(f"{tmp_path}/a*.jsonl").groups[0].path == f"{tmp_path}/a*.jsonl"
    (tmp_path / "a.csv").write_text("a")
    assert [g.path for g in find(f"{tmp_path}/a*").groups] == [f"{tmp_path}/a.jsonl"]  # a glob would read the CSV, too
    assert find(str(tmp_path / "b.jsonl")).groups[0].columns == Columns("body")
    (tmp_path / "crawl.dat").write_bytes(gzip.compress(PAGE))
    assert find(str(tmp_path / "crawl.dat")).groups[0].kind == "warc"


def test_a_store_is_looked_at_through_fsspec() -> None:
    store = fsspec.filesystem("memory")
    for name in ("one", "two"):
        store.pipe(f"/looked/{name}.jsonl.gz", gzip.compress(json.dumps(texts()[0]).encode() + b"\n"))
    try:
        found = find("memory://looked")
        assert [(g.kind, g.path, len(g.files)) for g in found.groups] == [("lines", "memory://looked", 2)]
        assert sample(found.groups[0], None).n_texts == 2
    finally:
        store.rm("/looked", recursive=True)


@pytest.mark.parametrize(
    ("name", "content", "advice"),
    [
        ("a.json", b"{}", "rename it to end in .jsonl"),
        ("a.zip", b"PK", "unpack it first"),
        ("main.py", b"print()", "recipes/code.yaml"),
        ("a.jsonl", b'{"n": 1}\n', "no column holds text"),
        ("a.parquet", b"PAR1 nothing", "no column holds text"),
    ],
)
def test_nothing_to_read_is_an_error_with_advice(name: str, content: bytes, advice: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(SourceError, match=advice):
            find(str(path))


def test_sources_are_few_and_what_is_beyond_is_told(tmp_path: Path) -> None:
    for n in range(20):
        lines(tmp_path / f"{chr(97 + n)}.jsonl", texts(f"column_{chr(97 + n)}"))
    found = find(str(tmp_path))
    assert len(found.groups) == 16 and "beyond the 16 largest" in found.left_out[0]
    written(found, tmp_path)


# -- Columns -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"id": ["1"], "content": ["x"], "longer": ENGLISH}, "content"),
        ({"Text": ["x"], "longer": ENGLISH}, "Text"),
        ({"text": ["", " "], "prose": ENGLISH}, "prose"),
        ({"text": [], "prose": ENGLISH}, "prose"),
        ({"a": ["short words here"] * 9, "b": ENGLISH}, "b"),
        ({"blob": ["QUJD" * 500] * 9, "b": ENGLISH[:3]}, "b"),
        ({"constant": [ENGLISH[0] * 9] * 9, "b": ENGLISH}, "b"),
        (
            {
                "zh": [
                    "磨坊主昨天卖了三袋面粉今天从早晨起就一直下雨他坐在窗边看书",
                    "河水很高但是桥还在没有人知道为什么船停在那里",
                ]
            },
            "zh",
        ),
    ],
)
def test_the_text_column_goes_by_name_then_by_natural_text(values: dict[str, list[str]], text: str) -> None:
    chosen = choose(values)
    assert chosen is not None and chosen.text == text


@pytest.mark.parametrize(
    "values", [{}, {"n": []}, {"hash": ["0123456789abcdef" * 9, "f" * 99]}, {"label": ["yes", "no"]}]
)
def test_a_table_without_text_has_no_columns(values: dict[str, list[str]]) -> None:
    assert choose(values) is None


def test_other_columns_go_by_name() -> None:
    values = {"text": ["x"], "URL": [""], "headline": [""], "license": [""], "published": []}
    assert choose(values) == Columns("text", "URL", "headline", "published", "license")


# -- Samples -----------------------------------------------------------------------------------------------------------


def test_languages_are_those_of_the_whole_file_not_of_its_beginning(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"text": f"{n} {ENGLISH[n % 30]}"} for n in range(300)]
    rows += [{"text": f"{n} {GERMAN * 5}"} for n in range(300)]
    for name in ("rows.jsonl", "rows.jsonl.gz"):
        group = find(str(lines(tmp_path / name, rows))).groups[0]
        found = sample(group, LanguageId())
        assert found == sample(group, LanguageId())
        assert found.n_texts == 200 and set(found.languages) == {"en", "de"}
        assert 0.35 < found.languages["de"] < 0.65
        assert not found.is_code


def test_the_sample_of_an_archive_is_its_pages_main_text(tmp_path: Path) -> None:
    page = f"<html><body><main>{''.join(f'<p>{text}</p>' for text in ENGLISH[:5])}</main></body></html>".encode()
    (tmp_path / "a.warc").write_bytes(b"".join(warc_record(http(page), f"https://a.example/{n}") for n in range(4)))
    found = sample(find(str(tmp_path)).groups[0], LanguageId())
    assert (found.n_records, found.n_texts, set(found.languages)) == (4, 4, {"en"})


def test_code_is_told_from_prose(repository: Path, shared_data: Path) -> None:
    code = (repository / "pipeline" / "stages.py").read_text()
    assert looks_like_code(code) and not looks_like_code(ENGLISH[0])
    for name, is_code in (("code/debian-packages", True), ("books/gutenberg", False), ("papers/arxiv-latex", False)):
        group = find(str(shared_data / f"{name}.jsonl.gz")).groups[0]
        assert sample(group, None).is_code is is_code


# -- Recipes -----------------------------------------------------------------------------------------------------------


def test_web_gets_the_preset_for_english_and_rules_without_words_for_the_rest(tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(PAGE)
    text = written(find(str(tmp_path)), tmp_path).read_text()
    steps = load_recipe(tmp_path / "made.yaml").steps
    assert steps[0].model_dump(include={"name", "one_of"}) == {"name": "other_language", "one_of": ("en", "de")}
    assert [(s.name, s.where.language) for s in steps if s.type == "preset"] == [("datatrove-0.10", ("en",))]
    assert {s.where.language for s in steps[2:]} == {("de",)}
    assert "en 90%" in text


@pytest.mark.parametrize(
    ("sampled", "limited"),
    [
        ({"is_code": True}, False),
        ({"median_chars": 60}, False),
        ({"languages": {}}, False),
        ({"languages": dict.fromkeys(("en", "fr", "de", "it", "es"), 0.04)}, False),
        ({"languages": {"no": 1.0}}, True),
    ],
)
def test_no_language_is_asked_for_where_none_can_be_told(
    sampled: dict[str, object], limited: bool, tmp_path: Path
) -> None:
    lines(tmp_path / "a.jsonl", texts())
    values = {name: getattr(SAMPLED, name) for name in Sample.__slots__} | sampled
    path = written(find(str(tmp_path / "a.jsonl")), tmp_path, [Sample(**values)])
    assert ("other_language" in [getattr(step, "name", "") for step in load_recipe(path).steps]) is limited


def test_the_vocabulary_holds_twice_the_characters(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", texts())
    values = {name: getattr(SAMPLED, name) for name in Sample.__slots__} | {"n_characters": 5000}
    assert (
        load_recipe(written(find(str(tmp_path / "a.jsonl")), tmp_path, [Sample(**values)])).tokenizer.vocab_size
        > 10_000
    )


@given(st.text())
def test_quoted_text_is_read_back(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    root, problems = parse(f"key: {quoted(text)}")
    assert not problems and root.plain() == {"key": text} and "\n" not in quoted(text)


NAMES = st.text(min_size=1, max_size=20).filter(
    lambda name: "/" not in name and name.encode("utf-8", "ignore").decode()
)


@given(NAMES, NAMES, st.lists(st.text(max_size=30), max_size=3))
def test_a_recipe_stands_whatever_files_columns_and_languages_are_called(
    name: str, column: str, left_out: list[str]
) -> None:
    """What comes from data is quoted, or a comment: it adds no line that says something else."""
    if f"{name}{column}".encode("utf-8", "ignore").decode() != f"{name}{column}":
        return
    files = find_one()
    group = Group("lines", f"/data/{name}", files, Columns(column, url=column))
    listed = entries([group], [SAMPLED])
    text = recipe("made", f"/data/{name}", listed, left_out)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.yaml"
        path.write_text(text)
        source = load_recipe(path).sources[listed[0].name]
    assert source == source_of(group).model_copy(update={"part_mb": source.part_mb, "url_column": column})


def find_one() -> tuple[Slice, ...]:
    return (Slice("", "a.jsonl", "/data/a.jsonl", 1000, "", 0, 1000),)


def test_equal_data_give_equal_recipes(tmp_path: Path) -> None:
    lines(tmp_path / "data" / "a.jsonl", texts())
    first = written(find(str(tmp_path / "data")), tmp_path).read_bytes()
    assert written(find(str(tmp_path / "data")), tmp_path).read_bytes() == first


def test_names_of_sources_differ(tmp_path: Path) -> None:
    files = find_one()
    groups = [
        Group("lines", path, files, Columns("text")) for path in ("/x/a b.jsonl", "/y/A-B.jsonl.gz", "/z/*.jsonl")
    ]
    names = [entry.name for entry in entries(groups, [SAMPLED] * 3)]
    assert names == ["a-b", "a-b-2", "z"]
    assert Entry("a", groups[0], SAMPLED).languages == ("en", "de")
