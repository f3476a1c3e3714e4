"""The data card: a Manifest rendered as Markdown, with front matter for the Hugging Face Hub and plots beside it.

Every figure comes from the Manifest, hence from what was written, not from what was asked for. A card is a function of
the manifest's bytes and the version.
"""

from pipeline.card import contents, mix
from pipeline.card.duplicates import duplicates
from pipeline.card.escape import code, escape, number, prose, size, table, warning
from pipeline.card.front_matter import front_matter
from pipeline.card.funnel import count, funnels
from pipeline.card.making import loading, making
from pipeline.card.overlap import overlap
from pipeline.card.plots import has_plot, image, plots
from pipeline.manifest import Manifest

KINDS = ("documents", "shard", "tokenizer", "decisions", "dropped", "signatures")
READ_FROM = ("snapshot", "path", "collect")
"""Fields of the kinds of source that say where records come from; each kind has one of them."""


def renderings(manifest: Manifest, version: str) -> dict[str, bytes]:
    """Path in the version's folder -> bytes: `card.md` and its plots."""
    return {"card.md": render(manifest, version).encode(), **plots(manifest)}


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
        _sources(manifest),
        _with_plot(mix.mix(manifest), manifest, "mixture"),
        mix.languages(manifest),
        _with_plot(mix.lengths(manifest), manifest, "lengths"),
        _with_plot(funnels(manifest), manifest, "funnel"),
        _with_plot(_with_plot(duplicates(manifest), manifest, "clusters"), manifest, "matching"),
        *overlap(manifest),
        contents.personal_data(manifest),
        contents.tokenizer(manifest),
        contents.domains(manifest),
        contents.dates(manifest),
        contents.licences(manifest),
        making(manifest),
        loading(manifest, version),
    ]
    return "\n\n".join(sections) + "\n"


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
        "counted from what was written.",
        table(("", "count:"), rows),
    )
    return "\n\n".join(parts)


def _field(manifest: Manifest, name: str) -> str:
    """What the recipe's author says, or that nothing is said."""
    text = prose(str((manifest.recipe.get("card") or {}).get(name) or ""))
    return text or warning(f"The recipe does not state this: {code(f'card.{name}')} is empty.")


def _use(manifest: Manifest) -> str:
    titles = {"intended_use": "Intended use", "limits": "Limits", "contact": "Contact"}
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
