"""Follows a page as a reader would: its blocks in order, in an empty folder, with the installed command."""

import difflib
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.docs.pages import COMMANDS, Block

TIMEOUT_S = 1200


class PageError(AssertionError):
    """What a page says and what happens differ."""


def follow(blocks: Iterable[Block], folder: Path, recipes: Path, with_long: bool) -> int:
    """Run the commands of a page in `folder`; returns how many ran.

    Readers are in a checkout, so `recipes` lies in the folder. Each block is a script of its own: nothing but files
    passes from one to the next.

    Raises:
        PageError: if a command ends with another exit code, at once; if commands print something else than the page
            says, at the end.
    """
    (folder / "recipes").symlink_to(recipes)
    n_run, wrong = 0, []
    for block in blocks:
        if name := block.marks.get("file"):
            (folder / name).write_text(block.text, encoding="utf-8")
        elif block.language in COMMANDS and "not run" not in block.marks and (with_long or "long" not in block.marks):
            printed = _run(block, folder)
            n_run += 1
            if block.output is not None and "not compared" not in block.output.marks:
                try:
                    compare(block.output, printed)
                except PageError as error:
                    wrong.append(str(error))
    if wrong:
        raise PageError("\n\n".join(wrong))
    return n_run


def _run(block: Block, folder: Path) -> str:
    """What a block prints on both of its outputs."""
    script = ["bash", "-euo", "pipefail", "-c"] if block.language == "sh" else [sys.executable, "-c"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "120", "NO_COLOR": "1"}
    done = subprocess.run(
        [*script, block.text], cwd=folder, env=environment, text=True, errors="replace", timeout=TIMEOUT_S,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    expected = int(block.marks.get("exit code", "0"))
    if done.returncode != expected:
        raise PageError(f"{block.place}: exit code {done.returncode}, expected {expected}\n{block.text}\n{done.stdout}")
    return done.stdout


def compare(output: Block, printed: str) -> None:
    """Numbers, hashes and widths aside, the output is the page's. On a page, a line `...` stands for any lines, and
    `...` in a line for any text.

    Raises:
        PageError: otherwise, with the difference.
    """
    said, seen = normal(output.text), normal(printed)
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(re.escape("..."), ".*") + r"\n" for line in said
    )
    if not re.fullmatch(pattern, "".join(f"{line}\n" for line in seen)):
        difference = "\n".join(difflib.unified_diff(said, seen, output.place, "what is printed", lineterm="", n=1))
        raise PageError(f"{output.place}: the command prints something else\n{difference}\n\n{printed}")


def normal(text: str) -> list[str]:
    """Lines that are not blank, without what differs from machine to machine and from run to run."""
    text = re.sub(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,64}\b", "HASH", text)
    text = re.sub(r"\d+(?:[.,:]\d+)*", "0", text)
    text = re.sub(r"\b[kMGT]B\b", "B", text)
    lines = (re.sub(r"\s+", " ", line).strip() for line in text.splitlines())
    return [line for line in lines if line]
