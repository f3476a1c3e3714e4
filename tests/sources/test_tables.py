"""Tables: the same rows from every format, bad rows as fates, ranges that never overlap."""

import csv
import gzip
import io
import json
import tempfile
import tracemalloc
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.sources import delimited as delimited_rows
from pipeline.sources import rows, tables
from pipeline.sources.listing import list_files, local_slice
from pipeline.sources.options import TableSource
from pipeline.sources.record import Record, SourceError
from pipeline.sources.tables import read_table

ROWS: list[dict[str, Any]] = [
    {"text": "First.", "url": "https://a.example/1", "title": "One", "date": "2026-01-02", "licence": "MIT"},
    {"text": "Zweite, größer — 漢字 🙂", "url": None, "title": "Two", "date": "", "licence": None},
    {"text": None, "url": "https://a.example/3", "title": None, "date": None, "licence": None},
    {"text": " \n", "url": "https://a.example/4", "title": "", "date": None, "licence": "MIT"},
    {"text": "Fifth.\nOn two lines.", "url": "", "title": "Five", "date": "1871", "licence": ""},
]
EXPECTED = [
    ("First.", "", "https://a.example/1", "One", "2026-01-02", "MIT"),
    ("Zweite, größer — 漢字 🙂", "", "", "Two", "", ""),
    (None, "missing_text", "https://a.example/3", "", "", ""),
    (None, "empty_text", "https://a.example/4", "", "", "MIT"),
    ("Fifth.\nOn two lines.", "", "", "Five", "1871", ""),
]


def source(path: Path, **fields: str) -> TableSource:
    columns = {f"{name}_column": name for name in ("url", "title", "date", "licence")}
    return TableSource(type="tables", path=str(path), **(fields or columns))


def read(path: Path, **fields: str) -> list[Record]:
    options = source(path, **fields)
    return [record for file in list_files("books", options) for record in read_table(file, options)]


def plain(path: Path) -> list[Record]:
    return read(path, text_column="text")


def lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def zstd(raw: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as packed:
        packed.write(raw)
    return bytes(out.getvalue())


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(rows)
    kind = "".join(path.suffixes)
    if kind == ".parquet":
        pq.write_table(table, path, row_group_size=2)
    elif kind == ".arrow":
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table, 3)
    elif kind == ".feather":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, 3)
    else:
        pack = {".gz": gzip.compress, ".zst": zstd}.get(path.suffix, bytes)
        delimiter = {".csv": ",", ".tsv": "\t"}.get(path.suffixes[0])
        path.write_bytes(pack(delimited(rows, delimiter) if delimiter else lines(rows)))


def delimited(rows: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


FORMATS = ["csv", "tsv", "csv.gz", "tsv.zst", "jsonl", "ndjson", "jsonl.gz", "jsonl.zst", "parquet", "arrow", "feather"]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_rows(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    write(path, ROWS)
    found = read(path)
    expected = [(t, f.replace("missing", "empty") if kind[1:3] == "sv" else f, *rest) for t, f, *rest in EXPECTED]
    assert [[r.text, r.fate, r.url, r.title, r.date, r.licence] for r in found] == [[*row] for row in expected]
    assert {r.path for r in found} == {f"rows.{kind}"}
    starts = [0, *(len(lines(ROWS[: n + 1])) for n in range(4))]
    assert [r.offset for r in found] == (starts if kind in ("jsonl", "ndjson") else [0, 1, 2, 3, 4])


SPACED = st.sampled_from([b"", b"\n", b"\r\n", b"  \n"])
LINE = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=30).map(lambda text: json.dumps({"text": text}).encode()),
    st.sampled_from([b"{", b'"text"', b'{"text": 5}', b"\xff\xfe", b'{"text": "' + b"x" * 3000 + b'"}']),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(SPACED, LINE), max_size=8), st.data(), st.booleans())
def test_ranges_of_plain_jsonl_read_each_row_once(
    tmp_path: Path, parts: list[tuple[bytes, bytes]], data: st.DataObject, ends: bool
) -> None:
    raw = b"\n".join(space + line for space, line in parts) + (b"\n" if ends else b"")
    path = tmp_path / "rows.jsonl"
    path.write_bytes(raw)
    whole = plain(path)
    cuts = sorted({0, len(raw), *data.draw(st.lists(st.integers(0, len(raw)), max_size=6))})
    file, options = local_slice("books", path, "rows.jsonl"), source(path, text_column="text")
    pieces = [replace(file, start=start, end=end) for start, end in pairwise(cuts)]
    found = [[(r.offset, r.text, r.fate) for r in read_table(piece, options)] for piece in pieces]
    assert [*chain.from_iterable(found)] == [(r.offset, r.text, r.fate) for r in whole]
    assert all(piece.start <= r[0] < piece.end for piece, some in zip(pieces, found, strict=True) for r in some)
    assert len(whole) == sum(1 for line in raw.split(b"\n") if line.strip())


@pytest.mark.parametrize("kind", ["jsonl.gz", "csv", "arrow", "txt"])
def test_a_file_that_cannot_be_cut_belongs_to_the_range_that_begins_at_0(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    write(path, ROWS)
    file, options = local_slice("books", path, path.name), source(path, text_column="text")
    first, second = replace(file, end=10), replace(file, start=10)
    assert len(list(read_table(first, options))) == len(list(read_table(file, options))) > 0
    assert list(read_table(second, options)) == []


def test_ranges_of_parquet_read_each_row_group_once(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": [f"Row {n}." for n in range(1000)]}), path, row_group_size=90)
    file, options = local_slice("books", path, "rows.parquet"), source(path, text_column="text")
    cuts = [*range(0, file.size, 997), file.size]
    pieces = [replace(file, start=start, end=end) for start, end in pairwise(cuts)]
    found = [[r.text for r in read_table(piece, options)] for piece in pieces]
    assert [*chain.from_iterable(found)] == [f"Row {n}." for n in range(1000)]
    assert sum(map(bool, found)) > 3, "the rows lie in several ranges"
    assert [r.offset for piece in pieces for r in read_table(piece, options)] == list(range(1000))


@pytest.mark.parametrize(
    ("line", "fate", "detail"),
    [
        (b"{", "bad_json", "Expecting property name"),
        (b"[1, 2]", "bad_json", "a row is an object, this is list"),
        (b"\xff{}", "bad_json", "byte 0 of the line is not utf-8"),
        (b"[" * 100_000, "bad_json", "RecursionError"),
        (b'{"text": ' + b"9" * 5000 + b"}", "bad_json", "ValueError"),
        (b'{"text": null}', "missing_text", "null"),
        (b'{"text": ["a"]}', "text_not_string", "list"),
        (b'{"text": ""}', "empty_text", ""),
    ],
)
def test_a_bad_row_is_a_fate_and_costs_no_other(tmp_path: Path, line: bytes, fate: str, detail: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"text": "before"}\n' + line + b'\n{"text": "after"}')
    found = plain(path)
    assert [(r.text, r.fate) for r in found] == [("before", ""), (None, fate), ("after", "")]
    assert detail in found[1].detail and found[1].offset == 19


def test_a_wrong_text_column_explains_itself(tmp_path: Path) -> None:
    for kind in ("jsonl", "parquet", "csv"):
        path = tmp_path / f"rows.{kind}"
        write(path, ROWS)
        found = read(path, text_column="body")
        assert [r.fate for r in found] == ["missing_text"] * 5
        assert found[0].detail == "no column 'body'; found: text, url, title, date, licence"
        assert {r.detail for r in found[1:]} == {"no column 'body'"}


@pytest.mark.parametrize("made", [("jsonl", lines), ("csv", delimited)])
@pytest.mark.parametrize(("kind", "pack"), [("gz", gzip.compress), ("zst", zstd)])
def test_a_truncated_file_gives_its_rows_up_to_the_damage(tmp_path: Path, made: Any, kind: str, pack: Any) -> None:
    whole = [{"text": f"{n} {n**20}"} for n in range(20_000)]
    raw = pack(made[1](whole))
    path = tmp_path / f"rows.{made[0]}.{kind}"
    path.write_bytes(raw[: len(raw) // 2])
    *good, last = plain(path)
    assert last.fate == "damaged_bytes" and last.offset == len(good) and len(good) > 3000
    assert [r.text for r in good] == [row["text"] for row in whole[: len(good)]]
    path.write_bytes(raw)
    assert [r.text for r in plain(path)] == [row["text"] for row in whole]


@pytest.mark.parametrize("kind", ["parquet", "arrow", "feather", "jsonl.gz", "jsonl.zst"])
def test_a_file_of_rubbish_is_one_fate(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    path.write_bytes(b"PAR1 this is no table, whatever it is called PAR1")
    assert [(r.fate, r.offset, r.text) for r in plain(path)] == [("damaged_bytes", 0, None)]


@pytest.mark.parametrize("kind", ["parquet", "arrow", "feather"])
def test_any_damaged_byte_of_a_columnar_file_ends_in_rows_or_fates(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    write(path, [{"text": f"Row number {n}, with some text."} for n in range(40)])
    raw = path.read_bytes()
    for at in range(0, len(raw), 29):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 0x5A]) + raw[at + 1 :])
        for record in plain(path):
            assert (record.text is None) == bool(record.fate)


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1, max_size=20).filter(str.strip)


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8))
def test_whatever_the_csv_module_writes_is_read_back(cells: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.csv")
        path.write_bytes(delimited([{"text": text, "title": title} for text, title in cells]))
        found = read(path, title_column="title")
        assert [(r.text, r.title) for r in found] == cells
        assert [r.offset for r in found] == list(range(len(cells)))


def test_a_bad_row_of_csv_costs_no_other_and_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    head = b"\xef\xbb\xbftext,title\r\n" + b'"two\nlines",a\n\n'
    path.write_bytes(head + b"only one\na,b,c\ncaf\xe9,b\nx\ry,b\nok,caf\xe9\n")
    assert [(r.offset, r.text, r.title, r.fate, r.detail[:6]) for r in read(path, title_column="title")] == [
        (0, "two\nlines", "a", "", ""),
        (1, None, "", "bad_row", "line 5"),
        (2, None, "", "bad_row", "line 6"),
        (3, None, "b", "not_decodable", "line 7"),
        (4, None, "", "bad_row", "line 8"),
        (5, "ok", "caf\ufffd", "", ""),
    ]


def test_a_quotation_mark_without_end_is_skipped_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited_rows, "MAX_ROW_BYTES", 100_000)
    path = tmp_path / "rows.csv"
    path.write_bytes(b'text\nbefore\n"open' + b"x\n" * 30_000 + b"y" * 60_000_000 + b"\nafter\n")
    tracemalloc.start()
    found = plain(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(r.text, r.fate) for r in found] == [("before", ""), (None, "row_too_large"), ("after", "")]
    assert peak < 12_000_000


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "feather"])
def test_names_with_dots_lead_into_nested_columns(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    write(
        path,
        [{"doc": {"body": "Text."}, "meta": {"url": "https://a.example/", "more": {"lang": "en"}}, "a.b": "t"}] * 3,
    )
    found = read(
        path, text_column="doc.body", url_column="meta.url", language_column="meta.more.lang", title_column="a.b"
    )
    assert [(r.text, r.url, r.declared_language, r.title) for r in found] == [
        ("Text.", "https://a.example/", "en", "t")
    ] * 3
    with pytest.raises(SourceError, match=r"has no column meta\.link"):
        read(path, text_column="doc.body", url_column="meta.link")


def test_columns_of_other_types(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    when = pa.array([0, 86_400_000_000], pa.timestamp("us"))
    title = pa.array(["x", "y"]).dictionary_encode()
    pq.write_table(
        pa.table({"text": title, "date": when, "title": title, "url": [1, None], "licence": [[1], []]}), path
    )
    assert [(r.text, r.date, r.title, r.url, r.licence) for r in read(path)] == [
        ("x", "1970-01-01T00:00:00.000000", "x", "1", ""),
        ("y", "1970-01-02T00:00:00.000000", "y", "", ""),
    ]
    (first, _) = read(path, text_column="licence")
    assert first.fate == "text_not_string" and first.detail.startswith("list<")


def test_bytes_that_are_no_utf8_cost_only_their_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.arrow"
    lying = pa.array([b"good", b"caf\xe9", b"also good"], pa.binary()).view(pa.string())
    with pa.ipc.new_file(path, pa.schema({"text": pa.string()})) as writer:
        writer.write_batch(pa.record_batch([lying], ["text"]))
    assert [(r.text, r.fate) for r in plain(path)] == [("good", ""), (None, "not_decodable"), ("also good", "")]


def test_half_a_surrogate_pair_becomes_a_replacement_character(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(rb'{"text": "a\ud800b \ud83d\ude42"}' + b"\n")
    assert [r.text for r in plain(path)] == ["a\ufffdb \N{SLIGHTLY SMILING FACE}"]


def test_text_and_markdown_files_are_one_document_each(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.md").write_bytes("\ufeff# Größe\n\nText.\n".encode())
    (tmp_path / "b.txt").write_bytes("Wide.".encode("utf-16"))
    (tmp_path / "c.txt").write_bytes(b"caf\xe9")
    (tmp_path / "d.txt").write_bytes(b" \n")
    found = {r.path: (r.text, r.fate) for r in plain(tmp_path)}
    assert found == {
        "sub/a.md": ("# Größe\n\nText.\n", ""),
        "b.txt": ("Wide.", ""),
        "c.txt": (None, "not_decodable"),
        "d.txt": (None, "empty_text"),
    }


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz"])
def test_a_row_without_end_is_skipped_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(tables, "MAX_ROW_BYTES", 100_000)
    raw = b'{"text": "before"}\n{"text": "' + b"x" * 60_000_000 + b'"}\n{"text": "after"}\n'
    path = tmp_path / f"rows.{kind}"
    path.write_bytes(gzip.compress(raw, 1) if kind.endswith("gz") else raw)
    del raw
    tracemalloc.start()
    found = plain(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(r.text, r.fate) for r in found] == [("before", ""), (None, "row_too_large"), ("after", "")]
    assert peak < 12_000_000


def test_large_texts_are_fates_in_every_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROW_BYTES", 100)
    monkeypatch.setattr(rows, "MAX_ROW_BYTES", 100)
    monkeypatch.setattr(delimited_rows, "MAX_ROW_BYTES", 100)
    long = [{"text": "y" * 101}, {"text": "z" * 80}]
    for kind in FORMATS:
        write(tmp_path / f"rows.{kind}", long)
        assert [r.fate for r in plain(tmp_path / f"rows.{kind}")] == ["row_too_large", ""]
    (tmp_path / "long.md").write_text("w" * 101)
    assert [r.fate for r in plain(tmp_path / "long.md")] == ["row_too_large"]


def test_errors_say_what_is_wrong_with_the_recipe_or_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    write(path, ROWS)
    with pytest.raises(
        SourceError, match=r"sources\.books: rows\.parquet has no column link; its columns are text, url"
    ):
        read(path, url_column="link")
    (tmp_path / "rows.ods").write_text("text\nhello\n")
    with pytest.raises(SourceError, match=r"rows\.ods: unknown kind of file; a table ends in \.jsonl"):
        plain(tmp_path / "rows.ods")
    file = local_slice("books", path, "rows.parquet")
    with path.open("ab") as grown:
        grown.write(b"more")
    with pytest.raises(SourceError, match=r"it has \d+ bytes and had \d+ when it was listed"):
        list(read_table(file, source(path)))
    path.unlink()
    with pytest.raises(SourceError, match=r"rows\.parquet cannot be read: .*No such file"):
        list(read_table(file, source(path)))


def test_a_store_other_than_the_disk(tmp_path: Path) -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    for kind in FORMATS:
        write(tmp_path / f"rows.{kind}", ROWS)
        store.pipe_file(f"/tables/rows.{kind}", (tmp_path / f"rows.{kind}").read_bytes())
        options = TableSource(type="tables", path=f"memory://tables/rows.{kind}")
        found = [record for file in list_files("books", options) for record in read_table(file, options)]
        assert [(r.text, bool(r.fate)) for r in found] == [(row[0], bool(row[1])) for row in EXPECTED]


def test_real_collections_row_by_row(shared_data: Path) -> None:
    for name, column in (("books/gutenberg.jsonl.gz", "text"), ("code/debian-packages.jsonl.gz", "text")):
        path = shared_data / name
        with gzip.open(path, "rt", encoding="utf-8") as file:
            expected = [json.loads(line)[column] for line in file]
        assert [r.text for r in read(path, text_column=column)] == expected
