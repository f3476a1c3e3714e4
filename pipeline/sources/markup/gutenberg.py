"""Texts of Project Gutenberg without its header, licence and footer.

The markers are those of the project's files of all years: https://www.gutenberg.org/policy/license.html asks that the
project's name goes where its licence goes. A text without markers stays as it is.
"""

import re

from pipeline.sources.markup.converted import Converted

HEADER_CHARS = 20_000
"""Where the header is looked for; the longest of the 1990s, with the licence inside, have about 15,000 characters."""
_START = re.compile(
    r"^[ \t]*+\*{3}[ \t]*+START OF (?:TH[EI]S? )?PROJECT GUTENBERG[^\n*]*+(?:\n[^\n*]++){0,3}+\*{3}[^\n]*+$"
    r"|^[^\n]*\*END[* ]*THE SMALL PRINT![^\n]*+$",
    re.IGNORECASE | re.MULTILINE,
)
_END = re.compile(
    r"^[ \t]*+(?:\*{3}[ \t]*+END OF (?:TH[EI]S? )?PROJECT GUTENBERG"
    r"|End of (?:the )?Project Gutenberg(?:['’]s|\s++(?:EBook|Etext))"
    r"|\*{3}[ \t]*+START: FULL LICENSE|\*{3}START\*\*THE SMALL PRINT!)",
    re.IGNORECASE | re.MULTILINE,
)
_FIELD = re.compile(r"^(Title|Language):[ \t]*+([^\r\n]++(?:\r?\n[ \t]{2,}+[^\r\n]++)*+)", re.MULTILINE)
_CREDIT = re.compile(
    r"(?:\s*+(?:Produced by|E-?text prepared by|This e-?text was|Transcribed (?:by|from)|HTML version by"
    r"|Note: Project Gutenberg)"
    r"(?:[^\n]*+\n(?![ \t\r]*+\n))*+[^\n]*+)*+",
    re.IGNORECASE,
)


def convert(text: str) -> Converted:
    """The book without what Project Gutenberg put around it, with the title and the language that its header states."""
    text = text.replace("\r\n", "\n")
    head = text[:HEADER_CHARS]
    found = list(_START.finditer(head))
    start = found[-1].end() if found else 0
    fields = (
        {match[1]: " ".join(match[2].split()) for match in _FIELD.finditer(head[: found[-1].start()])} if found else {}
    )
    credit = _CREDIT.match(text, start)
    start = credit.end() if credit and found else start
    end = _END.search(text, start)
    body = text[start : end.start() if end else len(text)].strip("\n ")
    return Converted(body, title=fields.get("Title", ""), language=fields.get("Language", ""))
