"""A page's main text and title. Runs inside the guarded child process only: pages can hang or crash these libraries."""

import html
import re

from pipeline.extract.options import ExtractOptions

MAX_TITLE_CHARS = 1000

_TITLE = re.compile(r"<title\b[^>]{0,1000}>([^<]{0,10000})", re.IGNORECASE)
_BODY = re.compile(r"<(?:body|svg)\b", re.IGNORECASE)


def main_text(page: str, url: str, options: ExtractOptions) -> str:
    """The main text of a page, "" if it has none. May raise anything the libraries raise."""
    if options.extractor == "resiliparse":
        from resiliparse.extract.html2text import extract_plain_text

        return str(extract_plain_text(page, main_content=True, alt_texts=False, comments=options.comments))
    import trafilatura

    text = trafilatura.extract(
        page,
        url=url or None,
        favor_precision=options.favor == "precision",
        favor_recall=options.favor == "recall",
        include_comments=options.comments,
        include_tables=options.tables,
        deduplicate=False,
    )
    return text or ""


def title_of(page: str) -> str:
    """The content of the page's first <title> in its head, in one line; "" if there is none."""
    body = _BODY.search(page)
    found = _TITLE.search(page, 0, body.start() if body else len(page))
    return " ".join(html.unescape(found[1]).split())[:MAX_TITLE_CHARS] if found else ""
