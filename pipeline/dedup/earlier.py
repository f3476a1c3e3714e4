"""Earlier versions to deduplicate against: their signature files, and whether they can be compared."""

from typing import Any

import fsspec

from pipeline.config import ConfigError
from pipeline.dedup.options import DedupOptions
from pipeline.manifest import ManifestError, read_manifest

COMPARED = ("ngram_words", "bands", "rows", "scheme", "seed")
"""Fields that must be equal for signatures to be comparable."""


def earlier_files(options: DedupOptions) -> list[dict[str, str]]:
    """The signature files of all versions in `options.against`.

    Returns:
        Of each file: `version`, the folder or URL as the recipe has it; `path` below it; `sha256`.

    Raises:
        ConfigError: a folder holds no version, or one whose signatures are missing or were made in another way.
    """
    found = []
    for place, version in enumerate(options.against):
        where = f"dedup.against.{place}: {version}"
        try:
            store, path = fsspec.core.url_to_fs(f"{version.rstrip('/')}/manifest.json")
            manifest = read_manifest(store.cat_file(path), path)
        except (OSError, ImportError, ValueError):
            message = "holds no manifest.json; name the folder of one version, such as data/NAME/0123456789abcdef"
            raise ConfigError([f"{where}: {message}"]) from None
        except ManifestError as error:
            raise ConfigError([f"{where}: {error}"]) from None
        files = [file for file in manifest.files if file.kind == "signatures"]
        if not files and any(file.kind == "documents" for file in manifest.files):
            raise ConfigError([f"{where}: holds no signatures; make it again with keep.signatures: true"])
        if differ := _differences(manifest.recipe.get("dedup", {}), options):
            raise ConfigError([f"{where}: its signatures cannot be compared: {differ}; give dedup the same values"])
        found += [{"version": version, "path": file.path, "sha256": file.sha256} for file in files]
    return found


def _differences(theirs: dict[str, Any], options: DedupOptions) -> str:
    mine = options.model_dump(mode="json")
    differ = [
        f"{name} {theirs.get(name)!r} there, {mine[name]!r} here"
        for name in COMPARED * options.near
        if theirs.get(name) != mine[name]
    ]
    for name in ("near", "url"):
        if mine[name] not in (False, "off") and theirs.get(name) != mine[name]:
            differ.append(f"{name} {theirs.get(name)!r} there, {mine[name]!r} here")
    return ", ".join(differ)
