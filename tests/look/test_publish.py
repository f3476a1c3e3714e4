"""What is published is read back by the programs it is for, and uploaded as a whole or not at all."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import ConfigError
from pipeline.files import DamagedError
from pipeline.look.publish import Published, check, publish, upload
from pipeline.manifest import load_manifest
from pipeline.shards import open_shard
from tests.small_dataset import run_pipeline


def made(version: Path, to: Path) -> Published:
    return publish(version, to, lambda what, n: None)


@pytest.fixture(scope="module")
def hub(small_version: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("hub") / "small"
    made(small_version, to)
    return to


def split_of_ids(version: Path) -> dict[str, str]:
    """Document id -> split, by the shards."""
    found: dict[str, str] = {}
    for file in (f for f in load_manifest(version).files if f.kind == "shard"):
        shard = open_shard(version / file.path)
        found |= {key.tobytes().hex(): file.split for row in range(len(shard)) for key in shard.ids(row)}
    return found


def test_datasets_reads_the_folder(small_version: Path, hub: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the package datasets is not installed")
    loaded = datasets.load_dataset(str(hub), cache_dir=str(tmp_path))
    expected = {row["id"].hex(): row for row in pq.read_table(small_version / "documents").to_pylist()}
    splits = split_of_ids(small_version)
    seen = {}
    for split, rows in loaded.items():
        for row in rows:
            assert splits[row["id"]] == split
            seen[row["id"]] = row
    assert seen.keys() == expected.keys()
    names = ("text", "url", "title", "date", "language", "licence", "source")
    assert all(seen[key][name] == expected[key][name] for key in seen for name in names)
    decisions = datasets.load_dataset(str(hub), "decisions", cache_dir=str(tmp_path))["train"]
    assert len(decisions) == pq.read_table(small_version / "decisions").num_rows


def test_the_snippet_of_the_readme_runs(hub: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="the package datasets is not installed")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    monkeypatch.chdir(hub)
    text = (hub / "README.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    assert "load_dataset(" in snippets[0]
    for snippet in snippets[:4]:
        exec(compile(snippet, "README.md", "exec"), {})


ITS_OWN_WARNINGS = pytest.mark.filterwarnings("ignore")
"""mlcroissant's libraries warn of each other."""


def croissant_of(folder: Path) -> Any:
    mlcroissant = pytest.importorskip("mlcroissant", reason="the package mlcroissant is not installed")
    dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    assert dataset.metadata.issues.errors == set()
    return dataset


@ITS_OWN_WARNINGS
def test_croissant_of_a_version(small_version: Path) -> None:
    dataset = croissant_of(small_version)
    rows = {row["documents/id"]: row for row in dataset.records("documents")}
    expected = {row["id"]: row for row in pq.read_table(small_version / "documents").to_pylist()}
    assert rows.keys() == expected.keys()
    for key, row in rows.items():
        assert row["documents/text"].decode() == expected[key]["text"]
        assert row["documents/cluster_size"] == expected[key]["cluster_size"]
    n = pq.read_table(small_version / "decisions").num_rows
    assert sum(1 for _ in dataset.records("decisions")) == n
    said = json.loads((small_version / "croissant.json").read_bytes())
    listed = {entry["contentUrl"]: entry["sha256"] for entry in said["distribution"] if "sha256" in entry}
    described = load_manifest(small_version)
    assert listed == {file.path: file.sha256 for file in described.files}
    assert said["version"] == described.version == small_version.name


@ITS_OWN_WARNINGS
def test_croissant_of_what_is_published(hub: Path) -> None:
    dataset = croissant_of(hub)
    for split in ("train", "validation"):
        texts = [row[f"{split}/text"].decode() for row in dataset.records(split)]
        assert sorted(texts) == sorted(pq.read_table(hub / "data" / split)["text"].to_pylist()) != []


def test_croissant_columns_are_those_of_the_files(small_version: Path, hub: Path) -> None:
    for folder in (small_version, hub):
        said = json.loads((folder / "croissant.json").read_bytes())
        for table in said["recordSet"]:
            (files,) = (e["includes"] for e in said["distribution"] if e["@id"] == f"{table['name']}-files")
            for path in folder.glob(files):
                schema = pq.read_schema(path)
                assert [field["name"] for field in table["field"]] == schema.names
                for field in table["field"]:
                    kind = schema.field(field["name"]).type
                    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
                    assert (field["dataType"] != "sc:Text") == is_number


def test_the_trainer_reads_it(hub: Path, small_version: Path) -> None:
    from pathlib import Path as Folder

    from training.data import Batches, Dataset

    found = [Batches(Dataset(Folder(place)), seed=0, context=64).at(0, 2) for place in (hub, small_version)]
    assert found[0][1] == found[1][1] and (found[0][0].tokens == found[1][0].tokens).all()


def test_what_is_there_and_what_is_not(small_version: Path, hub: Path) -> None:
    names = {path.relative_to(hub).parts[0] for path in hub.rglob("*") if path.is_file()}
    assert names == {
        "README.md",
        "card.html",
        "croissant.json",
        "manifest.json",
        "plots",
        "data",
        "decisions",
        "shards",
        "tokenizer",
    }
    assert (hub / "manifest.json").read_bytes() == (small_version / "manifest.json").read_bytes()
    assert not list(hub.parent.glob(".aside*"))


def test_damage_is_not_published(small_version: Path, tmp_path: Path) -> None:
    version = tmp_path / small_version.name
    shutil.copytree(small_version, version)
    shard = next((version / "shards").rglob("*.arrow"))
    shard.write_bytes(b"x" + shard.read_bytes()[1:])
    with pytest.raises(DamagedError, match=shard.name):
        made(version, tmp_path / "to")
    assert [path.name for path in tmp_path.iterdir()] == [version.name]


def test_a_folder_that_is_there_is_left_alone(small_version: Path, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    with pytest.raises(ConfigError, match="is there already"):
        made(small_version, tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []


def test_a_changed_folder_is_not_uploaded(small_version: Path, tmp_path: Path) -> None:
    made(small_version, tmp_path / "to")
    check(tmp_path / "to", small_version.name)
    with pytest.raises(ConfigError, match="its version is"):
        check(tmp_path / "to", "0" * 16)
    changed = next((tmp_path / "to" / "data").rglob("*.parquet"))
    changed.write_bytes(changed.read_bytes() + b"x")
    with pytest.raises(ConfigError, match=rf"{changed.name} was changed"):
        check(tmp_path / "to", small_version.name)
    with pytest.raises(ConfigError, match="is no published version"):
        check(small_version.parent, small_version.name)


class FakeHub:
    """Stands for `huggingface_hub.HfApi`: notes what it is asked, as the real one's signatures allow."""

    asked: list[tuple[str, dict[str, Any]]] = []  # noqa: RUF012
    fails = False

    def create_repo(self, repo_id: str, **options: Any) -> str:
        self.asked.append(("create_repo", {"repo_id": repo_id, **options}))
        return f"https://hub.example/datasets/{repo_id}"

    def upload_folder(self, **options: Any) -> None:
        if self.fails:
            raise ConnectionError("no route to hub.example")
        self.asked.append(("upload_folder", options))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeHub]:
    real = huggingface_hub.HfApi
    FakeHub.asked, FakeHub.fails = [], False
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeHub)
    import inspect

    for name in ("create_repo", "upload_folder"):
        known = inspect.signature(getattr(real, name)).parameters
        assert {"repo_id", "repo_type"} <= set(known)
    FakeHub.known = {n: set(inspect.signature(getattr(real, n)).parameters) for n in ("create_repo", "upload_folder")}  # type: ignore[attr-defined]
    return FakeHub


def test_upload_makes_a_private_repository_and_one_commit(hub: Path, small_version: Path, fake: type[FakeHub]) -> None:
    assert upload(hub, "someone/small", small_version.name) == "https://hub.example/datasets/someone/small"
    (made_, sent) = fake.asked
    assert made_ == (
        "create_repo",
        {"repo_id": "someone/small", "repo_type": "dataset", "private": True, "exist_ok": True},
    )
    assert sent[1]["folder_path"] == hub and sent[1]["repo_type"] == "dataset"
    assert small_version.name in sent[1]["commit_message"] and "data/**" in sent[1]["delete_patterns"]
    for name, options in fake.asked:
        assert set(options) <= fake.known[name]  # type: ignore[attr-defined]


def test_an_upload_that_fails_says_how_to_go_on(hub: Path, fake: type[FakeHub]) -> None:
    fake.fails = True
    with pytest.raises(OSError, match=r"no route to hub\.example.* the same command tries again"):
        upload(hub, "someone/small", "0" * 16)


def test_the_command(
    small_version: Path, tmp_path: Path, fake: type[FakeHub], capsys: pytest.CaptureFixture[str]
) -> None:
    from typer.testing import CliRunner

    from pipeline.cli.main import app

    to = tmp_path / "to"
    done = run_pipeline("publish", small_version, "--to", to)
    assert done.returncode == 0, done.stderr
    assert re.search(r"Next: read .*card\.html; datasets\.load_dataset\(", done.stdout)
    assert "warning: the card does not say it: card.contact" in done.stdout
    again = run_pipeline("publish", small_version, "--to", to)
    assert again.returncode == 2 and "is there already" in again.stderr
    before = {path: path.stat().st_mtime_ns for path in to.rglob("*")}
    result = CliRunner().invoke(app, ["publish", str(small_version), "--to", str(to), "--upload", "someone/small"])
    assert result.exit_code == 0, result.output
    assert "Uploaded to https://hub.example/datasets/someone/small" in result.output
    assert [name for name, _ in fake.asked] == ["create_repo", "upload_folder"]
    assert before == {path: path.stat().st_mtime_ns for path in to.rglob("*")}
    fake.fails = True
    result = CliRunner().invoke(app, ["publish", str(small_version), "--to", str(to), "--upload", "someone/small"])
    assert result.exit_code == 1 and "no route" in result.output
