"""Assets: what is in the cache is what is pinned, or there is an error that says what to do."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipeline import assets
from pipeline.assets import Asset, AssetError, Url, WheelMember, fetch, sha256_of

CONTENT = b"a model " * 1000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("GRISTMILL_CACHE", str(folder))
    return folder


def pin(monkeypatch: pytest.MonkeyPatch, *mirrors: Url | WheelMember, content: bytes = CONTENT) -> None:
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(assets.ASSETS, "toy", Asset("toy.bin", digest, len(content), "CC0-1.0", mirrors))


def mirror(folder: Path, content: bytes, name: str = "toy.bin") -> Url:
    path = folder / name
    path.write_bytes(content)
    return Url(path.as_uri())


def wheel_index(folder: Path, content: bytes, member: str = "toy/model.bin") -> Path:
    """A folder that pip takes for an index, with one wheel in it."""
    wheels = folder / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "gristmill_toy-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(member, content)
        wheel.writestr(
            "gristmill_toy-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: gristmill-toy\nVersion: 1.0\n"
        )
        wheel.writestr(
            "gristmill_toy-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("gristmill_toy-1.0.dist-info/RECORD", "")
    return wheels


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_first_mirror_that_works(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin(monkeypatch, Url((tmp_path / "gone").as_uri()), mirror(tmp_path, CONTENT))
    assert fetch("toy") == cache / "toy.bin"
    assert (cache / "toy.bin").read_bytes() == CONTENT
    assert left_in(cache) == ["toy.bin"]


def test_no_mirror_is_asked_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin(monkeypatch, mirror(tmp_path, CONTENT))
    path = fetch("toy")
    (tmp_path / "toy.bin").unlink()
    assert fetch("toy") == path


@pytest.mark.parametrize("damage", [CONTENT[:-1], CONTENT[:-1] + b"x", b""])
def test_a_damaged_file_is_replaced(
    damage: bytes, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(monkeypatch, mirror(tmp_path, CONTENT))
    cache.mkdir()
    (cache / "toy.bin").write_bytes(damage)
    assert fetch("toy").read_bytes() == CONTENT


def test_the_hash_decides(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, long = b"x" * len(CONTENT), CONTENT * 1000
    first, second = mirror(tmp_path, wrong, "wrong"), mirror(tmp_path, long, "long")
    third = Url((tmp_path / "gone").as_uri())
    pin(monkeypatch, first, second, third)
    with pytest.raises(AssetError) as caught:
        fetch("toy")
    digest = sha256_of("toy")
    assert str(caught.value).split("\n") == [
        "the asset toy (toy.bin, 8,000 bytes) could not be fetched:",
        f"  {first}: holds 8,000 bytes with sha256 {hashlib.sha256(wrong).hexdigest()}, which is another file",
        f"  {second}: holds 8,001 bytes with sha256 {hashlib.sha256(long[:8001]).hexdigest()}, which is another file",
        f"  {third}: [Errno 2] No such file or directory: '{tmp_path / 'gone'}'",
        f"To place it by hand, put the file with sha256 {digest} at {cache / 'toy.bin'},",
        "or set GRISTMILL_CACHE to a folder that holds it.",
    ]
    assert left_in(cache) == []
    (cache / "toy.bin").write_bytes(CONTENT)
    assert fetch("toy") == cache / "toy.bin"


def test_member_of_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel_index(tmp_path, CONTENT)))
    pin(monkeypatch, WheelMember("gristmill-toy==1.0", "toy/model.bin"))
    assert fetch("toy").read_bytes() == CONTENT


def test_wheels_that_do_not_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel_index(tmp_path, CONTENT * 100)))
    pin(
        monkeypatch,
        WheelMember("gristmill-toy==2.0", "toy/model.bin"),
        WheelMember("gristmill-toy==1.0", "toy/other.bin"),
        WheelMember("gristmill-toy==1.0", "toy/model.bin"),
    )
    with pytest.raises(AssetError) as caught:
        fetch("toy")
    lines = str(caught.value).split("\n")
    assert lines[1].startswith("  gristmill-toy==2.0 from the package index: pip download failed: ERROR: No matching")
    assert lines[2] == (
        "  gristmill-toy==1.0 from the package index: gristmill_toy-1.0-py3-none-any.whl holds no toy/other.bin"
    )
    assert lines[3].startswith("  gristmill-toy==1.0 from the package index: holds 8,001 bytes with sha256 ")


def test_a_cache_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin(monkeypatch, mirror(tmp_path, CONTENT))
    monkeypatch.setenv("GRISTMILL_CACHE", str(tmp_path / "toy.bin" / "cache"))
    with pytest.raises(AssetError, match=r"cannot be written \(Not a directory\); set GRISTMILL_CACHE"):
        fetch("toy")


def test_a_crash_before_the_rename_leaves_nothing(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin(monkeypatch, mirror(tmp_path, CONTENT))

    def crash(descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(assets.os, "fsync", crash)
        fetch("toy")
    assert left_in(cache) == []
    assert fetch("toy").read_bytes() == CONTENT


FETCH_AND_COUNT = """
import sys
from pathlib import Path
from pipeline import assets
folder, address, digest, size = sys.argv[1:]
assets.ASSETS["toy"] = assets.Asset("toy.bin", digest, int(size), "CC0-1.0", (assets.Url(address),))
asked = assets._from_url
def ask(mirror, asset):
    with (Path(folder) / "asked").open("ab") as file:
        file.write(b".")
    return asked(mirror, asset)
assets._from_url = ask
sys.stdout.buffer.write(assets.fetch("toy").read_bytes())
"""


def test_many_processes_fetch_once(tmp_path: Path, repository: Path) -> None:
    address, digest = mirror(tmp_path, CONTENT).address, hashlib.sha256(CONTENT).hexdigest()
    command = [sys.executable, "-c", FETCH_AND_COUNT, str(tmp_path), address, digest, str(len(CONTENT))]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=repository) for _ in range(8)]
    assert [process.communicate(timeout=60)[0] for process in started] == [CONTENT] * 8
    assert (tmp_path / "asked").read_bytes() == b"."


def test_pinned_model() -> None:
    asset = assets.ASSETS["lid.176"]
    assert (asset.file, asset.size) == ("lid.176.ftz", 938_013)
    assert sha256_of("lid.176") == "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
    with pytest.raises(KeyError):
        sha256_of("lid.177")


def test_keys_need_no_heavy_library(repository: Path) -> None:
    code = "import sys, pipeline.assets as a; a.sha256_of('lid.176'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=repository)
    assert not {"fsspec", "fasttext", "numpy", "filelock", "urllib.request", "zipfile"} & set(done.stdout.split())
