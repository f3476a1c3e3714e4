"""Values from data as inert Markdown: whatever a page, a licence or a file name holds, it renders as plain text."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

MAX_CHARS = 120

_STRUCTURAL = frozenset("\\`*_{}[]<>#!|&~$:@^")
"""ASCII characters with a meaning in CommonMark, GitHub's tables, strike-through, links and mathematics, or HTML."""


def escape(value: object, max_chars: int = MAX_CHARS) -> str:
    """`value` as one line of inert Markdown.

    Characters with a meaning become numeric references, which no Markdown parser reads as structure (CommonMark 0.31,
    section 2.5). Control, format (bidirectional overrides among them), surrogate, private and unassigned characters and
    line separators are shown by their code point. More than `max_chars` characters are cut, and the cut is shown.
    """
    shown = visible(str(value), max_chars)
    return "".join(f"&#{ord(char)};" if char in _STRUCTURAL else char for char in shown)


def visible(text: str, max_chars: int = MAX_CHARS) -> str:
    """`text` on one line with nothing hidden in it: characters that do not show are given by their code point."""
    cut = len(text) > max_chars
    return "".join(map(_visible, text[:max_chars])) + ("…" if cut else "")


def _visible(char: str) -> str:
    is_hidden = unicodedata.category(char)[0] == "C" or unicodedata.category(char) in ("Zl", "Zp")
    return f"(U+{ord(char):04X})" if is_hidden else char


def code(value: object, max_chars: int = MAX_CHARS) -> str:
    """`value` as a code span, in a table or outside; nothing if it is empty.

    For whatever comes from data: renderers turn addresses in running text into links even where they are written as
    character references, but nothing in a code span (CommonMark 0.31, section 6.1; GitHub's autolinks are for text).
    The one character that no code span may hold in a table, `|`, is shown by its code point.
    """
    text = visible(str(value), max_chars).replace("|", "(U+007C)")
    if not text:
        return ""
    fence = "`" * (_longest_run(text) + 1)
    pad = " " if text.strip(" ") and (text[0] in "` " or text[-1] in "` ") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def prose(text: str, max_chars: int = 10_000) -> str:
    """A person's paragraphs and lists; line breaks stay, everything else is escaped."""
    lines = text[:max_chars].strip().replace("\r\n", "\n").split("\n")
    return "\n".join(_prose_line(line.rstrip(), max_chars) for line in lines) + ("…" if len(text) > max_chars else "")


def _prose_line(line: str, max_chars: int) -> str:
    """A line of hyphens or equals signs would make a heading of the line above."""
    if set(line.strip()) in ({"-"}, {"="}):
        return "".join(f"&#{ord(char)};" for char in line.strip())
    return escape(line, max_chars)


def fenced(text: str, language: str) -> str:
    """A code block that `text` cannot close: its fence is longer than any run of backticks inside."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of cells that are already escaped; columns whose head ends in `:` are right-aligned."""
    lines = [
        "| " + " | ".join(h.removesuffix(":") for h in head) + " |",
        "|" + "|".join("---:" if h.endswith(":") else "---" for h in head) + "|",
    ]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def number(value: int) -> str:
    """An integer with thousands separators."""
    return f"{value:,}"


def share(part: float, whole: float) -> str:
    """`part` of `whole` in per cent, one decimal; a dash if there is nothing to divide by.

    What is not nothing is not shown as 0.0 %, and what is not all is not shown as 100.0 %.
    """
    if not whole:
        return "–"
    text = f"{100 * part / whole:.1f} %"
    if text == "0.0 %" and part:
        return "under 0.1 %"
    return "over 99.9 %" if text == "100.0 %" and part < whole else text


def ratio(part: float, whole: float) -> str:
    """`part` for each of `whole`, two decimals; a dash if there is nothing to divide by."""
    return f"{part / whole:,.2f}" if whole else "–"


def warning(text: str) -> str:
    """A box that GitHub and the Hub highlight; elsewhere a block quote. `text` is Markdown of one line."""
    return f"> [!WARNING]\n> {text}"


def folded(summary: str, body: str) -> str:
    """`body`, Markdown, folded away under `summary`, plain text, where a reader knows how to (GitHub, the Hub)."""
    return f"<details>\n<summary>{escape(summary)}</summary>\n\n{body}\n\n</details>"


def size(n_bytes: int) -> str:
    """Bytes in a readable decimal unit (1 kB is 1000 bytes)."""
    value, unit = float(n_bytes), "B"
    for bigger in ("kB", "MB", "GB", "TB", "PB"):
        if value < 1000:
            break
        value, unit = value / 1000, bigger
    return f"{n_bytes} B" if unit == "B" else f"{value:.1f} {unit}"
