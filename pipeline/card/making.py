"""How a version was made: what it takes to make the same bytes again, and what that cost."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from pipeline.card.cost import Cost, cost
from pipeline.card.escape import code, fenced, folded, number, size, table
from pipeline.manifest import Manifest, digest

SHOWN_INPUTS = 5
"""Slices of each source whose digests are shown; the digest of the list covers all."""


def making(manifest: Manifest, spent: Cost) -> str:
    """Recipe, library versions, assets and inputs: what it takes to make the same bytes again."""
    libraries = [(code(name), code(v)) for name, v in sorted(manifest.libraries.items())]
    assets = [(code(name), code(v)) for name, v in sorted(manifest.assets.items())]
    parts = [
        "## How it was made",
        "With the recipe, these libraries, these assets and these inputs, the same bytes come out again, and so the "
        "same version.",
        _recipe(manifest),
        "### Libraries\n\n" + (table(("library", "version"), libraries) if libraries else "None."),
        "### Assets\n\n" + (table(("asset", "sha256"), assets) if assets else "None."),
        _inputs(manifest),
        cost(spent),
    ]
    return "\n\n".join(filter(None, parts))


def _recipe(manifest: Manifest) -> str:
    """Folded away by GitHub and the Hub, since presets written out are long."""
    text = yaml.safe_dump(_plain(manifest.recipe), sort_keys=True, allow_unicode=False, width=100)
    block = fenced(text, "yaml")
    return "### Recipe\n\nAs resolved: presets are written out, defaults filled in.\n\n" + folded(
        "Show the recipe", block
    )


def _inputs(manifest: Manifest) -> str:
    """By source: how much was read, one digest over all of it, and the digests of the first slices."""
    by_source: dict[str, list[Mapping[str, Any]]] = {source: [] for source in manifest.sources}
    for entry in manifest.inputs:
        by_source.setdefault(str(entry.get("source", "")), []).append(entry)
    rows, slices, n_left = [], [], 0
    for source, entries in by_source.items():
        n_bytes = sum(int(entry.get("end", 0)) - int(entry.get("start", 0)) for entry in entries)
        files = number(len({entry.get("path") for entry in entries}))
        rows.append((code(source), files, number(len(entries)), size(n_bytes), code(digest(list(entries)))))
        slices += [_slice_row(entry) for entry in entries[:SHOWN_INPUTS]]
        n_left += max(0, len(entries) - SHOWN_INPUTS)
    note = (
        f"A slice is a range of bytes of a file as stored. The digest of a list is the sha256 of its entries under "
        f"{code('inputs')} in {code('manifest.json')}, as JSON with sorted keys and without spaces."
    )
    parts = ["### Inputs", note, table(("source", "files:", "slices:", "size:", "sha256 of the list"), rows)]
    if slices:
        parts.append(table(("source", "path", "bytes:", "sha256"), slices))
    if n_left:
        parts.append(f"{number(n_left)} more slices are in {code('manifest.json')}.")
    return "\n\n".join(parts)


def _slice_row(entry: Mapping[str, Any]) -> tuple[str, str, str, str]:
    start, end = entry.get("start"), entry.get("end")
    span = f"{number(start)} to {number(end)}" if isinstance(start, int) and isinstance(end, int) else "–"
    return code(entry.get("source", "")), code(entry.get("path", "")), span, code(entry.get("sha256") or "–")


def _plain(value: Any) -> Any:
    """`value` as JSON has it: tuples become lists, so that a manifest in memory and one read back give one card."""
    return json.loads(json.dumps(value))
