"""What the kept documents hold: personal data replaced, tokens, domains, dates, licences."""

from collections.abc import Mapping
from typing import Any

from pipeline.card.escape import code, escape, number, ratio, share, table, warning
from pipeline.card.front_matter import largest_first
from pipeline.card.funnel import count, of_source
from pipeline.card.mix import strands
from pipeline.manifest import Manifest

SHOWN_DOMAINS = 10
SHOWN_LICENCES = 20
SHOWN_STRANDS = 40
SHOWN_SOURCES = 20
"""Rows in a table, or sources with a table of their own; what is left out is counted below it."""

IN_MANIFEST = f"in the counts of {code('manifest.json')}"


def personal_data(manifest: Manifest) -> str:
    """The section `Personal data`."""
    by_source = manifest.counts.get("pii", {})
    kinds = sorted({kind for names in by_source.values() for kind in names})
    asked = (manifest.recipe.get("pii") or {}).get("kinds") or ()
    looked_for = ", ".join(code(kind) for kind in asked) or "nothing"
    rows = [
        (code(source), *(number(by_source.get(source, {}).get(kind, 0)) for kind in kinds))
        for source in manifest.sources
    ]
    if len(rows) > 1 and kinds:
        sums = (sum(by_source.get(source, {}).get(kind, 0) for source in manifest.sources) for kind in kinds)
        rows.append(("**all**", *map(number, sums)))
    text = table(("source", *(f"{code(k)}:" for k in kinds)), rows) if kinds else "Nothing was found to be replaced."
    return (
        f"## Personal data\n\nThe recipe replaces: {looked_for}. Replacements made in text, title and URL of the kept "
        f"documents follow. Other personal data, such as names, is not looked for and remains.\n\n{text}"
    )


def tokenizer(manifest: Manifest) -> str:
    """The section `Tokenizer`."""
    rows = _tokenizer_facts(manifest.tokenizer)
    parts = ["## Tokenizer", table(("", "value:"), rows) if rows else "No tokenizer was made."]
    if manifest.cells:
        unknown = sum(count(manifest, "unknown_tokens", source) for source in manifest.sources)
        packed = sum(c.tokens for c in manifest.cells)
        parts.append(
            f"The kept documents are {number(packed)} tokens, their begin and end marks among them, packed into "
            f"Sequences of {escape(manifest.packing.get('seq_len'))} + 1 token ids of type "
            f"{code(manifest.packing.get('dtype'))}; {number(unknown)} of them are unknown. *Single bytes* are tokens "
            "that spell a character byte by byte, since the vocabulary does not have it."
        )
        parts += [*_loss(manifest), _encoding(manifest)]
    return "\n\n".join(parts)


TOKENIZER_FACTS = {
    "type": "type",
    "fingerprint": "fingerprint",
    "vocab_size": "vocabulary, ids",
    "character_pieces": "of them pieces of one character",
    "merged_pieces": "of them pieces of several characters",
    "word_occurrences": "words in the kept documents",
    "distinct_words": "different words",
    "trained_words": "different words trained on",
    "least_count": "occurrences of the rarest of them",
    "count_divisor": "what their counts were divided by",
    "unused_pieces": "pieces that no training token is",
    "unused_byte_pieces": "of them single bytes",
}
"""Key in the manifest -> how the card calls it. A tokenizer that the recipe brings along has no figures of training."""


def _tokenizer_facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [
        (label, number(facts[name]) if isinstance(facts[name], int) else code(facts[name]))
        for name, label in TOKENIZER_FACTS.items()
        if name in facts
    ]
    occurrences = facts.get("word_occurrences", 0)
    rows += [
        (f"words left out of training: {code(reason)}", f"{number(n)} ({share(n, occurrences)})")
        for reason, n in sorted((facts.get("left_out") or {}).items())
        if n
    ]
    ids = ((name, facts[f"{name}_id"]) for name in ("unk", "bos", "eos", "pad") if f"{name}_id" in facts)
    marks = [f"{name} {number(n) if n >= 0 else 'none'}" for name, n in ids]
    return rows + ([("ids of marks", ", ".join(marks))] if marks else [])


def _loss(manifest: Manifest) -> list[str]:
    """What a tokenizer that loses text does to the documents; nothing of others."""
    if manifest.tokenizer.get("lossless", True):
        return []
    changed, documents = (
        sum(count(manifest, key, source) for source in manifest.sources) for key in ("changed_documents", "documents")
    )
    return [
        warning(
            "This tokenizer loses text, which the recipe allows: decoded again, "
            f"{number(changed)} of {number(documents)} documents are not what was encoded."
        )
    ]


def _encoding(manifest: Manifest) -> str:
    rows = []
    found = strands(manifest)
    for row in found[:SHOWN_STRANDS]:
        single = of_source(manifest, "byte_tokens", row.source).get(row.language, 0)
        per_token, per_document = ratio(row.utf8_bytes, row.tokens), ratio(row.tokens, row.documents)
        language = code(row.language) or "not determined"
        rows.append((code(row.source), language, per_token, per_document, share(single, row.tokens)))
    n_bytes, tokens, documents = (sum(getattr(r, k) for r in found) for k in ("utf8_bytes", "tokens", "documents"))
    single = sum(count(manifest, "byte_tokens", source) for source in manifest.sources)
    rows.append(("**all**", "", ratio(n_bytes, tokens), ratio(tokens, documents), share(single, tokens)))
    text = table(("source", "language", "bytes per token:", "tokens per document:", "single bytes:"), rows)
    return text + _left_out(len(found) - SHOWN_STRANDS, "rows")


def _left_out(n: int, what: str) -> str:
    return f"\n\n{number(n)} more {what} are {IN_MANIFEST}." if n > 0 else ""


def domains(manifest: Manifest) -> str:
    """The section `Domains`."""
    note = "Hosts of the kept documents' URLs. Shares are of all kept documents of the source."
    parts = [f"## Domains\n\n{note}"]
    with_domains = [s for s in manifest.sources if of_source(manifest, "domains", s)]
    for source in with_domains[:SHOWN_SOURCES]:
        names = largest_first(of_source(manifest, "domains", source))
        distinct, documents = (count(manifest, key, source) for key in ("distinct_domains", "documents"))
        top = {n: sum(list(names.values())[:n]) for n in (10, 100)}
        said = [f"Different hosts: {number(distinct)}."]
        said += [f"The {n} largest hold {share(top[n], documents)} of the documents." for n in top if n < distinct]
        shown = list(names.items())[:SHOWN_DOMAINS]
        rows = table(
            ("host", "documents:", "share:"), [(code(name), number(n), share(n, documents)) for name, n in shown]
        )
        more = _left_out(len(names) - len(shown), f"of the {number(distinct)} hosts")
        parts.append(f"### Hosts of {code(source)}\n\n{' '.join(said)}\n\n{rows}{more}")
    without = [code(source) for source in manifest.sources if source not in with_domains]
    if without:
        parts.append(f"No document has a URL with a host: {', '.join(without)}.")
    return "\n\n".join(parts) + _left_out(len(with_domains) - SHOWN_SOURCES, "sources")


def dates(manifest: Manifest) -> str:
    """The section `Dates`."""
    rows = []
    for source in manifest.sources:
        years = of_source(manifest, "years", source)
        undated = years.pop("", 0)
        most = next(iter(largest_first(years)), "–")
        first, last = (min(years), max(years)) if years else ("–", "–")
        rows.append((code(source), *map(escape, (first, last, most)), number(sum(years.values())), number(undated)))
    note = "The year that a record states for itself: for pages of a crawl, when they were fetched."
    head = ("source", "first year:", "last year:", "most frequent:", "documents with a date:", "without:")
    return f"## Dates\n\n{note}\n\n{table(head, rows)}"


def licences(manifest: Manifest) -> str:
    """The section `Licences`."""
    found: list[tuple[str, str, int, int]] = []
    n_rows = n_documents = n_bytes = 0
    for source in manifest.sources:
        names, sizes = (of_source(manifest, key, source) for key in ("licences", "licence_bytes"))
        found += [(source, name, n, sizes.get(name, 0)) for name, n in names.items()]
        n_rows += max(count(manifest, "distinct_licences", source), len(names))
        n_documents += count(manifest, "documents", source)
        n_bytes += count(manifest, "utf8_bytes", source)
    found.sort(key=lambda row: (-row[2], row[0], row[1]))
    shown = found[:SHOWN_LICENCES]
    rows = [(code(source), code(name) or "not stated", n, size) for source, name, n, size in shown]
    if n_rows > len(shown):
        rest = (n_documents - sum(row[2] for row in shown), n_bytes - sum(row[3] for row in shown))
        rows.append((f"{number(n_rows - len(shown))} more rows", "", *rest))
    note = (
        "As the records or the recipe state them. Pages from the web remain their publishers' work, whatever is stated "
        "about the collection they came in."
    )
    head = ("source", "licence", "documents:", "share:", "bytes:", "share of bytes:")
    cells = [
        (source, name, number(n), share(n, n_documents), number(size), share(size, n_bytes))
        for source, name, n, size in rows
    ]
    return f"## Licences\n\n{note}\n\n{table(head, cells) if cells else 'No document was kept.'}"
