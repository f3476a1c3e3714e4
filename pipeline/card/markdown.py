"""The data card: a Manifest rendered as Markdown, with front matter for the Hugging Face Hub and plots beside it, and
as a page.

Every figure comes from the Manifest, hence from what was written, not from what was asked for; only what it cost comes
from elsewhere. The Markdown says all but what would make it long: the page, which is made from it, has the measures and
examples as well.
"""

from pipeline.card import contents, cost, croissant, mix
from pipeline.card.cost import Cost
from pipeline.card.distributions import distributions
from pipeline.card.duplicates import duplicates
from pipeline.card.escape import code, escape, number, prose, share, size, table, warning
from pipeline.card.examples import examples
from pipeline.card.front_matter import front_matter
from pipeline.card.funnel import count, funnels
from pipeline.card.loading import citation, loading
from pipeline.card.making import making
from pipeline.card.overlap import overlap
from pipeline.card.page import page
from pipeline.card.plots import has_plot, image, plots
from pipeline.manifest import Manifest, canonical_json

KINDS = ("documents", "shard", "tokenizer", "decisions", "dropped", "signatures")
READ_FROM = ("snapshot", "path", "collect")
"""Fields of the kinds of source that say where records come from; each kind has one of them."""
MARKDOWN, PAGE = "card.md", "card.html"


def renderings(manifest: Manifest, version: str, spent: Cost) -> dict[str, bytes]:
    """Path in the version's folder -> bytes: the card in all its forms, and what it says that the manifest does not."""
    described = croissant.croissant(manifest, version, manifest.files, croissant.tables_of(manifest.files))
    also = {croissant.FILE: described, cost.FILE: canonical_json(spent) + b"\n"}
    return cards(manifest, version, spent) | also


def cards(manifest: Manifest, version: str, spent: Cost, published: bool = False) -> dict[str, bytes]:
    """Path beside the data -> bytes: the card as Markdown and as a page, and its plots.

    Args:
        manifest: what was written; its `recipe` is the resolved one (presets expanded into their Limits).
        version: the name of the version's folder.
        spent: what it cost; empty if that is not known.
        published: for what `pipeline publish` writes, and not for the version itself.
    """
    drawn = plots(manifest)
    measures, also_drawn = distributions(manifest)
    more = {"measures": measures, "examples": examples(manifest)}
    whole = _body(manifest, version, spent, published, more)
    markdown = f"{front_matter(manifest, published)}\n\n{_body(manifest, version, spent, published, {})}\n"
    return {MARKDOWN: markdown.encode(), PAGE: page(manifest.name, whole, drawn | also_drawn), **drawn}


def _body(manifest: Manifest, version: str, spent: Cost, published: bool, more: dict[str, str]) -> str:
    """The card without front matter. `more`: sections that only the page has, by name."""
    sections = [
        _head(manifest, version),
        ""
        if more
        else f"The page [{PAGE}]({PAGE}) says this, and shows every measure with its Limits, and examples of "
        "what was kept and dropped.",
        _use(manifest),
        _sources(manifest),
        _with_plot(mix.mix(manifest), manifest, "mixture"),
        _with_plot(mix.languages(manifest), manifest, "languages"),
        _with_plot(mix.lengths(manifest), manifest, "lengths"),
        _with_plot(funnels(manifest), manifest, "funnel"),
        more.get("measures", ""),
        _with_plot(_with_plot(duplicates(manifest), manifest, "clusters"), manifest, "matching"),
        overlap(manifest),
        _with_plot(contents.personal_data(manifest), manifest, "personal-data"),
        contents.tokenizer(manifest),
        contents.domains(manifest),
        contents.dates(manifest),
        contents.licences(manifest),
        more.get("examples", ""),
        making(manifest, spent),
        loading(manifest, version, published),
        citation(manifest, version),
    ]
    return "\n\n".join(filter(None, sections))


def _with_plot(section: str, manifest: Manifest, name: str) -> str:
    """The section with its plot below the heading."""
    heading, _, rest = section.partition("\n\n")
    return f"{heading}\n\n{image(name)}\n\n{rest}" if has_plot(manifest, name) else section


def _head(manifest: Manifest, version: str) -> str:
    documents, n_bytes, records = (
        sum(count(manifest, key, source) for source in manifest.sources)
        for key in ("documents", "utf8_bytes", "records")
    )
    tokens = {s: sum(c.tokens for c in manifest.cells if c.split == s) for s in ("train", "validation")}
    rows = [
        ("documents", number(documents)),
        ("text, bytes of UTF-8", f"{number(n_bytes)} ({size(n_bytes)})"),
        ("tokens for training", number(tokens["train"])),
        ("tokens held out for validation", number(tokens["validation"])),
        ("tokens read by one run over the mixture", number(sum(row.tokens for row in manifest.mixture))),
        ("records read", number(records)),
        ("sources", number(len(manifest.sources))),
    ]
    for kind in KINDS:
        files = [f for f in manifest.files if f.kind == kind]
        if files:
            rows.append((f"{kind} files", f"{number(len(files))} ({size(sum(f.size for f in files))})"))
    parts = (
        f"# {escape(manifest.name)}",
        _field(manifest, "summary"),
        f"Version {code(version)} of {code(manifest.name)}, made with Gristmill from the recipe below. All figures are "
        f"counted from what was written. Of {number(records)} records read {number(documents)} "
        f"({share(documents, records)}) became documents of it; what became of the others is in the section From "
        "records to documents.",
        table(("", "count:"), rows),
    )
    return "\n\n".join(parts)


def _field(manifest: Manifest, name: str) -> str:
    """What the recipe's author says, or that nothing is said."""
    text = prose(str((manifest.recipe.get("card") or {}).get(name) or ""))
    return text or warning(f"The recipe does not state this: {code(f'card.{name}')} is empty.")


def _use(manifest: Manifest) -> str:
    titles = {"intended_use": "Intended use", "limits": "Limits", "contact": "Contact, and removal of documents"}
    parts = [f"### {title}\n\n{_field(manifest, name)}" for name, title in titles.items()]
    return "\n\n".join(["## Intended use and limits", *parts])


def _sources(manifest: Manifest) -> str:
    """In the recipe's order, which decides which of two copies stays."""
    rows = []
    for source in manifest.sources:
        options = (manifest.recipe.get("sources") or {}).get(source) or {}
        origin = next((str(options[name]) for name in READ_FROM if options.get(name)), "")
        files = {entry.get("path") for entry in manifest.inputs if entry.get("source") == source}
        licence = code(options.get("licence") or "") or "by record"
        rows.append((code(source), code(options.get("type", "")), code(origin), licence, number(len(files))))
    return f"## Sources\n\n{table(('source', 'type', 'read from', 'licence given', 'files:'), rows)}"
