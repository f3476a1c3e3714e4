"""The card as a page: its Markdown in HTML, plots and style inside, nothing to fetch, no script.

What a card says is in its Markdown, where values from data are inert already. Here it meets a parser without links,
images, or HTML other than the card's own, and a Content-Security-Policy that forbids scripts and requests.
"""

import base64
import hashlib
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

_OWN_HTML = re.compile(r"<details>\n<summary>(?:[^<>&]|&#\d+;)*</summary>\n?|</details>\n?")
"""What `escape.folded` writes; its summary is text and numeric references."""
_WARNING = "[!WARNING]"
MANY = "plots/measure-"
"""What the paths of plots begin with that stand two in a row where there is room."""


def page(name: str, body: str, figures: Mapping[str, bytes]) -> bytes:
    """The page of a card, as bytes of HTML.

    Args:
        name: of the dataset, for the title.
        body: Markdown of the card, without front matter.
        figures: path of a plot, as the Markdown names it, -> its SVG.
    """
    reader = MarkdownIt("commonmark", {"html": True}, renderer_cls=_Renderer).enable("table")
    reader.disable(["link", "autolink", "reference", "html_inline"])
    tokens = reader.parse(body)
    _mark(tokens)
    content = reader.renderer.render(tokens, reader.options, {"figures": figures})
    style = resources.files("pipeline.card").joinpath("page.css").read_text(encoding="utf-8")
    style_hash = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{style_hash}'; base-uri 'none'; form-action 'none'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{html.escape(name)}: data card</title>
<style>{style}</style>
</head>
<body>
<nav aria-label="Sections"><details><summary>Sections</summary><ul>
{"".join(_contents(tokens))}</ul></details></nav>
<main>
{content}</main>
</body>
</html>
""".encode()


def _mark(tokens: Sequence[Token]) -> None:
    """Give sections ids, columns of numbers and warnings classes; styles of elements are not allowed by the policy."""
    n = 0
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            n += 1
            token.attrSet("id", f"section-{n}")
        elif token.type in ("th_open", "td_open") and token.attrs.pop("style", ""):
            token.attrSet("class", "number")
        elif token.type == "blockquote_open" and tokens[place + 2].content.startswith(_WARNING):
            token.attrSet("class", "warning")
            first, *rest = tokens[place + 2].children or []
            first.content = first.content.removeprefix(_WARNING)
            tokens[place + 2].children = [first, *rest]


def _contents(tokens: Sequence[Token]) -> Iterator[str]:
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.tag == "h2":
            yield f'<li><a href="#{opening.attrGet("id")}">{html.escape(inline.content)}</a></li>\n'


class _Renderer(RendererHTML):
    """Differs from Markdown's usual HTML in plots, wide tables, and HTML that is not the card's own."""

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A plot of the card, or else the text that stands for the image."""
        token = tokens[idx]
        drawn = env["figures"].get(token.attrGet("src"))
        return drawn.decode() if drawn else html.escape(token.content)

    def paragraph_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A paragraph that is a plot is a figure: a paragraph may not hold one."""
        if not _is_plot(tokens[idx + 1], env):
            return self.renderToken(tokens, idx, options, env)
        path = str((tokens[idx + 1].children or [])[0].attrGet("src"))
        return '<figure class="half">' if path.startswith(MANY) else "<figure>"

    def paragraph_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """See `paragraph_open`."""
        return "</figure>\n" if _is_plot(tokens[idx - 1], env) else self.renderToken(tokens, idx, options, env)

    def table_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A table scrolls by itself where it is wider than the page; by keys, too."""
        return '<div class="scroll" tabindex="0">' + self.renderToken(tokens, idx, options, env)

    def table_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """See `table_open`."""
        return self.renderToken(tokens, idx, options, env).rstrip("\n") + "</div>\n"

    def html_block(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """The card's own HTML; any other is shown as text."""
        content = tokens[idx].content
        return content if _OWN_HTML.fullmatch(content) else html.escape(content)


def _is_plot(inline: Token, env: Any) -> bool:
    children = inline.children or []
    return len(children) == 1 and children[0].type == "image" and children[0].attrGet("src") in env["figures"]
