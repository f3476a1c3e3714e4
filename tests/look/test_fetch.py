"""A version on a store comes whole or not at all."""

import json
import uuid
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from pipeline.files import DamagedError
from pipeline.look import fetch
from pipeline.look.fetch import fetch_version
from pipeline.manifest import ManifestError, load_manifest
from pipeline.versions import VersionError
from tests.small_dataset import run_pipeline

Counted = list[tuple[int, int]]


@pytest.fixture
def store(small_version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a dataset that holds the small version, and an empty cache."""
    monkeypatch.setenv("GRISTMILL_CACHE", str(tmp_path / "cache"))
    url = f"memory://{uuid.uuid4().hex}"
    files = fsspec.filesystem("memory")
    version = small_version.resolve()
    for path in version.rglob("*"):
        if path.is_file():
            files.pipe_file(f"{url}/{version.name}/{path.relative_to(version)}", path.read_bytes())
    files.pipe_file(f"{url}/latest", f"{version.name}\n".encode())
    return url


def fetched(url: str) -> tuple[Path, Counted]:
    counted: Counted = []
    return fetch_version(url, lambda size, total: counted.append((size, total))), counted


def test_what_the_trainer_reads_comes_and_comes_once(store: str, small_version: Path) -> None:
    folder, counted = fetched(store)
    described = load_manifest(small_version)
    files = [file for file in described.files if file.kind in ("shard", "tokenizer")]
    assert files and load_manifest(folder) == described
    for file in files:
        assert (folder / file.path).read_bytes() == (small_version / file.path).read_bytes()
    assert not list(folder.glob("documents*"))
    assert sum(size for size, _ in counted) == counted[0][1] == sum(file.size for file in files)
    assert fetched(f"{store}/{small_version.resolve().name}/") == (folder, [])


def test_an_interrupted_copy_goes_on(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "AT_ONCE", 1)
    inner, asked = fetch._copy, []

    def copy(*arguments: object) -> int:
        asked.append(arguments[1])
        if len(asked) == 3:
            raise KeyboardInterrupt
        return inner(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(fetch, "_copy", copy)
    with pytest.raises(KeyboardInterrupt):
        fetched(store)
    files = fsspec.filesystem("memory")
    got: list[str] = []
    get = type(files).get_file
    monkeypatch.setattr(type(files), "get_file", lambda self, path, to: (got.append(path), get(self, path, to)))
    folder, counted = fetched(store)
    assert 0 < len(got) <= len(counted) - 2 and (folder / "manifest.json").is_file()


def test_damaged_bytes_are_never_taken(store: str, small_version: Path, tmp_path: Path) -> None:
    version = small_version.resolve().name
    shard = next(file for file in load_manifest(small_version).files if file.kind == "shard")
    files = fsspec.filesystem("memory")
    path = f"{store}/{version}/{shard.path}"
    raw = files.cat_file(path)
    files.pipe_file(path, raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(DamagedError, match=rf"{shard.path}: not the .* that the manifest names"):
        fetched(store)
    assert not (tmp_path / "cache" / "versions" / version).exists()
    files.pipe_file(path, raw)
    assert fetched(store)[0].name == version


def test_a_manifest_that_is_not_the_version_s(store: str, small_version: Path) -> None:
    files = fsspec.filesystem("memory")
    path = f"{store}/{small_version.resolve().name}/manifest.json"
    value = json.loads(files.cat_file(path))
    files.pipe_file(path, json.dumps(value | {"name": "other"}).encode())
    with pytest.raises(ManifestError, match="its sha256 begins with"):
        fetched(store)


def test_a_path_that_leaves_the_folder_is_refused(store: str, small_version: Path, tmp_path: Path) -> None:
    described = load_manifest(small_version)
    evil = replace(described, files=[replace(described.files[0], kind="shard", path="../../outside.txt")])
    fsspec.filesystem("memory").pipe_file(f"{store}/{evil.version}/manifest.json", evil.to_bytes())
    with pytest.raises(DamagedError, match="lies outside of the version"):
        fetched(f"{store}/{evil.version}")


def test_no_version_is_an_error() -> None:
    with pytest.raises(VersionError, match=r"holds neither manifest\.json nor latest"):
        fetched("memory://nothing-there")


def test_the_command_fetches_and_trains(small_version: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    made = run_pipeline(
        "train", "recipes/train/tiny.yaml", f"--data={small_version.resolve().as_uri()}", "--output", tmp_path / "o",
        "--plan", env={"GRISTMILL_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert "sha256 of each file checked" in made.stdout
    assert f"cache/versions/{small_version.resolve().name}" in made.stdout
    missing = run_pipeline("train", "recipes/train/tiny.yaml", "--data", "memory://nothing-there")
    assert missing.returncode == 2 and missing.stderr.startswith("error: memory://")
