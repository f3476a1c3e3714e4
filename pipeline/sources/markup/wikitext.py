"""MediaWiki's wikitext -> plain text: headings, paragraphs and lists stay, the page's apparatus goes.

Gone are templates, tables, references, files, galleries, categories and links to other languages; of links the label
stays, of formulas their TeX between dollar signs. Templates are not expanded, save a few whose argument is prose.
What the syntax means: https://www.mediawiki.org/wiki/Help:Formatting, Help:Links and Specs/wikitext.

Each step reads the text once and nests to a bound, so time is linear in its length whatever it holds.
"""

import html
import re
from collections.abc import Collection

from pipeline.sources.markup.converted import Converted, check_size

MAX_CHARS = 4_000_000
"""MediaWiki saves no page over 2 MiB by default ($wgMaxArticleSize)."""
MAX_LINK_DEPTH = 16
"""Links inside links (captions of files) are followed so deep; brackets beyond it are text."""
FILE_NAMESPACES = frozenset(
    {"file", "image", "media", "datei", "bild", "fichier", "archivo", "файл", "文件", "ファイル"}
)
CATEGORY_NAMESPACES = frozenset({"category", "kategorie", "catégorie", "categoría", "категория", "分类", "カテゴリ"})
"""Names in lower case, in English and the largest Wikipedias; a dump names those of its own language."""
DROPPED_TAGS = frozenset(
    {"ref", "gallery", "timeline", "score", "hiero", "imagemap", "templatestyles", "references", "graph", "mapframe"}
    | {"maplink", "inputbox", "categorytree", "style", "script", "noinclude", "includeonly"}
)
"""Tags whose content goes with them."""
VERBATIM_TAGS = frozenset({"nowiki", "pre", "syntaxhighlight", "source", "math", "chem"})
"""Tags whose content is no wikitext."""
FORMULA_TAGS = frozenset({"math", "chem"})

_FILE_ENDING = re.compile(
    r"\.(?:jpe?g|png|gif|svg|tiff?|webp|og[gvax]|webm|mp[34]|pdf|djvu|wav|mid)\s*\Z", re.IGNORECASE
)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_TAG = re.compile(r"<([a-zA-Z]++)\b([^<>]*+)>")
_ANY_TAG = re.compile(r"</?[a-zA-Z][^<>\n]*+>")
_BREAK = re.compile(r"<(?:br|/p|/div|/li|/tr|/blockquote|hr)\b[^<>\n]*+>", re.IGNORECASE)
_PROSE = re.compile(
    r"\{\{\s*+(?:(lang)\|[^{}|=]*+|(?:nowrap|abbr|sic|transl|lang-[a-z]++|quote|cquote|blockquote))\|([^{}|]*+)"
    r"(?:\|[^{}]*+)?\}\}",
    re.IGNORECASE,
)
"""Templates whose first argument (of `lang` the second) is shown as it is."""
_QUANTITY = re.compile(r"\{\{\s*+(?:convert|cvt)\|([^{}|]*+)\|([^{}|]*+)[^{}]*+\}\}", re.IGNORECASE)
_BRACES = re.compile(r"\{\{++|\}\}++|^[ \t:*#]*+\{\||^[ \t]*+\|\}(?!\})", re.MULTILINE)
_BRACKETS = re.compile(r"\[\[|\]\]")
_EXTERNAL = re.compile(
    r"\[(?:[a-z]{3,6}:)?//[^\s\[\]]*+([^\[\]\n]*+)\]|\[mailto:[^\s\[\]]*+([^\[\]\n]*+)\]", re.IGNORECASE
)
_QUOTES = re.compile(r"'''''(?!')|'''|''")
_SWITCH = re.compile(r"__[A-Z]{3,30}__")
_LIST = re.compile(r"[*#:;]++[ \t]*+")
_BLANKS = re.compile(r"[ \t\u00a0]{2,}+")
_EMPTY_BRACKETS = re.compile(r" ?\([ ,;:]*+\)")
_MARKUP_CHARACTERS = re.compile(r"[\[\]{}'<>&=*#:;|_\-\n ]")


def convert(
    wikitext: str,
    files: Collection[str] = FILE_NAMESPACES,
    categories: Collection[str] = CATEGORY_NAMESPACES,
) -> Converted:
    """The text of a page. `files` and `categories`: names of these namespaces, in lower case.

    Raises:
        MarkupError: if it is longer than MAX_CHARS.
    """
    check_size(wikitext, MAX_CHARS)
    text = _without_tags(_COMMENT.sub("", wikitext))
    text = _PROSE.sub(lambda match: match[2], _QUANTITY.sub(r"\1 \2", text))
    text = _links(_without_braces(text), frozenset(files), frozenset(categories))
    text = _EXTERNAL.sub(lambda match: (match[1] or match[2] or "").strip(), text)
    text = _ANY_TAG.sub("", _BREAK.sub("\n", _SWITCH.sub("", _QUOTES.sub("", text))))
    return Converted(html.unescape("\n".join(_lines(text))).strip())


def _without_tags(text: str) -> str:
    """`text` without tags whose content is no prose; verbatim content with its markup as character references."""
    kept: list[str] = []
    position, unclosed = 0, set[str]()
    for match in _TAG.finditer(text):
        name = match[1].lower()
        if match.start() < position or name not in DROPPED_TAGS | VERBATIM_TAGS:
            continue
        kept.append(text[position : match.start()])
        position = match.end()
        if match[2].endswith("/") or name in unclosed:
            continue
        closing = re.compile(f"</{name}\\s*+>", re.IGNORECASE).search(text, position)
        if closing is None:
            unclosed.add(name)  # so that each kind of tag is looked for to the end once
            continue
        if name in VERBATIM_TAGS:
            kept.append(_verbatim(text[position : closing.start()], name))
        position = closing.end()
    return "".join([*kept, text[position:]])


def _verbatim(content: str, name: str) -> str:
    if name in FORMULA_TAGS:
        content = f"${content.strip()}$"
    content = content if name in ("source", "syntaxhighlight") else html.unescape(content)
    return _MARKUP_CHARACTERS.sub(lambda match: f"&#{ord(match[0])};", content)


def _without_braces(text: str) -> str:
    """`text` without `{{...}}` and `{|...|}`. A brace without a partner is text, so it takes nothing with it."""
    spans: list[tuple[int, int]] = []
    opened: list[tuple[int, bool]] = []
    n_tables = 0
    for match in _BRACES.finditer(text):
        token = match[0].strip(" \t:*#")
        if token == "{|":
            opened.append((match.start(), True))
            n_tables += 1
        elif token.startswith("{"):
            opened += [(match.start() + at, False) for at in range(0, len(token) - 1, 2)]
        elif token == "|}":
            while n_tables and opened:
                start, is_table = opened.pop()
                if is_table:
                    n_tables -= 1
                    spans.append((start, match.end()))
                    break
        else:
            for at in range(2, len(token) + 1, 2):
                if opened and not opened[-1][1]:
                    spans.append((opened.pop()[0], match.start() + at + (at + 1 == len(token))))
    kept: list[str] = []
    position = 0
    for start, end in sorted(spans):
        if start >= position:
            kept.append(text[position:start])
        position = max(position, end)
    return "".join([*kept, text[position:]])


def _links(text: str, files: frozenset[str], categories: frozenset[str]) -> str:
    """`text` with links replaced by their labels."""
    pieces: list[list[str]] = [[]]
    position = 0
    for match in _BRACKETS.finditer(text):
        pieces[-1].append(text[position : match.start()])
        position = match.end()
        if match[0] == "[[" and len(pieces) <= MAX_LINK_DEPTH:
            pieces.append([])
        elif match[0] == "]]" and len(pieces) > 1:
            content = "".join(pieces.pop())
            pieces[-1].append(_label(content, files, categories))
        else:
            pieces[-1].append(match[0])
    pieces[-1].append(text[position:])
    return "[[".join("".join(piece) for piece in pieces)


def _label(content: str, files: frozenset[str], categories: frozenset[str]) -> str:
    target, bar, label = content.partition("|")
    if target.startswith(":"):
        return label if bar else target[1:]
    prefix, colon, rest = target.partition(":")
    name = prefix.strip().lower().replace("_", " ")
    if colon and (name in files or name in categories or _FILE_ENDING.search(rest)):
        return ""
    if colon and not bar and re.fullmatch(r"[a-z]{2,3}(?:-[a-z]{2,8}){0,2}|simple", prefix.strip()):
        return ""  # the same page in another language
    return label if bar else target


def _lines(text: str) -> list[str]:
    """The lines of the text without marks of headings and lists; headings of empty sections left out."""
    made: list[str] = []
    headings: list[tuple[int, int]] = []  # level, place in `made`, of headings that nothing follows yet
    for raw in text.split("\n"):
        line = raw.strip()
        if line.startswith("|") or line.startswith("!") or re.fullmatch(r"-{4,}", line):
            continue
        level = 0
        if line.startswith("=") and line.endswith("="):
            level = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")))
        if level and line.strip("= "):
            while headings and headings[-1][0] >= level:
                del made[headings.pop()[1] :]
            headings.append((level, len(made)))
            made += ["", line.strip("= \t"), ""] if made and made[-1] else [line.strip("= \t"), ""]
            continue
        marks = _LIST.match(line)
        if marks:
            line = line[marks.end() :]
            line = f"- {line}" if line and ("*" in marks[0] or "#" in marks[0]) else line
        line = _BLANKS.sub(" ", _EMPTY_BRACKETS.sub("", line))
        if line:
            headings.clear()
        if line or (made and made[-1]):
            made.append(line)
    if headings:
        del made[headings[0][1] :]
    return made
