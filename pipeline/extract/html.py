"""A page's text. Runs inside the guarded child process only: pages can hang or crash these libraries."""

from functools import cache
from typing import Any

from pipeline.extract.options import ExtractOptions


def main_text(page: str, url: str, options: ExtractOptions) -> str:
    """The main text of a page, "" if it has none. May raise anything the libraries raise."""
    if options.extractor == "resiliparse":
        from resiliparse.extract.html2text import extract_plain_text

        return str(extract_plain_text(page, main_content=True, alt_texts=False, comments=options.comments))
    _make_quick()
    import trafilatura

    text = trafilatura.extract(
        page,
        url=url or None,
        fast=options.fast,
        favor_precision=options.favor == "precision",
        favor_recall=options.favor == "recall",
        include_comments=options.comments,
        include_tables=options.tables,
        deduplicate=False,
    )
    return text or ""


def visible_text(page: str) -> str:
    """All text that a page shows, menus and all. May raise anything the library raises."""
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(page, main_content=False, alt_texts=False))


@cache
def _make_quick() -> None:
    """Make trafilatura take half the time, its texts the same.

    Its expressions become plain functions, readability is asked only where it can win, the classes of lxml's elements
    come from a table in C, where lxml.html asks a function of Python, and jusText need not hash all stop words of all
    languages to find again what it made of them.
    """
    import trafilatura.core
    import trafilatura.external
    import trafilatura.utils
    import trafilatura.xpaths
    from lxml import etree
    from lxml import html as lxml_html

    from pipeline.extract.quick_fallback import lazily
    from pipeline.extract.quick_paths import quicken

    quicken(trafilatura.xpaths)
    core: Any = trafilatura.core
    external: Any = trafilatura.external
    external.JT_STOPLIST = frozenset(external.jt_stoplist_init())
    core.compare_extraction = lazily(core.compare_extraction)
    classes = etree.ElementDefaultClassLookup(
        element=lxml_html.HtmlElement,
        comment=lxml_html.HtmlComment,
        pi=lxml_html.HtmlProcessingInstruction,
        entity=lxml_html.HtmlEntity,
    )
    for parser in (trafilatura.utils.HTML_PARSER, lxml_html.html_parser):
        parser.set_element_class_lookup(classes)
