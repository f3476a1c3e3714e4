"""The YAML block at the head of a card, with the keys that Hugging Face's dataset cards have."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from pipeline.manifest import Manifest, total

MIN_LANGUAGE_SHARE = 0.01
"""A language is named in the front matter from this share of the documents on: below it, lies mostly what the language
identifier mistook. The card's table names all of them."""

_LANGUAGE = re.compile(r"[a-z]{2,3}")

_ISO_639 = {"als": "gsw", "bh": "bho", "eml": "", "sh": "hbs"}
"""ISO 639 codes of the identifier's labels that are Wikipedia's own: Alemannic (`als` is Tosk Albanian in ISO 639-3),
Bhojpuri, Emilian-Romagnol (withdrawn in 2009 without a successor), Serbo-Croatian (withdrawn from ISO 639-1)."""

_SEE_CARD = {
    "license": "other",
    "license_name": "see-card",
    "license_details": "By source and licence in the section Licences of the card.",
}
"""Where one licence of the Hub's list does not say it all (its specification of dataset cards, `license_name`)."""

_LICENCES = frozenset(
    """
    afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd-2-clause bsd-3-clause bsl-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0
    cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0
    cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 ecl-2.0 epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 gfdl gpl
    gpl-2.0 gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 osl-3.0 pddl
    postgresql unlicense wtfpl zlib
    """.split()  # noqa: SIM905 - one line for each of 50 names would hide the rest of this page
)
"""Identifiers of the Hugging Face Hub (its documentation, "Licenses"), lower-cased SPDX for the most part."""

_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
    (10**10, "1B<n<10B"),
    (10**11, "10B<n<100B"),
    (10**12, "100B<n<1T"),
)


TABLES = ("documents", "decisions", "dropped")
"""Kinds of files that are tables."""
PUBLISHED_TABLES = ("documents", "decisions")
"""Of them, those that are published; documents by split, below `data/`."""


def front_matter(manifest: Manifest, published: bool = False) -> str:
    """The front matter of the card, from its opening `---` line to its closing one.

    The YAML is ASCII: other characters are written as YAML escapes, so that no name can close the block or turn the
    direction of the text. `published`: of what `pipeline publish` writes, where documents are by split.
    """
    counts = manifest.counts
    value: dict[str, Any] = {
        "pretty_name": manifest.name,
        "language": languages(merged(counts.get("languages", {}))),
        **licence(merged(counts.get("licences", {})), total(counts.get("documents", {}))),
        "size_categories": [size_category(total(counts.get("documents", {})))],
        "task_categories": ["text-generation"],
        "tags": ["gristmill", "pretraining", "text"],
        "configs": _configs(manifest, published),
    }
    value = {key: v for key, v in value.items() if v}
    block: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=False, width=10_000)
    return f"---\n{block}---"


def merged(by_source: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Counts of all sources together, largest first, ties by name."""
    sums: dict[str, int] = {}
    for names in by_source.values():
        for name, n in names.items():
            sums[name] = sums.get(name, 0) + n
    return largest_first(sums)


def largest_first(counts: Mapping[str, int]) -> dict[str, int]:
    """`counts` in falling order; equal counts in the order of their names."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def languages(counts: Mapping[str, int]) -> list[str]:
    """ISO 639 codes of the languages with at least `MIN_LANGUAGE_SHARE` of the documents, largest first."""
    least = MIN_LANGUAGE_SHARE * sum(counts.values())
    codes = [_ISO_639.get(name, name) for name, n in counts.items() if n >= least and name != "und"]
    return list(dict.fromkeys(code for code in codes if _LANGUAGE.fullmatch(code)))


def licence(counts: Mapping[str, int], n_documents: int) -> dict[str, str]:
    """The fields of the licence: the Hub's identifier if one licence covers all documents, `unknown` if none states
    one. Otherwise `other`, since a search for a licence must not find a dataset that is only partly under it."""
    found = {name.strip().lower() for name, n in counts.items() if n}
    if sum(counts.values()) < n_documents or len(found) > 1:
        return _SEE_CARD
    name = next(iter(found), "")
    if not name:
        return {"license": "unknown"}
    return {"license": name} if name in _LICENCES else _SEE_CARD


def _configs(manifest: Manifest, published: bool) -> list[dict[str, Any]]:
    """What `load_dataset` reads by name: the documents, and the row of every record that says what became of it."""
    kinds = {file.kind for file in manifest.files}
    names = PUBLISHED_TABLES if published else TABLES
    files = {name: [{"split": "train", "path": f"{name}/*.parquet"}] for name in names if name in kinds}
    if published and "documents" in files:
        there = {cell.split for cell in manifest.cells if cell.documents}
        splits = [split for split in ("train", "validation") if split in there]
        files["documents"] = [{"split": split, "path": f"data/{split}/*.parquet"} for split in splits]
    return [
        {"config_name": name, "data_files": found} | ({"default": True} if name == "documents" else {})
        for name, found in files.items()
    ]


def size_category(n_documents: int) -> str:
    """The Hub's size category of a dataset with `n_documents` rows."""
    return next((name for bound, name in _SIZES if n_documents < bound), "n>1T")
