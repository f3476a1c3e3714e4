"""JATS XML (ANSI/NISO Z39.96, the format of PubMed Central and of publishers) -> plain text.

Title, abstracts, and of the body headings, paragraphs and lists stay; formulas as TeX where the article has it. Tables,
figures, references, footnotes and all that stands behind the body are left out.

libxml2 reads the article with its limits on: 256 elements deep, 10 MB a text, nothing fetched, no entity expanded.
"""

import html
import re
from collections.abc import Iterator

from lxml import etree

from pipeline.sources.markup.converted import Converted, MarkupError, check_size

MAX_CHARS = 10_000_000
"""A longer article is not parsed, since its tree may take half a gigabyte. Articles have 10^5 to 10^6."""
MAX_LICENCE_CHARS = 200
"""Of a licence that names no Creative Commons licence by its address, the beginning is kept."""
DROPPED = frozenset(
    {"table-wrap", "table", "fig", "fig-group", "graphic", "media", "supplementary-material", "fn", "fn-group", "label"}
    | {"ref-list", "back", "object-id", "inline-graphic", "alternatives-label", "kwd-group", "permissions", "bio"}
    | {"floats-group", "related-article", "custom-meta-group", "email", "chem-struct-wrap", "boxed-text-label"}
)
BLOCKS = frozenset(
    {
        "p",
        "title",
        "sec",
        "abstract",
        "trans-abstract",
        "list",
        "list-item",
        "def-item",
        "def",
        "disp-quote",
        "boxed-text",
    }
    | {"verse-group", "verse-line", "statement", "speech", "disp-formula", "attrib", "code", "preformat", "body", "app"}
)
LIST_MARK = "- "
DROPPED_REFERENCES = frozenset({"bibr", "fn", "table-fn", "corresp", "aff", "author-notes"})
"""Kinds of `xref` whose text is a number or sign without meaning where the target is gone."""
_CREATIVE_COMMONS = re.compile(
    r"creativecommons\.org/(?:licenses/(by(?:-nc)?(?:-nd|-sa)?)/(\d\.\d)|publicdomain/(zero)/(\d\.\d))", re.IGNORECASE
)
_TEX_BODY = re.compile(r"\\begin\{document\}(.*)\\end\{document\}", re.DOTALL)
_CITED = re.compile(r" ?(?:\[[\s,;–\-\x00]*+\]|\([\s,;–\-\x00]*+\))|(?<![\s,–])[\s,–]*+\x00")
_XLINK = "{http://www.w3.org/1999/xlink}href"
_XML_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_CUT = "\x00"
"""Stands where a citation was; no XML document can hold it."""


def convert(xml: str) -> Converted:
    """The text of an article, and what its front matter states.

    Raises:
        MarkupError: if it is not well-formed XML within libxml2's limits, longer than MAX_CHARS, or holds no `article`.
    """
    check_size(xml, MAX_CHARS)
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, encoding="utf-8", remove_comments=True
    )
    try:
        root = etree.fromstring(xml.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError as error:
        raise MarkupError(f"no XML that can be read: line {error.lineno or 0}") from None
    article = next(root.iter("{*}article"), None)
    if article is None:
        raise MarkupError(f"XML without an `article`; its root is {_name(root)[:40]!r}")
    front = _first(article, "./{*}front/{*}article-meta")
    title = "" if front is None else _line(_first(front, "./{*}title-group/{*}article-title"))
    parts = [] if front is None else [*front.iterfind("./{*}abstract")]
    parts += article.iterfind("./{*}body")
    blocks = [title, *(block for part in parts for block in _blocks(part))]
    return Converted(
        "\n\n".join(block for block in blocks if block),
        title=title,
        date=_date(front),
        licence=_licence(front),
        url=_doi(front),
        language=article.get(_XML_LANGUAGE, ""),
    )


def _first(node: etree._Element | None, path: str) -> etree._Element | None:
    return None if node is None else node.find(path)


def _name(node: etree._Element) -> str:
    return etree.QName(node).localname if isinstance(node.tag, str) else ""


def _line(node: etree._Element | None) -> str:
    """The text of an element on one line."""
    return "" if node is None else " ".join(_CITED.sub("", "".join(_inline(node))).split())


def _blocks(node: etree._Element) -> Iterator[str]:
    """The paragraphs of an element: text between the begins and ends of blocks inside it."""
    line: list[str] = []
    mark = ""
    for piece in (*_inline(node), "\n"):
        if piece == LIST_MARK:
            mark = piece
        elif piece != "\n":
            line.append(piece)
        elif text := " ".join(_CITED.sub("", "".join(line)).split()):
            yield mark + text
            line, mark = [], ""


def _inline(node: etree._Element) -> Iterator[str]:
    """The text of an element, "\\n" at the edges of blocks."""
    name = _name(node)
    if isinstance(node, etree._Entity):
        named = html.unescape(node.text)  # &alpha; and the like, which the document type would define
        yield "" if named == node.text else named
    elif name == "xref" and node.get("ref-type") in DROPPED_REFERENCES:
        yield _CUT
    elif name in ("inline-formula", "disp-formula") and (tex := node.find(".//{*}tex-math")) is not None:
        yield _tex("".join(tex.itertext()))
    elif name and name not in DROPPED:
        yield "\n" * (name in BLOCKS)
        yield LIST_MARK * (name == "list-item")
        yield node.text or ""
        for child in node:
            yield from _inline(child)
            yield child.tail or ""
        yield "\n" * (name in BLOCKS)


def _tex(written: str) -> str:
    inside = _TEX_BODY.search(written)
    return (inside[1] if inside else written).strip()


def _date(front: etree._Element | None) -> str:
    """The earliest stated day of publication, as exact as it is stated."""
    found = []
    for node in () if front is None else front.iterfind("./{*}pub-date"):
        parts = [
            (_line(_first(node, f"./{{*}}{part}")), digits) for part, digits in (("year", 4), ("month", 2), ("day", 2))
        ]
        written = ""
        for value, digits in parts:
            if not value.isascii() or not value.isdigit() or len(value) > digits:
                break
            written += f"{'-' * bool(written)}{value.zfill(digits)}"
        found.append(written)
    return min(filter(None, found), default="")


def _licence(front: etree._Element | None) -> str:
    """The SPDX identifier of a Creative Commons licence, else how the licence begins."""
    nodes = (
        []
        if front is None
        else [*front.iterfind("./{*}permissions//{*}license"), *front.iterfind("./{*}permissions//{*}license_ref")]
    )
    for node in nodes:
        for part in node.iter():
            for stated in (part.get(_XLINK, ""), part.text or "") if isinstance(part.tag, str) else ():
                if found := _CREATIVE_COMMONS.search(stated):
                    return f"CC0-{found[4]}" if found[3] else f"CC-{found[1].upper()}-{found[2]}"
    return _line(nodes[0])[:MAX_LICENCE_CHARS] if nodes else ""


def _doi(front: etree._Element | None) -> str:
    found = _line(_first(front, "./{*}article-id[@pub-id-type='doi']"))
    return f"https://doi.org/{found}" if found else ""
