"""Deduplication from tables to shards: by page, within scopes, verified, against an earlier version, repeated."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from tests.small_dataset import article, run_pipeline

RECIPE = """\
name: copies
sources:
  web: {{type: tables, path: "{data}/**/*.jsonl", url_column: url, date_column: date}}
tokenizer: {{vocab_size: 600}}
packing: {{seq_len: 64, validation_share: 0}}
dedup: {{{dedup}}}
"""


def write(folder: Path, files: dict[str, list[dict[str, Any]]], dedup: str) -> Path:
    shutil.rmtree(folder / "data", ignore_errors=True)
    for name, rows in files.items():
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps({"date": "", **row}) + "\n" for row in rows))
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(data=folder / "data", dedup=dedup))
    return recipe


def build(folder: Path, files: dict[str, list[dict[str, Any]]], dedup: str, *more: str) -> Path:
    """The version's folder."""
    done = run_pipeline("run", write(folder, files, dedup), "--output", folder / "out", *more)
    assert done.returncode == 0, done.stderr
    return folder / "out" / "copies" / (folder / "out" / "copies" / "latest").read_text().strip()


def decisions(version: Path) -> dict[str, dict[str, Any]]:
    rows = pl.read_parquet(version / "decisions" / "*.parquet").to_dicts()
    by_id = {row["id"]: row["url"] for row in rows}
    return {row["url"]: {**row, "survivor": by_id.get(row["survivor"])} for row in rows}


def page(number: int, text: str = "", **fields: str) -> dict[str, str]:
    return {"url": f"https://a.example/{number}", "text": text or article(number), **fields}


FILLER = [page(number) for number in range(100, 140)]


def near(number: int) -> str:
    return article(number).replace("day", "night", 2)


def test_captures_of_a_page_are_one_document_the_newest_stays(tmp_path: Path) -> None:
    old = {"url": "http://www.a.example/1#top", "text": article(901), "date": "2023-01-01"}
    rows = [page(1, date="2024-01-01"), old, page(2, date="2024-01-01"), *FILLER]
    version = build(tmp_path, {"rows.jsonl": rows}, "url: address, survivor: [latest]")
    found = decisions(version)
    assert found[old["url"]]["reason"] == "url_duplicate"
    assert found[old["url"]]["survivor"] == "https://a.example/1"
    assert found[old["url"]]["similarity"] < 0.2
    assert found["https://a.example/1"]["reason"] == found["https://a.example/2"]["reason"] == ""
    assert "same page" in (version / "card.md").read_text()


@pytest.mark.parametrize(
    ("scope", "same"),
    [
        ("all", {True, False}),
        pytest.param("source", {True, False}, marks=pytest.mark.long),
        ("snapshot", {True}),
        pytest.param("language", {True, False}, marks=pytest.mark.long),
    ],
)
def test_scopes(tmp_path: Path, scope: str, same: set[bool]) -> None:
    """A copy in the same crawl, and a copy in another one."""
    files = {
        "CC-MAIN-2024-10/rows.jsonl": [page(1), page(2), {**page(1), "url": "https://b.example/1"}, *FILLER],
        "CC-MAIN-2024-18/rows.jsonl": [{**page(2), "url": "https://b.example/2"}],
    }
    found = decisions(build(tmp_path, files, f"scope: {scope}"))
    dropped = {number: {found[f"https://{h}.example/{number}"]["reason"] for h in "ab"} for number in (1, 2)}
    assert dropped[1] == {"", "exact_duplicate"}
    assert dropped[2] == ({"", "exact_duplicate"} if False in same else {""})


@pytest.mark.parametrize("by", [pytest.param("signature", marks=pytest.mark.long), "shingles"])
def test_verification_lets_unlike_documents_live(tmp_path: Path, by: str) -> None:
    twin = {"url": "https://b.example/1", "text": near(1)}
    rows = [page(1), twin, {"url": "https://b.example/2", "text": article(2)}, page(2), *FILLER]
    strict = build(tmp_path, {"rows.jsonl": rows}, f"verify: {{jaccard: 0.995, by: {by}}}")
    found = decisions(strict)
    assert {found[url]["reason"] for url in ("https://a.example/1", "https://b.example/1")} == {""}
    assert {found[url]["reason"] for url in ("https://a.example/2", "https://b.example/2")} == {"", "exact_duplicate"}
    verified = json.loads((strict / "manifest.json").read_text())["counts"]["verified"]
    assert 0 < verified["rejected"] < verified["compared"]
    lax = decisions(build(tmp_path, {"rows.jsonl": rows}, f"verify: {{jaccard: 0.7, by: {by}}}"))
    (twins,) = ([lax[url] for url in ("https://a.example/1", "https://b.example/1")],)
    assert {row["reason"] for row in twins} == {"", "near_duplicate"}
    assert {row["similarity"] is None for row in twins} == {True, False}
    assert all(0.7 < row["similarity"] < 0.995 for row in twins if row["reason"])


def test_a_new_version_leaves_out_what_an_earlier_one_has_without_reading_its_texts(tmp_path: Path) -> None:
    first = build(tmp_path / "first", {"rows.jsonl": [page(1), page(2), page(3), *FILLER]}, "")
    for folder in ("documents", "shards", "decisions", "tokenizer"):
        shutil.rmtree(first / folder)
    shutil.rmtree(first.parent / "work")
    rows = [
        {"url": "https://b.example/1", "text": article(1)},
        {"url": "https://b.example/2", "text": near(2) + " " + near(2)},  # longer, and the earlier one stays
        *(page(number) for number in range(200, 240)),
        {"url": "https://b.example/200", "text": article(200)},
    ]
    second = build(tmp_path / "second", {"rows.jsonl": rows}, f"against: [{first}]")
    found = decisions(second)
    assert found["https://b.example/1"]["reason"] == found["https://b.example/2"]["reason"] == "earlier_duplicate"
    assert found["https://b.example/1"]["similarity"] == 1
    pair = [found[f"https://{h}.example/200"]["reason"] for h in "ab"]
    assert sorted(pair) == ["", "exact_duplicate"]
    assert sum(row["reason"] == "" for row in found.values()) == 40
    assert "in an earlier version" in (second / "card.md").read_text()
    # The very records of the first one are no news to a third.
    third = build(
        tmp_path / "first", {"rows.jsonl": [page(1), page(2), page(3), *FILLER, page(300)]}, f"against: [{first}]"
    )
    assert {row["reason"] for row in decisions(third).values()} == {"", "earlier_duplicate"}
    assert [url for url, row in decisions(third).items() if not row["reason"]] == ["https://a.example/300"]


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    first = build(tmp_path, {"rows.jsonl": FILLER}, "")
    for dedup, told in (
        (f"against: [{first}], bands: 5", "bands 14 there, 5 here"),
        (f"against: [{first}], url: address", "url 'off' there, 'address' here"),
        (f"against: [{first.parent}]", "holds no manifest.json; name the folder of one version"),
    ):
        done = run_pipeline("run", write(tmp_path, {"rows.jsonl": FILLER}, dedup), "--output", tmp_path / "out")
        assert done.returncode != 0
        assert told in done.stderr
        assert "Traceback" not in done.stderr
    bare = build(tmp_path, {"rows.jsonl": FILLER}, "", "--set", "keep.signatures=false")
    assert not (bare / "signatures").exists()
    done = run_pipeline(
        "run", write(tmp_path, {"rows.jsonl": FILLER}, f"against: [{bare}]"), "--output", tmp_path / "out"
    )
    assert "holds no signatures; make it again with keep.signatures: true" in done.stderr


def test_survivors_are_repeated_by_the_size_of_their_cluster(tmp_path: Path) -> None:
    copies = [{"url": f"https://b.example/{i}", "text": article(1)} for i in range(4)]
    pair = [{"url": "https://c.example/2", "text": article(2)}]
    files = {"rows.jsonl": [page(1), page(2), *copies, *pair, *FILLER]}
    version = build(tmp_path, files, "repeat_by_cluster_size: [{min_size: 2, times: 2}, {min_size: 5, times: 3}]")
    documents = pl.read_parquet(version / "documents" / "*.parquet")
    times = dict(documents.select("id", pl.col("cluster_size").replace({2: 2, 5: 3})).iter_rows())
    assert sorted(times.values()) == [1] * 40 + [2, 3]
    once = packed(build(tmp_path, files, ""))
    assert packed(version) == {i: times[i] * n for i, n in once.items()}
    assert json.loads((version / "manifest.json").read_text())["counts"]["repeats"] == {"web": 3}
    assert (
        "2 times from 2 documents on, 3 times from 5 documents on. 3 more copies" in (version / "card.md").read_text()
    )


def packed(version: Path) -> Counter[bytes]:
    """Id of a document -> its tokens in the training shards, one that two pieces share counted once."""
    found: Counter[bytes] = Counter()
    for path in (version / "shards" / "train").glob("*.arrow"):
        for row in pa.ipc.open_file(path).read_all().to_pylist():
            for i, n, start in zip(row["ids"], row["lengths"], row["starts"], strict=True):
                found[i] += n - (start > 0)
    return found
