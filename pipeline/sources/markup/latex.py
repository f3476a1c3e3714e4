"""LaTeX -> plain text: sections, paragraphs, lists and captions stay, formulas stay as they are written.

Gone are comments, the preamble, figures, tables, the bibliography, citations, labels and references. No macro is
expanded but those that stand for a few plain words; of a command that is not known here the arguments in braces stay.
Names of commands and environments are those of LaTeX (Lamport 1994, appendix C), amsmath and natbib.

The text is cut into tokens once, braces are paired once, and each token is visited once, so time is linear.
"""

import re
import unicodedata
from collections.abc import Iterator

from pipeline.sources.markup.converted import Converted, check_size
from pipeline.sources.markup.latex_names import (
    ACCENTS,
    DROPPED,
    DROPPED_ARGUMENTS,
    ENV_ARGUMENTS,
    FLOATS,
    HEADINGS,
    LIGATURES,
    MATH,
    NAMED,
    REFERENCES,
    SYMBOLS,
    VERBATIM,
)

MAX_CHARS = 2_000_000
"""A longer file is not converted, since its tokens would take more than half a gigabyte. Papers have 10^5."""
MAX_MACRO_CHARS = 100
"""A macro without arguments that stands for plain text of this length is replaced by it; others go."""

MAX_OPTIONS = 2
"""Arguments in brackets that a citation may have."""
MAX_FLOAT_DEPTH = 3
"""Captions inside captions are read so deep."""

_CITATION = re.compile(r"(?:[Tt]ext|[Pp]aren|[Aa]uto|foot|super)?[cC]ite[a-zA-Z]*\Z")
_CUT = "\x00"
"""Stands where a citation or reference was, until brackets around it are gone, too."""
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*+)%[^\n]*+(?:\n[ \t]*+(?=\S))?+")
_TOKEN = re.compile(
    r"\\(?P<edge>begin|end)\s*+\{(?P<env>[a-zA-Z]++)\*?\}|\\verb\*?(?P<delimiter>[^a-zA-Z\s*])(?P<verb>[^\n]{0,200}?)(?P=delimiter)"
    r"|\\(?P<name>[a-zA-Z@]++)\*?+(?P<space>[ \t]*+)|\\(?P<sign>[^a-zA-Z@])"
    r"|(?P<mark>[{}\[\]]|\$\$?)|(?P<text>[^\\{}\[\]$]++|\\)",
    re.DOTALL,
)
_BODY = r"\{(?:\\(?:text[a-z]{2}|emph|mbox)\{)?([^\\{}$#%]{1,MAX})\}?(?:\\xspace)?\}".replace(
    "MAX", str(MAX_MACRO_CHARS)
)
_MACRO = re.compile(
    rf"\\(?:newcommand|renewcommand|providecommand)\*?\s*+\{{?\s*+\\([a-zA-Z]++)\s*+\}}?\s*+{_BODY}"
    rf"|\\def\s*+\\([a-zA-Z]++)\s*+{_BODY}"
)
_IN_FORMULA = re.compile(r"\\label\{[^{}]*+\}|\\nonumber\b|\\notag\b")
_PARAGRAPH = re.compile(r"\n[ \t]*+\n\s*+")
_LINE_BREAK = re.compile(r"(?<![ \t])[ \t]*+\n[ \t]*+")
_BLANKS = re.compile(r"[ \t]{2,}+")
_BEFORE_LINE_END = re.compile(r"(?<![ \t])[ \t]++(?=\n)")
_BLANK_LINES = re.compile(r" ?\n[ \t]*+\n\s*+")
_CUT_BRACKETS = re.compile(rf" ?[(\[][ ,;\n]*+{_CUT}[ ,;\n{_CUT}]*+[)\]]")
_CUT_BEFORE_SIGN = re.compile(rf" ?{_CUT}++(?=[ ,.;:)\n]|\Z)")


def convert(latex: str) -> Converted:
    """The text of a file, and its `\\title`.

    Raises:
        MarkupError: if it is longer than MAX_CHARS.
    """
    check_size(latex, MAX_CHARS)
    source = _COMMENT.sub(r"\1", latex.replace(_CUT, ""))
    macros = {match[1] or match[3]: match[2] or match[4] for match in _MACRO.finditer(source)}
    head, begin, body = source.partition("\\begin{document}")
    title = " ".join(_tidy(_Walk(head if begin else source, macros).argument_of("title")).split())
    if begin and not title:
        title = " ".join(_tidy(_Walk(body, macros).argument_of("title")).split())
    text = _tidy(_Walk(body.partition("\\end{document}")[0] if begin else source, macros).text())
    return Converted(f"{title}\n\n{text}" if title and text else text, title=title)


def _tidy(text: str) -> str:
    text = _BLANKS.sub(" ", _BEFORE_LINE_END.sub("", text))
    text = _CUT_BEFORE_SIGN.sub("", _CUT_BRACKETS.sub("", text)).replace(_CUT, "")
    return _BLANK_LINES.sub("\n\n", text).strip()


def _prose(text: str) -> str:
    """Text between commands: source lines joined to paragraphs, typewriter spellings as characters."""
    text = "\n\n".join(_LINE_BREAK.sub(" ", part) for part in _PARAGRAPH.split(text))
    for spelling, character in LIGATURES:
        text = text.replace(spelling, character)
    return text


class _Walk:
    """One visit of each token of a source, from which text comes."""

    def __init__(self, source: str, macros: dict[str, str]) -> None:
        self._source, self._macros = source, macros
        self._tokens = list(_TOKEN.finditer(source))
        self._partner = _partners(self._tokens)
        self._after: dict[int, str] = {}
        """What follows the token at a place, such as the blank line behind a heading's closing brace."""
        self._accent = ""

    def text(self) -> str:
        """The text of the whole source."""
        return "".join(self._range(0, len(self._tokens)))

    def argument_of(self, name: str) -> str:
        """The text of the argument of the first command called `name`; "" if there is none."""
        for at, token in enumerate(self._tokens):
            if token["name"] == name:
                start = self._skip_option(at + 1)
                return "".join(self._range(start + 1, self._partner.get(start, start)))
        return ""

    def _range(self, at: int, end: int, depth: int = 0) -> Iterator[str]:
        while at < end:
            token = self._tokens[at]
            following, made = at + 1, ""
            if token["edge"]:
                following, made = self._edge(at, depth)
            elif token["verb"] is not None:
                made = token["verb"]
            elif token["name"]:
                following, made = self._command(at)
            elif token["sign"]:
                following, made = self._sign(at)
            elif token["mark"]:
                following, made = self._mark(at)
            else:
                made = _prose(token["text"]) if token["text"] != "\\" else ""
            made = self._accented(made) if self._accent and made else made
            yield made + self._after.pop(at, "")
            at = following

    def _edge(self, at: int, depth: int) -> tuple[int, str]:
        token, partner = self._tokens[at], self._partner.get(at)
        name = token["env"]
        if token["edge"] == "end" or partner is None:
            return at + 1, "" if name == "document" else "\n\n"
        inside = slice(token.end(), self._tokens[partner].start())
        if name in MATH:
            return partner + 1, _formula(self._source[token.start() : self._tokens[partner].end()])
        if name in VERBATIM:
            return partner + 1, f"\n\n{self._source[inside].strip()}\n\n"
        if name in DROPPED:
            return partner + 1, ""
        if name in FLOATS:
            return partner + 1, "".join(self._captions(at + 1, partner, depth + 1))
        following = at + 1
        option = self._partner.get(following) if self._mark_at(following) == "[" else None
        if name in NAMED:
            if option is not None:
                self._after[option] = ").\n\n"
            return following + (option is not None), f"\n\n{name.capitalize()}" + (".\n\n" if option is None else " (")
        following = self._skip_option(following)
        for _ in range(ENV_ARGUMENTS.get(name, 0)):
            following = self._skip_argument(following)
        return following, "\n\n"

    def _captions(self, at: int, end: int, depth: int) -> Iterator[str]:
        while at < end and depth <= MAX_FLOAT_DEPTH:
            start = self._skip_option(at + 1)
            closing = self._partner.get(start, 0) if self._tokens[at]["name"] == "caption" else 0
            if closing:
                yield "\n\n"
                yield from self._range(start + 1, closing, depth)
                yield "\n\n"
            at = max(at, closing) + 1

    def _command(self, at: int) -> tuple[int, str]:
        name, space = self._tokens[at]["name"], self._tokens[at]["space"]
        following = at + 1
        if name in self._macros:
            return following, self._macros[name] + space
        if name in SYMBOLS:
            symbol = SYMBOLS[name]
            return following, {"ı": "i", "ȷ": "j"}.get(symbol, symbol) if self._accent else symbol
        if name in ACCENTS and self._mark_at(following) == "{":
            self._accent = ACCENTS[name]
            return following, ""
        if name in HEADINGS:
            start = self._skip_option(following)
            if start in self._partner:
                self._after[self._partner[start]] = "\n\n"
            return start, "\n\n"
        if name == "item":
            closing = self._partner.get(following) if self._mark_at(following) == "[" else None
            if closing is not None:
                self._after[closing] = " "
            return following + (closing is not None), "\n- "
        if name in ("def", "gdef", "edef", "let"):
            return self._skip_definition(following), ""
        if _CITATION.match(name):
            for _ in range(MAX_OPTIONS):
                following = self._skip_option(following)
            return self._skip_argument(following), _CUT
        for _ in range(DROPPED_ARGUMENTS.get(name, 0)):
            following = self._skip_argument(self._skip_option(following))
        if name in REFERENCES:
            return following, _CUT
        following = self._skip_option(following)
        return following, " " if space and self._mark_at(following) != "{" and name not in DROPPED_ARGUMENTS else ""

    def _sign(self, at: int) -> tuple[int, str]:
        sign, partner = self._tokens[at]["sign"], self._partner.get(at)
        if sign in "([" and partner is not None:
            made = self._source[self._tokens[at].start() : self._tokens[partner].end()]
            return partner + 1, made if sign == "(" else _formula(made)
        if sign in ACCENTS:
            self._accent = ACCENTS[sign]
            return at + 1, ""
        following = self._skip_option(at + 1) if sign == "\\" else at + 1
        return following, SYMBOLS.get(sign, "")

    def _mark(self, at: int) -> tuple[int, str]:
        mark, partner = self._tokens[at]["mark"], self._partner.get(at)
        if mark in "{}":
            self._accent = "" if mark == "}" else self._accent
            return at + 1, ""
        if mark in "[]" or partner is None:
            return at + 1, "" if at in self._after else mark
        made = self._source[self._tokens[at].start() : self._tokens[partner].end()]
        return partner + 1, _formula(made) if mark == "$$" else made

    def _accented(self, text: str) -> str:
        text, accent, self._accent = text.lstrip(), self._accent, ""
        return unicodedata.normalize("NFC", text[:1] + accent) + text[1:] if text[:1].isalpha() else text

    def _mark_at(self, at: int) -> str:
        return self._tokens[at]["mark"] or "" if at < len(self._tokens) else ""

    def _skip_option(self, at: int) -> int:
        return self._partner[at] + 1 if self._mark_at(at) == "[" and at in self._partner else at

    def _skip_argument(self, at: int) -> int:
        """The place behind the argument at `at`: braces, or one command; `at` if none is there."""
        if at < len(self._tokens) and (self._tokens[at]["text"] or "x").isspace():
            at += 1
        if self._mark_at(at) == "{" and at in self._partner:
            return self._partner[at] + 1
        return at + 1 if at < len(self._tokens) and self._tokens[at]["name"] else at

    def _skip_definition(self, at: int) -> int:
        for place in range(at, min(at + 8, len(self._tokens))):
            if self._mark_at(place) == "{" and place in self._partner:
                return self._partner[place] + 1
        return at + 1


def _formula(made: str) -> str:
    return f"\n{_IN_FORMULA.sub('', made).strip()}\n"


def _partners(tokens: list[re.Match[str]]) -> dict[int, int]:
    """Place of an opening token -> that of its partner: brackets, environments, signs of formulas."""
    found: dict[int, int] = {}
    brackets: list[int] = []
    environments: dict[str, list[int]] = {}
    formula: int | None = None
    for at, token in enumerate(tokens):
        mark, sign = token["mark"], token["sign"]
        if token["edge"] == "begin":
            environments.setdefault(token["env"], []).append(at)
        elif token["edge"] == "end" and environments.get(token["env"]):
            found[environments[token["env"]].pop()] = at
        elif mark in ("{", "["):
            brackets.append(at)
        elif mark == "]" and brackets and tokens[brackets[-1]]["mark"] == "[":
            found[brackets.pop()] = at
        elif mark == "}":
            while brackets:
                opening = brackets.pop()
                if tokens[opening]["mark"] == "{":
                    found[opening] = at
                    break
        if mark in ("$", "$$") or sign in ("(", ")", "[", "]"):
            opened = "" if formula is None else tokens[formula]["mark"] or tokens[formula]["sign"]
            if formula is not None and opened == {")": "(", "]": "["}.get(sign, mark):
                found[formula] = at
                formula = None
            elif mark or sign in ("(", "["):
                formula = at
        elif token["text"] and _PARAGRAPH.search(token["text"]):
            formula = None  # a formula holds no blank line, so a stray dollar sign takes one paragraph at the most
    return found
