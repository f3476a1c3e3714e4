"""A page's text as HTML: how its paragraphs are marked up, and the habits of the hand or program that wrote it.

`paragraphs` is one of the keys of `PARAGRAPHS`, `habits` a list of keys of `HABITS`.
"""

import codecs
import html
import html.entities
import re
import string
from collections.abc import Callable
from urllib.parse import urlsplit

from tests.sample.chrome import around, comments, number, site
from tests.sample.prose import FOLDER, Page

RIGHT_TO_LEFT = {"ar"}
STYLE_RULES = "\n".join(
    f".{part}-{size} {{ margin: {size}px auto {size}px {size}em; border: 0 solid #{size}{size}{size} }}"
    for size in range(11, 19)
    for part in ("teaser", "column", "banner", "gallery")
)
"""Two kilobytes of style sheet that push a charset declaration beyond the first 1024 bytes."""


def _plain(parts: list[str]) -> str:
    return "\n".join(f"<p>{part}</p>" for part in parts)


def _breaks(parts: list[str]) -> str:
    return "<br><br>\n".join(parts)


def _divisions(parts: list[str]) -> str:
    return "\n".join(f'<div class="para"><div class="inner">{part}</div></div>' for part in parts)


def _word_processor(parts: list[str]) -> str:
    style = 'class="MsoNormal" style="margin-bottom:10.0pt;line-height:115%"'
    return "\n".join(f'<p {style}><span lang="EN-GB" style="font-size:11.0pt">{part}</span></p>' for part in parts)


def _fonts(parts: list[str]) -> str:
    return "\n".join(f'<p><font face="Verdana, Arial" size="2">{part}</font>' for part in parts)


def _unclosed(parts: list[str]) -> str:
    return "\n".join(f"<P>{part}" for part in parts)


def _linked(parts: list[str]) -> str:
    """One word of each paragraph is a link, another is set in italics."""
    marked = []
    for part in parts:
        words = part.split(" ")
        for place, tag in ((number(part) % len(words), "a"), (number(part, "em") % len(words), "em")):
            if re.fullmatch(r"[a-z]{4,}", words[place]):
                opened = f'a href="/index/{words[place]}"' if tag == "a" else tag
                words[place] = f"<{opened}>{words[place]}</{tag}>"
        marked.append(" ".join(words))
    return _plain(marked)


def _figures(parts: list[str]) -> str:
    """A picture behind the first paragraph and an advertisement behind the third."""
    marked = [f"<p>{part}</p>" for part in parts]
    marked.insert(1, '<figure><img loading="lazy" src="/media/1200.jpg" width="1200" height="675" alt=""></figure>')
    marked.insert(4, '<div class="ad ad-inline" data-slot="mid"></div>')
    return "\n".join(marked)


def _semantic(parts: list[str]) -> str:
    return "\n".join(f'<p class="paragraph" data-block="{i}" id="b{i}">{part}</p>' for i, part in enumerate(parts))


PARAGRAPHS: dict[str, Callable[[list[str]], str]] = {
    "p": _plain,
    "br": _breaks,
    "div": _divisions,
    "word": _word_processor,
    "font": _fonts,
    "unclosed": _unclosed,
    "linked": _linked,
    "figures": _figures,
    "blocks": _semantic,
}


def _upper_case(page: str) -> str:
    return re.sub(r"(</?)([a-z][a-z0-9]*)", lambda m: m[1] + m[2].upper(), page)


def _entities(page: str) -> str:
    named = {code: name for code, name in html.entities.codepoint2name.items() if code > 127}
    return "".join(f"&{named[ord(c)]};" if ord(c) in named else c if ord(c) < 128 else f"&#{ord(c)};" for c in page)


def _xhtml(page: str) -> str:
    page = re.sub(r"<(meta|link|img|br|hr|input)\b([^>]*?)/?>", r"<\1\2 />", page)
    page = re.sub(r"(?i)<!doctype[^>]*>", "", page).lstrip()
    return f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n{page}'


def _late_charset(page: str) -> str:
    declared = re.search(r"<meta charset=[^>]*>", page)
    if declared is None:
        raise ValueError("late_charset: the layout declares no charset with <meta charset>")
    page = page.replace(declared[0], "", 1)
    return page.replace("</head>", f"<style>{STYLE_RULES}</style>\n{declared[0]}\n</head>", 1)


def _no_charset(page: str) -> str:
    return re.sub(r'<meta (charset|http-equiv="content-type")[^>]*>\n?', "", page, flags=re.IGNORECASE)


def _broken(page: str) -> str:
    """Tags that never close, close twice, or close in the wrong order; a comment cut short; a stray quotation mark."""
    page = page.replace("</h1>", "</h1></b></div>", 1).replace("<body", '<body class=x" ', 1)
    page = re.sub(r"</(li|td|tr|ul)>", "", page)
    return page.replace("</body>", "</span></table><!-- end of main -- >\n</body></body>", 1)


HABITS: dict[str, Callable[[str], str]] = {
    "upper_case": _upper_case,
    "entities": _entities,
    "xhtml": _xhtml,
    "late_charset": _late_charset,
    "no_charset": _no_charset,
    "broken": _broken,
    "minified": lambda page: re.sub(r">\s*\n\s*<", "><", page),
    "crlf": lambda page: page.replace("\n", "\r\n"),
    "commented": lambda page: page.replace("<h1", "<!-- BEGIN headline, do not edit (tk 2009-11-03) -->\n<h1", 1),
}


def declared_charset(page: Page) -> str:
    """The charset that the page and its server name, which need not be the one it is written in."""
    own = site(urlsplit(page.meta["url"]).hostname or "")
    return str(page.meta.get("declared_charset") or own.get("declared_charset") or page.meta.get("charset", "utf-8"))


def to_html(page: Page) -> bytes:
    """The page as its server stores it, in its charset."""
    meta, host = page.meta, urlsplit(page.meta["url"]).hostname or ""
    own, lang = site(host), meta.get("lang", "en")
    charset = meta.get("charset", "utf-8")
    escaped = [html.escape(part, quote=False) for part in page.paragraphs]
    style = PARAGRAPHS[meta.get("paragraphs") or own.get("paragraphs") or "p"]
    fields = {key: html.escape(str(meta[key])) for key in ("title", "site", "author", "url", "date")}
    fields |= around(host, lang) | comments(meta["url"], lang)
    fields |= {"body": page.text if meta.get("html") else style(escaped), "host": host, "lang": lang}
    fields |= {"dir": "rtl" if lang in RIGHT_TO_LEFT else "ltr", "charset": declared_charset(page)}
    source = string.Template((FOLDER / "layouts" / f"{meta['layout']}.html").read_text("utf-8")).substitute(fields)
    for habit in meta.get("habits", own.get("habits", [])):
        if habit != "bom":
            source = HABITS[habit](source)
    body = source.encode(charset, "xmlcharrefreplace")
    if "bom" in meta.get("habits", own.get("habits", [])):
        body = codecs.BOM_UTF8 + body
    if meta.get("nul_bytes"):
        body = body.replace(b"</p>\n<p>", b"</p>\x00\n<p>").replace(b"patience", b"pat\x00ience")
    return body
