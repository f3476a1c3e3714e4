"""Versions of a dataset on disk or store: publish, list, find, verify.

`<dataset>/<version>/` holds `manifest.json`, the files it lists, and renderings such as `card.md`, which its hash does
not cover. `<dataset>/latest` is a text file with the newest version.
"""

import hashlib
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import DamagedError, Folder, fault, fsync_folder, sha256_of_file
from pipeline.manifest import VERSION_DIGITS, DataFile, Manifest, load_manifest

MANIFEST = "manifest.json"
LATEST = "latest"
WORK = "work"


def publish(dataset: Folder, described: Manifest, origins: Sequence[str], renderings: Mapping[str, bytes]) -> None:
    """Make the version appear under `dataset`, whole or not at all, then point `latest` at it.

    `origins[i]` is the path below `work/` of the committed file that becomes `described.files[i]`; it is linked, not
    copied, where the disk can. Without rename (object stores), `manifest.json` is put last and makes the version.
    """
    version = described.version
    target = dataset.child(version)
    if not target.exists(MANIFEST):
        aside = dataset.child(f".aside-{secrets.token_hex(6)}") if dataset.is_local else target
        for file, origin in zip(described.files, origins, strict=True):
            aside.link(dataset.child(WORK), origin, file.path)
            _check(aside, file, dataset.child(WORK), origin)
        fault("describe:linked")
        for name, data in renderings.items():
            aside.commit_bytes(name, data)
        aside.commit_bytes(MANIFEST, described.to_bytes())
        if dataset.is_local:
            _rename(Path(aside.root), Path(target.root))
    fault("describe:published")
    point_latest(dataset, version)


def _check(aside: Folder, file: DataFile, work: Folder, origin: str) -> None:
    """Compare a linked file with what its Part committed: a link shares its bytes, damaged ones too.

    Raises:
        DamagedError: naming the Part to remove.
    """
    same_size = aside.size(file.path) == file.size
    if same_size and (not aside.is_local or sha256_of_file(Path(aside.path(file.path))) == file.sha256):
        return
    part = work.path(origin.rpartition("/")[0])
    raise DamagedError(
        f"{work.path(origin)}: not the bytes that were committed; remove the folder {part} and run again"
    )


def point_latest(dataset: Folder, version: str) -> None:
    """Make `latest` name `version`."""
    if not dataset.exists(LATEST) or dataset.read(LATEST).decode().strip() != version:
        dataset.commit_bytes(LATEST, f"{version}\n".encode())


def _rename(aside: Path, target: Path) -> None:
    for folder in [*(p for p in aside.rglob("*") if p.is_dir()), aside]:
        fsync_folder(folder)
    shutil.rmtree(target, ignore_errors=True)  # without a manifest it is no version
    aside.rename(target)
    fsync_folder(target.parent)


def sweep(dataset: Folder) -> None:
    """Remove versions that a crash left half-published (local disks only; the caller holds the dataset's lock)."""
    if dataset.is_local:
        for aside in Path(dataset.root).glob(".aside-*"):
            shutil.rmtree(aside, ignore_errors=True) if aside.is_dir() else aside.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Found:
    """A version on a local disk."""

    dataset: str
    version: str
    folder: Path
    is_latest: bool


def list_versions(output: Path) -> list[Found]:
    """All versions of all datasets below `output`, by dataset and version."""
    found = []
    for manifest in sorted(output.glob(f"*/*/{MANIFEST}")):
        folder = manifest.parent
        if len(folder.name) == VERSION_DIGITS and not folder.name.startswith("."):
            latest = folder.parent / LATEST
            newest = latest.read_text().strip() if latest.is_file() else ""
            found.append(Found(folder.parent.name, folder.name, folder, folder.name == newest))
    return found


class VersionError(Exception):
    """A version that cannot be found, or that more than one folder could be meant."""


def find_version(wanted: str, output: Path) -> Path:
    """The folder of a version, given as its folder, a dataset's folder or name (its `latest`), or the first digits.

    Raises:
        VersionError: saying what was looked for, and what is there.
    """
    for dataset in (Path(wanted), output / wanted):
        if (dataset / MANIFEST).is_file():
            return dataset
        if (dataset / LATEST).is_file():
            return dataset / (dataset / LATEST).read_text().strip()
    everything = list_versions(output)
    matches = [f for f in everything if len(wanted) >= 4 and f.version.startswith(wanted)]
    if len(matches) == 1:
        return matches[0].folder
    known = ", ".join(f"{f.dataset}/{f.version}" for f in (matches or everything)[:10]) or "none"
    problem = f"{wanted!r} fits {len(matches)} versions" if matches else f"no version or dataset {wanted!r}"
    raise VersionError(f"{problem} below {output}; there: {known}. See `pipeline list`.")


def verify(folder: Path) -> list[str]:
    """Problems of a version on a local disk, empty if none: every file is read and its size and sha256 compared."""
    described = load_manifest(folder)
    problems = []
    actual = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()[:VERSION_DIGITS]
    if actual != folder.resolve().name:
        problems.append(f"{MANIFEST}: its sha256 begins with {actual}, the folder is called {folder.resolve().name}")
    for file in described.files:
        path = folder / file.path
        if not path.is_file():
            problems.append(f"{file.path}: missing")
        elif path.stat().st_size != file.size:
            problems.append(f"{file.path}: {path.stat().st_size} bytes, the manifest says {file.size}")
        elif (found := sha256_of_file(path)) != file.sha256:
            problems.append(f"{file.path}: sha256 {found[:16]}..., the manifest says {file.sha256[:16]}...")
    return problems
