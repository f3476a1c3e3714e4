"""The data card: a Manifest rendered as Markdown, with front matter for the Hugging Face Hub.

Every figure comes from the Manifest, hence from what was written, not from what was asked for. A card is a function of
the manifest's bytes and the version.
"""

from pipeline.card.escape import code, escape, number, prose, share, size, table
from pipeline.card.front_matter import front_matter, largest_first, merged
from pipeline.card.funnel import funnel
from pipeline.card.making import loading, making
from pipeline.manifest import Manifest, total

SHOWN_DOMAINS = 10
SHOWN_LANGUAGES = 40
KINDS = ("documents", "shard", "tokenizer", "decisions")


def render(manifest: Manifest, version: str) -> str:
    """`card.md` of a dataset version, ending in a newline.

    Args:
        manifest: what was written; its `recipe` is the resolved one (presets expanded into their Limits).
        version: the name of the version's folder.
    """
    sections = [
        front_matter(manifest),
        _head(manifest, version),
        _use(manifest),
        _mix(manifest),
        _languages(manifest),
        _funnels(manifest),
        _clusters(manifest),
        _personal_data(manifest),
        _tokenizer(manifest),
        _domains(manifest),
        _licences(manifest),
        making(manifest),
        loading(manifest, version),
    ]
    return "\n\n".join(sections) + "\n"


def _sources(manifest: Manifest) -> list[str]:
    """All sources in the recipe's order: one that gave nothing is shown with zeros."""
    return manifest.sources


def _count(manifest: Manifest, key: str, source: str) -> int:
    return total(manifest.counts.get(key, {}).get(source, 0))


def _tokens(manifest: Manifest, split: str) -> int:
    return sum(cell.tokens for cell in manifest.cells if cell.split == split)


def _head(manifest: Manifest, version: str) -> str:
    counts = manifest.counts
    sources = _sources(manifest)
    n_documents, n_bytes = total(counts.get("documents", {})), total(counts.get("utf8_bytes", {}))
    summary = prose(_card_field(manifest, "summary"))
    rows = [
        ("documents", number(n_documents)),
        ("text, UTF-8 bytes", number(n_bytes)),
        ("tokens for training", number(_tokens(manifest, "train"))),
        ("tokens held out for validation", number(_tokens(manifest, "validation"))),
        ("records read", number(total(counts.get("records", {})))),
        ("sources", number(len(sources))),
    ]
    for kind in KINDS:
        files = [f for f in manifest.files if f.kind == kind]
        rows.append((f"{kind} files", f"{number(len(files))} ({size(sum(f.size for f in files))})"))
    return "\n\n".join(
        part
        for part in (
            f"# {escape(manifest.name)}",
            summary,
            f"Version {code(version)} of {code(manifest.name)}, made with Gristmill from the recipe below. The figures "
            "are counted from what was written.",
            table(("", "count:"), rows),
        )
        if part
    )


def _card_field(manifest: Manifest, name: str) -> str:
    return str((manifest.recipe.get("card") or {}).get(name) or "")


def _use(manifest: Manifest) -> str:
    parts = ["## Intended use and limits"]
    for name, title in (("intended_use", "Intended use"), ("limits", "Limits"), ("contact", "Contact")):
        text = prose(_card_field(manifest, name))
        missing = f"> [!WARNING]\n> The recipe does not state this: `card.{name}` is empty."
        parts.append(f"### {title}\n\n{text or missing}")
    return "\n\n".join(parts)


def _mix(manifest: Manifest) -> str:
    rows = []
    planned = {row.cell: row for row in manifest.mixture}
    for source in sorted({*_sources(manifest), *planned}):
        plan = planned.get(source)
        packed = [c for c in manifest.cells if c.cell == source]
        rows.append(
            (
                code(source),
                share(plan.share_asked, 1) if plan else "–",
                share(plan.share, 1) if plan else "–",
                number(_count(manifest, "documents", source)),
                number(_count(manifest, "utf8_bytes", source)),
                number(sum(c.tokens for c in packed)),
                number(plan.tokens) if plan else "–",
                f"{plan.epochs:.2f}" if plan else "–",
            )
        )
    head = ("source", "planned:", "realised:", "documents:", "bytes:", "tokens packed:", "tokens read:", "epochs:")
    note = (
        "*Planned* and *realised* are shares of the training tokens; *tokens packed* counts training and validation, "
        "*tokens read* what training reads when the mixture is followed, and *epochs* how often a source's training "
        "rows are then read."
    )
    return f"## Mixture\n\n{note}\n\n{table(head, rows)}"


def _languages(manifest: Manifest) -> str:
    names = merged(manifest.counts.get("languages", {}))
    n_all = sum(names.values())
    shown = list(names.items())[:SHOWN_LANGUAGES]
    rows = [(code(name) if name else "not determined", number(n), share(n, n_all)) for name, n in shown]
    if len(names) > len(shown):
        rest = n_all - sum(n for _, n in shown)
        rows.append((f"{number(len(names) - len(shown))} others", number(rest), share(rest, n_all)))
    text = table(("language", "documents:", "share:"), rows) if rows else "No language was counted."
    return f"## Languages\n\nAs the language identifier labelled the kept documents.\n\n{text}"


def _funnels(manifest: Manifest) -> str:
    note = (
        "Each record has one fate. A document is dropped for the first Limit it fails, in the recipe's order; *fail "
        "it* counts all documents outside the Limit, *fail only it* those that no other Limit would have dropped."
    )
    parts = [f"## From records to documents\n\n{note}"]
    parts += [f"### {code(source)}\n\n{funnel(manifest, source)}" for source in _sources(manifest)]
    return "\n\n".join(parts)


def _clusters(manifest: Manifest) -> str:
    """Cluster sizes in bins that double, so that a corpus of any size gives a short table."""
    bins: dict[int, list[int]] = {}
    for name, n in manifest.counts.get("cluster_sizes", {}).items():
        documents = int(name)
        entry = bins.setdefault((documents - 1).bit_length(), [0, 0])
        entry[0] += n
        entry[1] += n * documents
    if not bins:
        return "## Duplicates\n\nNo clusters of duplicates were counted."
    rows = []
    for bits, (n, documents) in sorted(bins.items()):
        low, high = (1 << bits >> 1) + 1 if bits else 1, 1 << bits
        rows.append((number(low) if low == high else f"{number(low)} to {number(high)}", number(n), number(documents)))
    return f"## Duplicates\n\n{table(('documents in a cluster', 'clusters:', 'documents:'), rows)}"


def _personal_data(manifest: Manifest) -> str:
    by_source = manifest.counts.get("pii", {})
    kinds = sorted({kind for names in by_source.values() for kind in names})
    rows = [
        (code(source), *(number(by_source.get(source, {}).get(kind, 0)) for kind in kinds))
        for source in _sources(manifest)
    ]
    asked = (manifest.recipe.get("pii") or {}).get("kinds") or ()
    text = (
        table(("source", *(f"{code(kind)}:" for kind in kinds)), rows) if kinds else "Nothing was found to be replaced."
    )
    looked_for = ", ".join(code(kind) for kind in asked) or "nothing"
    return (
        f"## Personal data\n\nThe recipe replaces: {looked_for}. Replacements made in the kept documents follow. "
        f"Other personal data, such as names, is not looked for and remains.\n\n{text}"
    )


def _tokenizer(manifest: Manifest) -> str:
    shown = {name: v for name, v in sorted(manifest.tokenizer.items()) if isinstance(v, str | int | float)}
    rows = [(code(name), number(v) if type(v) is int else code(v)) for name, v in shown.items()]
    parts = ["## Tokenizer", table(("", "value:"), rows) if rows else "No tokenizer was made."]
    packed = []
    for cell in sorted({c.cell for c in manifest.cells}):
        own = [c for c in manifest.cells if c.cell == cell]
        n_bytes, tokens = sum(c.utf8_bytes for c in own), sum(c.tokens for c in own)
        rate = f"{n_bytes / tokens:.2f}" if tokens else "–"
        packed.append((code(cell), number(sum(c.documents for c in own)), number(tokens), rate))
    if packed:
        seq_len = manifest.packing.get("seq_len")
        parts.append(
            f"Packed into Sequences of {escape(seq_len)} + 1 token ids of type {code(manifest.packing.get('dtype'))}:"
        )
        parts.append(table(("cell", "documents:", "tokens:", "bytes per token:"), packed))
    return "\n\n".join(parts)


def _domains(manifest: Manifest) -> str:
    parts = [f"## Domains\n\nThe {SHOWN_DOMAINS} with the most kept documents, by source."]
    for source in _sources(manifest):
        names = {name: n for name, n in manifest.counts.get("domains", {}).get(source, {}).items() if name}
        rows = [(code(name), number(n)) for name, n in list(largest_first(names).items())[:SHOWN_DOMAINS]]
        if rows:
            distinct = number(manifest.counts.get("distinct_domains", {}).get(source, len(names)))
            parts.append(f"### {code(source)}\n\nDomains: {distinct}.\n\n{table(('domain', 'documents:'), rows)}")
    return "\n\n".join(parts if len(parts) > 1 else [*parts, "No document has a domain."])


def _licences(manifest: Manifest) -> str:
    rows = [
        (code(source), code(name) if name else "not stated", number(n))
        for source in _sources(manifest)
        for name, n in largest_first(manifest.counts.get("licences", {}).get(source, {})).items()
    ]
    note = (
        "As the records or the recipe state them. Pages from the web remain their publishers' work, whatever is stated "
        "about the collection they came in."
    )
    text = table(("source", "licence", "documents:"), rows) if rows else "No licence was counted."
    return f"## Licences\n\n{note}\n\n{text}"
