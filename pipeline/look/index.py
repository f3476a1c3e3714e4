"""Writing the ledger of a version that has none, from its Parts or, where they are gone, from the version alone."""

from collections.abc import Iterator
from pathlib import Path

from pipeline import assembly
from pipeline.files import Folder, Marker, PartStore
from pipeline.ledger.layout import RecordsPart
from pipeline.ledger.write import parts_of, write_ledger
from pipeline.look.parts import described_by
from pipeline.manifest import Manifest, load_manifest
from pipeline.plan import Part
from pipeline.versions import VersionError


def write_index(folder: Path) -> tuple[int, bool]:
    """Write the ledger of a version on a local disk; the caller holds the dataset's lock.

    Returns:
        How many records it has, and whether all their Parts were there.

    Raises:
        VersionError: what became of the records is not known any more.
        DamagedError, ShardError: a file is not what was written.
    """
    described = load_manifest(folder)
    store = PartStore(str(folder.resolve().parent))
    marker = described_by(folder.resolve(), store)
    parts, cluster = _known(described, store, marker) if marker else (None, "")
    if parts is None:
        parts, cluster = list(_of_version(described)), ""
    version = Folder(str(folder.resolve()))
    try:
        records = write_ledger(version, described, parts, cluster, store)
    except FileNotFoundError as error:
        raise VersionError(f"{error}; run its recipe again to have the index") from None
    stages = ("extract", "measure", "judge")
    return records, all(part.keys and all(store.is_done(s, part.keys[s]) for s in stages) for part in parts)


def _known(described: Manifest, store: PartStore, marker: Marker) -> tuple[list[RecordsPart] | None, str]:
    """The Parts of the records, by the marker of Describe; None if their markers are gone."""
    cluster, selected, _, tokenizer, _ = marker.ingredients["inputs"]
    if not all(store.is_done(*name) for name in [("tokenizer", tokenizer), *(("select", key) for key in selected)]):
        return None, ""
    markers = [store.marker("select", key) for key in selected]
    rows = [{**each.ingredients["inputs"][0], "select": each.key} for each in markers]
    if not all(store.is_done("extract", row["extract"]) for row in rows):
        return None, ""
    # Which of the version's files are a Part's depends on no other kind of file.
    work = {"rows": rows, "cluster": cluster, "tokenizer": tokenizer, "pack": [], "dropped": []}
    part = Part("describe", marker.label, marker.key, marker.ingredients, work)
    files, origins = assembly.data_files(part, store, described.recipe["keep"]["fates"], signatures=False)
    published = dict(zip(origins, (file.path for file in files), strict=True))
    return parts_of(rows, published, (each.label.split(":")[0] for each in markers)), cluster


def _of_version(described: Manifest) -> Iterator[RecordsPart]:
    """What the manifest says of the Parts: its files of decisions, each with the documents beside it in a shard's
    lineage.

    Raises:
        VersionError: it has no decisions.
    """
    documents: dict[str, str] = {}
    for file in described.files:
        for one, next_one in zip(file.made_from, file.made_from[1:], strict=False):
            documents[next_one] = one if one.startswith("documents/") else ""
    decisions = [file for file in described.files if file.kind == "decisions"]
    if not decisions:
        raise VersionError(
            "the version does not say what became of its records (keep.fates is false), and its Parts are gone; run "
            "its recipe again with --set keep.fates=true"
        )
    for file in decisions:
        yield RecordsPart(file.source, documents.get(file.path, ""), file.path)
