"""Examples are those with the smallest ids, ten of a kind, scrubbed and cut, whatever the Parts."""

import json
from collections import Counter
from html import unescape
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from pipeline.card.examples import examples
from pipeline.card.sampling import N, drawn, excerpts, first_of_each
from pipeline.manifest import Example, load_manifest
from tests.card.test_card import manifest
from tests.small_dataset import article, run_pipeline


@given(st.lists(st.sampled_from(["", "a", "b"]), max_size=80))
def test_the_first_rows_of_each_reason(reasons: list[str]) -> None:
    seen: Counter[str] = Counter()
    expected = []
    for reason in reasons:
        seen[reason] += 1
        expected.append(seen[reason] <= N)
    assert first_of_each(pa.chunked_array([pa.array(reasons, pa.string())])).tolist() == expected


def table(rows: list[tuple[bytes, str, str]]) -> pa.Table:
    ids, sources, reasons = (list(column) for column in zip(*sorted(rows), strict=True)) if rows else ([], [], [])
    n = len(ids)
    names = {"source": sources, "reason": reasons, "language": ["en"] * n, "url": ["u" * 999] * n, "title": ["t"] * n}
    columns = {name: pa.array(values, pa.string()) for name, values in names.items()}
    texts = pa.array(["é" * 999] * n, pa.large_string())
    return excerpts(pa.table({"id": pa.array(ids, pa.binary(16)), **columns, "text": texts}))


ROWS = st.lists(
    st.tuples(st.binary(min_size=16, max_size=16), st.sampled_from(["s", "t"]), st.sampled_from(["", "a", "b"])),
    max_size=60,
    unique_by=lambda row: row[0],
)


@given(ROWS, st.integers(1, 5))
def test_the_cutting_into_parts_changes_nothing(rows: list[tuple[bytes, str, str]], n_parts: int) -> None:
    parts = [table(rows[k::n_parts]) for k in range(n_parts)]
    assert drawn(parts) == drawn([table(rows)])
    groups = Counter((e.reason, "" if e.reason else e.source) for e in drawn(parts))
    assert all(n <= N for n in groups.values())
    for group in groups:
        every = sorted(key.hex() for key, s, reason in rows if (reason, "" if reason else s) == group)
        assert [e.id for e in drawn(parts) if (e.reason, "" if e.reason else e.source) == group] == every[:N]


def test_an_example_is_cut_and_says_how_long_it_was() -> None:
    (example,) = drawn([table([(b"0" * 16, "s", "")])])
    assert (len(example.text), example.n_chars, len(example.url)) == (600, 999, 300)


def test_reasons_stand_in_the_order_of_the_decisions_with_how_many_there_are() -> None:
    one = Example("cc", "", "00", "en", "https://a.example/", "A title", 700, "x" * 600)
    found = [Example("cc", reason, "00", "en", "", "", 2, "\n\n\n") for reason in ("near_duplicate", "too_short")]
    made = manifest(examples=[one, *found])
    text = examples(made)
    summaries = [unescape(line) for line in text.splitlines() if line.startswith("<summary>")]
    assert summaries == [
        "<summary>cc: 1 of 1,300</summary>",
        "<summary>too_short: 1 of 500</summary>",
        "<summary>near_duplicate: 1 of 150</summary>",
    ]
    assert "`cc`, `en`, 700 characters, `https://a.example/`, `A title`" in text
    assert "x" * 600 + "…\n```" in text


def test_of_a_real_version(tmp_path: Path) -> None:
    """Scrubbed as the recipe says, kept ones as in the dataset, none of what was removed on request."""
    rows = [{"text": article(seed), "url": f"https://plain.example/{seed}"} for seed in range(40)]
    rows += [
        {"text": f"Short: some.body@mailhost.net {n}", "url": f"https://s.example/?m=a.b@mailhost.net&n={n}"}
        for n in range(15)
    ]
    rows += [{"text": article(3) + "!", "url": "https://copy.example/"}]
    rows += [{"text": f"{article(99)}\nWrite to some.body@mailhost.net", "url": "https://gone.example/1"}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "gone.txt").write_text("https://gone.example/1\n")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"""\
name: shown
sources: {{rows: {{type: tables, path: "{tmp_path}/rows.jsonl", url_column: url}}}}
steps: [{{type: limit, name: short, measure: n_chars, min: 300}}]
removals: {{files: ["{tmp_path}/gone.txt"]}}
tokenizer: {{vocab_size: 600}}
packing: {{seq_len: 64}}
"""
    )
    done = run_pipeline("run", recipe, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    dataset = tmp_path / "out" / "shown"
    version = dataset / (dataset / "latest").read_text().strip()
    described = load_manifest(version)
    assert Counter(e.reason for e in described.examples) == {"": 10, "short": 10, "near_duplicate": 1}
    raw = json.dumps([vars_of(e) for e in described.examples])
    assert "mailhost" not in raw and "gone.example" not in raw
    documents = pq.read_table(version / "documents").sort_by("id").slice(0, 10).to_pylist()
    kept = [e for e in described.examples if not e.reason]
    assert [(e.id, e.text, e.url) for e in kept] == [(d["id"].hex(), d["text"][:600], d["url"]) for d in documents]
    for name in ("card.html", "card.md", "manifest.json"):
        assert "mailhost" not in (version / name).read_text()
    done = run_pipeline("run", recipe, "--output", tmp_path / "out", "--set", "keep.examples=false")
    assert done.returncode == 0, done.stderr
    version = dataset / (dataset / "latest").read_text().strip()
    assert load_manifest(version).examples == [] and "Examples" not in (version / "card.html").read_text()


def vars_of(example: Example) -> dict[str, object]:
    return {name: getattr(example, name) for name in Example.__slots__}
