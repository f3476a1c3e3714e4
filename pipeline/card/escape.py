"""Values from data as inert Markdown: whatever a page, a licence or a file name holds, it renders as plain text."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

MAX_CHARS = 120

_CODE_SAFE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._/+=,()-]*[A-Za-z0-9._/+=,()-])?")
_STRUCTURAL = frozenset("\\`*_{}[]<>#!|&~$:@^")
"""ASCII characters with a meaning in CommonMark, GitHub's tables, strike-through, links and mathematics, or HTML."""


def escape(value: object, max_chars: int = MAX_CHARS) -> str:
    """`value` as one line of inert Markdown.

    Characters with a meaning become numeric references, which no Markdown parser reads as structure (CommonMark 0.31,
    section 2.5). Control, format (bidirectional overrides among them), surrogate, private and unassigned characters and
    line separators are shown by their code point. More than `max_chars` characters are cut, and the cut is shown.
    """
    text = str(value)
    cut = len(text) > max_chars
    return "".join(map(_visible, text[:max_chars])) + ("…" if cut else "")


def _visible(char: str) -> str:
    if char in _STRUCTURAL:
        return f"&#{ord(char)};"
    if unicodedata.category(char)[0] == "C" or unicodedata.category(char) in ("Zl", "Zp"):
        return f"(U+{ord(char):04X})"
    return char


def code(value: object, max_chars: int = MAX_CHARS) -> str:
    """`value` as a code span where all its characters are harmless, else as `escape` gives it.

    Renderers turn host names in running text into links, but not in a code span.
    """
    text = str(value)
    if len(text) <= max_chars and _CODE_SAFE.fullmatch(text):
        return f"`{text}`"
    return escape(text, max_chars)


def prose(text: str, max_chars: int = 10_000) -> str:
    """A person's paragraphs and lists; line breaks stay, everything else is escaped."""
    lines = text[:max_chars].strip().replace("\r\n", "\n").split("\n")
    return "\n".join(escape(line.rstrip(), max_chars) for line in lines) + ("…" if len(text) > max_chars else "")


def fenced(text: str, language: str) -> str:
    """A code block that `text` cannot close: its fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
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
    """`part` of `whole` in per cent, one decimal; a dash if there is nothing to divide by."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def size(n_bytes: int) -> str:
    """Bytes in a readable decimal unit (1 kB is 1000 bytes)."""
    value, unit = float(n_bytes), "B"
    for bigger in ("kB", "MB", "GB", "TB", "PB"):
        if value < 1000:
            break
        value, unit = value / 1000, bigger
    return f"{n_bytes} B" if unit == "B" else f"{value:.1f} {unit}"
