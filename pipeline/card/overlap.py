"""The card's section on benchmark items found in documents."""

from pipeline.card.escape import code, escape, number, share, table, warning
from pipeline.manifest import Manifest

SHOWN_ROWS = 200
KEYS = ("overlap_documents", "overlap_items", "kept_overlap_documents", "kept_overlap_items")
"""Counts by source and benchmark, in the order of the columns."""


def overlap(manifest: Manifest) -> str:
    """The section `Benchmark overlap`."""
    benchmarks = manifest.counts.get("benchmarks")
    if not benchmarks:
        return "## Benchmark overlap\n\n" + warning(
            "Not looked for: the recipe names no benchmarks, so nothing is known of test items among the documents."
        )
    options = manifest.recipe["overlap"]
    longest, shortest = options["ngram_words"], min(options["min_words"], options["ngram_words"])
    note = (
        f"Looked for in documents: n-grams of {escape(longest)} words of benchmark items, and whole texts of items "
        f"that have fewer, but {escape(shortest)} or more. An item is *found* if a document has one of its n-grams; "
        "one without n-grams could not be *compared*. *Extracted* is text before any step of the recipe, *kept* what "
        f"is left of kept documents. N-grams of more than {escape(options['max_items'])} items of a benchmark are left "
        "out as *common*. Case, punctuation and accents make no difference; other words for the same, and "
        "translations, are not found."
    )
    rows = []
    for name, own in sorted(benchmarks.items()):
        found, kept = own["overlap_items"], own["kept_overlap_items"]
        numbers = (own["items"], own["comparable_items"], own["ngrams"], own["common_ngrams"], found, kept)
        rows.append((code(name), *map(number, numbers), share(kept, own["comparable_items"])))
    head = (
        "benchmark",
        "items:",
        "compared:",
        "n-grams:",
        "common:",
        "found in extracted:",
        "found in kept:",
        "of compared:",
    )
    return "\n\n".join([f"## Benchmark overlap\n\n{note}", table(head, rows), _by_source(manifest)])


def _by_source(manifest: Manifest) -> str:
    """Documents and items by source and benchmark, where there are some."""
    counts = manifest.counts
    pairs = {(source, name) for key in KEYS for source, found in counts.get(key, {}).items() for name in found}
    if not pairs:
        return "No document has an n-gram of them."
    listed = [(source, name) for source in manifest.sources for name in sorted(counts["benchmarks"])]
    rows = [
        (code(source), code(name), *(number(counts.get(key, {}).get(source, {}).get(name, 0)) for key in KEYS))
        for source, name in listed
        if (source, name) in pairs
    ]
    head = (
        "source",
        "benchmark",
        "extracted documents with one:",
        "items in them:",
        "kept documents with one:",
        "items in them:",
    )
    more = len(rows) - SHOWN_ROWS
    note = f"\n\n{number(more)} more rows are in the counts of {code('manifest.json')}." if more > 0 else ""
    return table(head, rows[:SHOWN_ROWS]) + note
