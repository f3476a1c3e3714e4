"""The whole corridor on planted truth: what comes out, what is remembered, and what does not run again."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.manifest import Manifest, load_manifest
from pipeline.shards import open_shard
from pipeline.tokenizer import vocab
from tests.small_dataset import run_pipeline, write_small_recipe

OUT = "--output"


def version_folder(dataset: Path) -> Path:
    return dataset / (dataset / "latest").read_text().strip()


def tables(folder: Path, described: Manifest, kind: str) -> pa.Table:
    return pa.concat_tables([pq.read_table(folder / f.path) for f in described.files if f.kind == kind])


@pytest.fixture(scope="module")
def walked(tmp_path_factory) -> Path:
    """A folder with the small recipe, its data, and `out`, where it has been run."""
    folder = tmp_path_factory.mktemp("walked")
    done = run_pipeline("run", write_small_recipe(folder), OUT, folder / "out", "--workers", "2")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def small_recipe(walked: Path) -> Path:
    return walked / "recipe.yaml"


@pytest.fixture
def made(walked: Path, tmp_path: Path) -> Path:
    """The version's folder in a copy of `out`; `cp -a` keeps what is one file one file."""
    subprocess.run(["cp", "-a", walked / "out", tmp_path / "out"], check=True)
    return version_folder(tmp_path / "out" / "small")


def to_run(text: str) -> dict[str, int]:
    """Stage -> Parts to run, from the output of `pipeline plan`."""
    return {m[1]: int(m[2]) for m in re.finditer(r"^(\w+) +\d+ +\d+ +(\d+)$", text, re.M)}


def test_every_planted_record_meets_its_fate(made: Path) -> None:
    described = load_manifest(made)
    decisions = tables(made, described, "decisions").to_pylist()
    by_url = {row["url"]: row["reason"] for row in decisions if row["source"] == "main"}
    kinds = {"short.example": "short", "trap.example/longest": "hashes"}
    for part, reason in kinds.items():
        found = {why for url, why in by_url.items() if part in url}
        assert found == {reason}, part
    for seed in range(5):
        pair = [by_url[f"https://{host}.example/{seed}"] for host in ("plain", "copy")]
        assert sorted(pair) == ["", "exact_duplicate"]
    for seed in range(10, 15):
        pair = [by_url[f"https://{host}.example/{seed}"] for host in ("plain", "near")]
        assert sorted(pair) == ["", "near_duplicate"]
    assert by_url["https://trap.example/survivor"] == ""
    assert by_url["https://plain.example/50"] == ""
    fates = sorted(row["reason"] for row in decisions if row["source"] == "extra" and row["reason"])
    # The copy in the source that comes later in the recipe goes.
    assert fates == ["bad_json", "exact_duplicate", "text_not_string"]


def test_one_decision_for_every_record_and_sums_that_hold(made: Path) -> None:
    described = load_manifest(made)
    decisions = tables(made, described, "decisions")
    counts = described.counts
    assert decisions.num_rows == sum(counts["records"].values()) == 137 + 63
    assert len(set(decisions["id"].to_pylist())) == decisions.num_rows
    for name, n in counts["records"].items():
        fates = sum(counts["fates"].get(name, {}).values())
        dropped = sum(counts["dropped"].get(name, {}).values())
        assert n == fates + dropped + counts["documents"][name]
    assert counts["cluster_sizes"] == {"2": 11}


def test_personal_data_is_gone_from_text_and_url_everywhere(made: Path) -> None:
    described = load_manifest(made)
    documents = tables(made, described, "documents")
    joined = "\n".join(documents["text"].to_pylist() + documents["url"].to_pylist())
    joined += "\n".join(tables(made, described, "decisions")["url"].to_pylist())
    assert "mailhost.net" not in joined
    assert "9.9.9.9" not in joined
    assert described.counts["pii"]["main"] == {"email": 2, "ip": 1}


def test_shards_hold_every_token_of_every_clean_document_once(made: Path) -> None:
    described = load_manifest(made)
    words = vocab.load(made / described.tokenizer["path"])
    pieces: dict[bytes, list[tuple[int, list[int]]]] = {}
    splits: dict[bytes, set[str]] = {}
    for file in described.files:
        if file.kind != "shard":
            continue
        shard = open_shard(made / file.path)
        assert len(shard) == file.rows
        for row in range(len(shard)):
            tokens, at = shard.tokens(row), 0
            for length, start, key in zip(shard.lengths(row), shard.starts(row), shard.ids(row), strict=True):
                pieces.setdefault(bytes(key), []).append((int(start), tokens[at : at + length].tolist()))
                splits.setdefault(bytes(key), set()).add(file.split)
                at += length
    documents = tables(made, described, "documents").to_pylist()
    assert {d["id"] for d in documents} == set(pieces)
    assert {len(s) for s in splits.values()} == {1}
    assert {s for some in splits.values() for s in some} == {"train", "validation"}
    for document in documents:
        ids = words.encode([document["text"]])[0]
        expected = [words.bos_id, *ids.tolist(), words.eos_id]
        joined = [words.bos_id]
        for start, tokens in sorted(pieces[document["id"]]):
            assert start == len(joined) - 1 and tokens[0] == joined[-1]
            joined += tokens[1:]
        assert joined == expected
    assert sum(map(len, (words.encode([d["text"]])[0] for d in documents))) + 2 * len(documents) == sum(
        cell.tokens for cell in described.cells
    )


def test_the_mix_is_what_was_asked(made: Path) -> None:
    described = load_manifest(made)
    shares = {row.cell: row.share for row in described.mixture}
    assert shares["main"] == pytest.approx(0.7, abs=0.05)
    assert sum(shares.values()) == pytest.approx(1)


def test_running_again_does_nothing_in_under_a_second(small_recipe: Path, cli, tmp_path: Path, made: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.is_file()}
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        again = cli("run", small_recipe, OUT, tmp_path / "out")
        seconds.append(time.perf_counter() - begun)
        assert again.returncode == 0 and "Nothing to do" in again.stdout
    after = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert after == before
    heavy = (
        "import sys, pipeline.cli.main; "
        "print([m for m in ('numba', 'numpy', 'polars', 'pyarrow', 'datatrove') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"  # the reason why it is quick, which no noisy machine can hide


def test_a_changed_limit_runs_no_extract_and_no_measure(small_recipe: Path, cli, tmp_path: Path, made: Path) -> None:
    change = ["--set", "steps.0.min=2000"]
    planned = cli("plan", small_recipe, OUT, tmp_path / "out", *change)
    runs = to_run(planned.stdout)
    assert runs["extract"] == runs["measure"] == 0
    assert runs["judge"] > 0 and runs["describe"] == 1
    assert "min: 100.0 -> 2000.0" in planned.stdout
    kept = {p: p.stat().st_mtime_ns for s in ("extract", "measure") for p in (made.parent / "work" / s).rglob("*")}
    done = cli("run", small_recipe, OUT, tmp_path / "out", *change)
    assert done.returncode == 0, done.stderr
    assert {
        p: p.stat().st_mtime_ns for s in ("extract", "measure") for p in (made.parent / "work" / s).rglob("*")
    } == kept
    assert version_folder(made.parent) != made


def test_a_changed_mix_runs_no_pack(small_recipe: Path, cli, tmp_path: Path, made: Path) -> None:
    change = ["--set", "mixture.weights={main: 0.5, extra: 0.5}"]
    runs = to_run(cli("plan", small_recipe, OUT, tmp_path / "out", *change).stdout)
    assert {stage: n for stage, n in runs.items() if n} == {"describe": 1}
    done = cli("run", small_recipe, OUT, tmp_path / "out", *change)
    assert done.returncode == 0, done.stderr
    new = version_folder(made.parent)
    shards = [f for f in load_manifest(new).files if f.kind == "shard"]
    assert new != made
    assert [(new / f.path).stat().st_ino for f in shards] == [(made / f.path).stat().st_ino for f in shards]
    assert cli("run", small_recipe, OUT, tmp_path / "out").returncode == 0
    assert version_folder(made.parent) == made  # `latest` follows the last run


def test_a_touched_input_runs_only_what_reads_it(small_recipe: Path, cli, tmp_path: Path, made: Path) -> None:
    touched = small_recipe.parent / "data" / "extra.jsonl"
    before = touched.stat().st_mtime_ns
    os.utime(touched, ns=(1, 1))
    planned = cli("plan", small_recipe, OUT, tmp_path / "out")
    runs = to_run(planned.stdout)
    assert runs["extract"] == 1 and "other size or time than before: extra.jsonl" in planned.stdout
    done = cli("run", small_recipe, OUT, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert version_folder(made.parent) == made  # same bytes, same version
    os.utime(touched, ns=(before, before))


def test_verify_finds_one_flipped_byte_and_a_missing_file(cli, tmp_path: Path, made: Path) -> None:
    assert cli("verify", "small", OUT, tmp_path / "out").returncode == 0
    described = load_manifest(made)
    shard = made / next(f.path for f in described.files if f.kind == "shard")
    raw = bytearray(shard.read_bytes())
    raw[len(raw) // 2] ^= 1
    shard.unlink()
    shard.write_bytes(raw)
    (made / "tokenizer" / "tokenizer.model").unlink()
    done = cli("verify", made.name[:6], OUT, tmp_path / "out")
    assert done.returncode == 1
    assert "tokenizer/tokenizer.model: missing" in done.stdout
    assert f"{shard.relative_to(made)}: sha256" in done.stdout
    assert "2 problems" in done.stdout


def test_list_names_versions_and_marks_the_latest(cli, tmp_path: Path, made: Path) -> None:
    done = cli("list", OUT, tmp_path / "out")
    assert f"small/{made.name}" in done.stdout and "latest" in done.stdout


def test_the_manifest_holds_no_time_host_or_place(made: Path, tmp_path: Path) -> None:
    described = json.loads((made / "manifest.json").read_text())
    described["recipe"]["sources"] = None  # the recipe says where its inputs are, as written
    text = json.dumps(described)
    assert str(tmp_path) not in text
    assert socket.gethostname() not in text
    assert not re.search(r"20\d\d-\d\d-\d\d[T ]\d\d:", text)


def test_a_removed_version_comes_back_as_it_was(small_recipe: Path, cli, tmp_path: Path, made: Path) -> None:
    before = (made / "manifest.json").read_bytes()
    shutil.rmtree(made)
    done = cli("run", small_recipe, OUT, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert (made / "manifest.json").read_bytes() == before
    assert cli("verify", "small", OUT, tmp_path / "out").returncode == 0


def test_bytes_damaged_in_place_are_not_published_again(small_recipe: Path, cli, tmp_path: Path, made: Path) -> None:
    shard = made / next(f.path for f in load_manifest(made).files if f.kind == "shard")
    with shard.open("r+b") as file:  # the Part holds the same file
        file.seek(shard.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    shutil.rmtree(made)
    failed = cli("run", small_recipe, OUT, tmp_path / "out")
    assert failed.returncode == 1
    found = re.search(r"not the bytes that were committed; remove the folder (\S+) and run again", failed.stderr)
    assert found and not made.exists()
    shutil.rmtree(found[1])
    assert cli("run", small_recipe, OUT, tmp_path / "out").returncode == 0
    assert cli("verify", "small", OUT, tmp_path / "out").returncode == 0
