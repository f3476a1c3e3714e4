"""The code blocks of a Markdown page, and what comments in front of them say.

A block of `sh` or `python` is a command that a test runs. The next block, if it is `text` and no heading stands
between, is what the command prints. A comment in front of a block changes that:

    <!-- not run: REASON -->         the command is not run, its output not compared
    <!-- long: REASON -->            run by the tests marked `long` only
    <!-- exit code: N -->            the command ends with this code instead of 0
    <!-- file: NAME -->              the block is the text of a file, which the reader is told to write
    <!-- not compared: REASON -->    the output is an example
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

MARKS = ("not run", "long", "exit code", "file", "not compared")
COMMANDS = ("sh", "python")


@dataclass(frozen=True)
class Block:
    """A fenced block: `language` as written behind the fence, `line` of the opening fence, `output` of a command."""

    page: str
    line: int
    language: str
    text: str
    marks: dict[str, str] = field(default_factory=dict)
    output: "Block | None" = None

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def read_page(path: Path, name: str) -> list[Block]:
    """The blocks of a page in order; outputs hang at their commands.

    Raises:
        ValueError: for an unknown comment, a fence that is indented or never closed, or an output without a command.
    """
    blocks: list[Block] = []
    marks: dict[str, str] = {}
    lines = path.read_text(encoding="utf-8").splitlines()
    may_be_output, number = False, 0
    while number < len(lines):
        line, number = lines[number], number + 1
        if found := re.fullmatch(r"<!-- ([a-z ]+): (.+) -->", line):
            if found[1] not in MARKS:
                raise ValueError(f"{name}:{number}: unknown comment {found[1]!r}; known: {', '.join(MARKS)}")
            marks[found[1]] = found[2]
        elif line.startswith("```"):
            end = next((i for i in range(number, len(lines)) if lines[i].startswith("```")), None)
            if end is None:
                raise ValueError(f"{name}:{number}: a fence that is never closed")
            block = Block(name, number, line[3:].strip(), "\n".join(lines[number:end]) + "\n", marks)
            number, marks = end + 1, {}
            if block.language == "text":
                if not may_be_output and "not compared" not in block.marks:
                    raise ValueError(f"{block.place}: output, but of which command?")
                if may_be_output:
                    before = blocks.pop()
                    blocks.append(Block(before.page, before.line, before.language, before.text, before.marks, block))
            else:
                blocks.append(block)
            may_be_output = block.language in COMMANDS
        elif re.match(r"\s+```", line):
            raise ValueError(f"{name}:{number}: an indented fence, which the tests would overlook")
        elif line.startswith("#"):
            may_be_output = False
        elif line.strip() and marks:
            raise ValueError(f"{name}:{number}: a comment about a block, but no block follows it")
    return blocks
