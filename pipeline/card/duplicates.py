"""What was found twice: how it was looked for, what was removed of which source, and how large the clusters are."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.card.escape import code, escape, number, share, table
from pipeline.card.funnel import count, of_source
from pipeline.manifest import Manifest

KINDS = {
    "exact_duplicate": "equal",
    "url_duplicate": "same page",
    "near_duplicate": "similar",
    "earlier_duplicate": "in an earlier version",
}
"""Drop reason -> how a table's head calls it."""
ALIKE = {
    "address": "the same address",
    "canonical": "the same canonical address",
}


def duplicates(manifest: Manifest) -> str:
    """The section `Duplicates`."""
    options = manifest.recipe.get("dedup") or {}
    scope = str(options.get("scope", "all"))
    where = {"all": "across all sources", "snapshot": "within each crawl"}.get(scope, f"within each {escape(scope)}")
    note = f"Looked for {where}: {', '.join(_looked_for(options)) or 'nothing'}. "
    note += "One document of a cluster stays. "
    note += "Shares are of the documents inside all Limits, and of the bytes of their text as extracted."
    parts = [f"## Duplicates\n\n{note}", _removed(manifest, options)]
    if against := options.get("against"):
        names = ", ".join(code(version) for version in against)
        parts.append(f"Documents of earlier versions stay there, and their duplicates are removed here: {names}.")
    if verified := manifest.counts.get("verified"):
        parts.append(_verified(verified, options))
    parts.append(_clusters(manifest))
    if repeats := sum(count(manifest, "repeats", source) for source in manifest.sources):
        sizes = ", ".join(
            f"{entry['times']} times from {number(entry['min_size'])} documents on"
            for entry in options.get("repeat_by_cluster_size") or ()
        )
        parts.append(
            f"Survivors are packed for training by the size of their cluster: {sizes}. {number(repeats)} more copies "
            "are in the shards for it."
        )
    parts.append(_repeated_lines(manifest))
    return "\n\n".join(filter(None, parts))


def match_probability(options: Mapping[str, Any], jaccard: float) -> float:
    """The probability that two documents share a band, if the Jaccard similarity of their shingles is `jaccard`.

    Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4.2.
    """
    return float(1 - (1 - jaccard ** int(options["rows"])) ** int(options["bands"]))


def doubling(counts: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """Sizes in bins that double: (bin, how many, their sum), so that any number of sizes gives a short table."""
    bins: dict[int, list[int]] = {}
    for name, n in counts.items():
        entry = bins.setdefault((int(name) - 1).bit_length(), [0, 0])
        entry[0] += n
        entry[1] += n * int(name)
    rows = []
    for bits, (n, documents) in sorted(bins.items()):
        low, high = (1 << bits >> 1) + 1 if bits else 1, 1 << bits
        rows.append((number(low) if low == high else f"{number(low)} to {number(high)}", n, documents))
    return rows


def _looked_for(options: Mapping[str, Any]) -> Iterator[str]:
    if options.get("exact"):
        yield "equal text"
    if options.get("url") in ALIKE:
        yield ALIKE[options["url"]]
    if options.get("near"):
        values = "64-bit MinHash" if options.get("scheme") == "affine64" else "MinHash"
        yield (
            f"similar text ({values} of word {escape(options.get('ngram_words'))}-grams, "
            f"{escape(options.get('bands'))} bands of {escape(options.get('rows'))} rows)"
        )


def _repeated_lines(manifest: Manifest) -> str:
    """What the steps that count lines left out, where a recipe has such."""
    rows = []
    for source in manifest.sources:
        n_bytes = of_source(manifest, "repeated_line_bytes", source)
        whole = count(manifest, "extracted_bytes", source)
        for rule, n in of_source(manifest, "repeated_lines", source).items():
            rows.append((code(source), code(rule), number(n), number(n_bytes[rule]), share(n_bytes[rule], whole)))
    if not rows:
        return ""
    note = (
        "Lines that many documents hold are left out of all extracted documents, also of those that are dropped later. "
        "A line that two steps find counts for the first. Shares are of the bytes of text as extracted."
    )
    return f"{note}\n\n{table(('source', 'step', 'lines left out:', 'bytes:', 'share of bytes:'), rows)}"


def _removed(manifest: Manifest, options: Mapping[str, Any]) -> str:
    """The documents removed of each source, by kind; a kind that was neither looked for nor found has no column."""
    is_on = {
        "exact_duplicate": True,
        "url_duplicate": options.get("url", "off") != "off",
        "near_duplicate": True,
        "earlier_duplicate": bool(options.get("against")),
    }
    kinds = [kind for kind in KINDS if is_on[kind]]
    rows = []
    sums = [0] * (len(kinds) + 3)
    for source in manifest.sources:
        dropped, n_bytes = (of_source(manifest, key, source) for key in ("dropped", "dropped_bytes"))
        copied = sum(n_bytes.get(kind, 0) for kind in kinds)
        whole = count(manifest, "extracted_bytes", source) - sum(n_bytes.values()) + copied
        numbers = [count(manifest, "passed", source), *(dropped.get(kind, 0) for kind in kinds), copied, whole]
        sums = [a + b for a, b in zip(sums, numbers, strict=True)]
        rows.append((code(source), *_removed_row(numbers)))
    rows.append(("**all**", *_removed_row(sums)))
    heads = [f"{KINDS[kind]}:" for kind in kinds]
    return table(("source", "inside all Limits:", *heads, "share:", "bytes removed:", "share of bytes:"), rows)


def _removed_row(numbers: list[int]) -> tuple[str, ...]:
    passed, *removed, copied, whole = numbers
    removed_share = share(sum(removed), passed)
    return number(passed), *map(number, removed), removed_share, number(copied), share(copied, whole)


def _verified(verified: Mapping[str, int], options: Mapping[str, Any]) -> str:
    compared, rejected = verified["compared"], verified["rejected"]
    asked = options["verify"]
    how = "estimated from signatures" if asked["by"] == "signature" else "counted over the shingles"
    return (
        f"A pair that shares a band counts only if its Jaccard similarity, {how}, is {asked['jaccard']:g} or more: of "
        f"{number(compared)} comparisons {number(rejected)} ({share(rejected, compared)}) were below. A pair is "
        "compared once for each band that it shares."
    )


def _clusters(manifest: Manifest) -> str:
    rows = doubling(manifest.counts.get("cluster_sizes", {}))
    if not rows:
        return "No clusters of duplicates were found."
    largest = max(map(int, manifest.counts["cluster_sizes"]))
    n, documents = sum(row[1] for row in rows), sum(row[2] for row in rows)
    note = f"{number(n)} clusters hold {number(documents)} documents; the largest holds {number(largest)}."
    shown = [(label, number(n), number(documents)) for label, n, documents in rows]
    return f"{note}\n\n{table(('documents in a cluster', 'clusters:', 'documents:'), shown)}"
