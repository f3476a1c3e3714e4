"""Writes `characters.json` and `english.json`: `python -m tests.make_tables`.

Run by hand, in an environment with spaCy 3.8 and datatrove 0.10 besides Gristmill's own dependencies. Both files are
data that is derived from the character database of the running Python and from the tables of these two libraries
(spaCy: MIT licence, Explosion; datatrove: Apache-2.0, Hugging Face); nothing else of Gristmill needs spaCy.
"""

import json
import re
import unicodedata
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

from pipeline.text import characters as c

FOLDER = Path(__file__).parent.parent / "pipeline" / "text"
# Blocks of the Unicode standard, chapters 16 (Thai, Lao, Myanmar, Khmer) and 18 (Han, Kana).
UNSPACED_BLOCKS = [(0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F)]
KANA_BLOCKS = [(0x3041, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F), (0x1B000, 0x1B16F)]
# Vowels written before the consonant that they follow in speech: Thai and Lao syllables may begin there, never end.
LEADING_VOWELS = [(0x0E40, 0x0E44), (0x0EC0, 0x0EC4)]


def _within(code_point: int, blocks: list[tuple[int, int]]) -> bool:
    return any(first <= code_point <= last for first, last in blocks)


def unicode_flags(char: str) -> int:
    """The bits of one character that follow from Unicode alone."""
    category, point = unicodedata.category(char), ord(char)
    letter = char.isalpha()
    han = letter and unicodedata.name(char, "").startswith(("CJK UNIFIED", "CJK COMPAT"))
    unspaced = _within(point, UNSPACED_BLOCKS) and category[0] in "LM"
    stacked = point in (0x1039, 0x17D2) or category[0] == "M"
    starts = unspaced and not stacked and (_within(point, LEADING_VOWELS) or point >= 0x1000)
    return (
        c.LETTER * letter
        | c.DIGIT * (category == "Nd")
        | c.NUMBER * (category[0] == "N")
        | c.SPACE * char.isspace()
        | c.LINE_BREAK * (len(f"a{char}b".splitlines()) == 2)
        | c.PUNCTUATION * (category[0] == "P")
        | c.SYMBOL * (category[0] == "S")
        | c.NONSPACING_MARK * (category == "Mn")
        | c.MARK * (category[0] == "M")
        | c.WORD * (char.isalnum() or char == "_")
        | c.UPPER * char.isupper()
        | c.IDEOGRAPH * han
        | c.KANA * (_within(point, KANA_BLOCKS) and letter)
        | c.UNSPACED * unspaced
        | c.SYLLABLE_START * starts
    )


def library_flags() -> dict[int, int]:
    """Code point -> the bits that datatrove's and spaCy's tables give it."""
    text: Any = import_module("datatrove.utils.text")
    classes: Any = import_module("spacy.lang.char_classes")
    single = [p.replace("\\", "") for p in classes.LIST_PUNCT + classes.LIST_QUOTES]
    ends = "".join(p for p in single if len(p) == 1) + "—–…"
    currency = "".join(s for s in (p.replace("\\", "") for p in classes.LIST_CURRENCY) if len(s) == 1)
    sets = {
        c.TERMINAL: "".join(text.TERMINAL_PUNCTUATION),
        c.GOPHER_SYMBOL: "".join(text.PUNCTUATION_SET),
        c.SHINGLE_BREAK: text.PUNCTUATION,
        c.CURRENCY: currency,
        c.PREFIX: ends + currency + "§%=",
        c.SUFFIX: ends,
    }
    patterns = {
        c.ALPHA: classes.ALPHA,
        c.ALPHA_LOWER: classes.ALPHA_LOWER,
        c.ALPHA_UPPER: classes.ALPHA_UPPER,
        c.QUOTE: classes.CONCAT_QUOTES,
        c.ICON | c.PREFIX | c.SUFFIX: classes.CONCAT_ICONS,
        # The class that precedes a final full stop in spacy/lang/punctuation.py, TOKENIZER_SUFFIXES.
        c.BEFORE_STOP: rf"0-9{classes.ALPHA_LOWER}%²\-\+{classes.PUNCT}(?:{classes.CONCAT_QUOTES})",
    }
    everything = "".join(map(chr, range(c.N_CODE_POINTS)))
    flags: dict[int, int] = {}
    for bit, members in sets.items():
        for member in members:
            flags[ord(member)] = flags.get(ord(member), 0) | bit
    for bits, pattern in patterns.items():
        for match in re.finditer(f"[{pattern}]", everything):
            flags[match.start()] = flags.get(match.start(), 0) | bits
    return flags


def characters() -> dict[str, Any]:
    """The content of `characters.json`; flags are runs (length, flags), mappings are pairs (from, to)."""
    extra = library_flags()
    flags = [unicode_flags(chr(p)) | extra.get(p, 0) for p in range(c.N_CODE_POINTS)]
    lower: list[int] = []
    base: list[int] = []
    for point in range(c.N_CODE_POINTS):
        char = chr(point)
        if (small := ord(char.lower()[0])) != point:
            lower += [point, small]
        left = [d for d in unicodedata.normalize("NFD", char) if unicodedata.category(d) != "Mn"]
        if len(left) == 1 and left[0] != char:
            base += [point, ord(left[0])]
    runs = [number for value, run in groupby(flags) for number in (len(list(run)), value)]
    return {"unicode_version": unicodedata.unidata_version, "flag_runs": runs, "lower": lower, "base": base}


def english() -> dict[str, Any]:
    """The content of `english.json`: chunks with a fixed division (their parts), and units that end a number."""
    rules: Any = import_module("spacy.lang.en.tokenizer_exceptions")
    symbols: Any = import_module("spacy.symbols")
    classes: Any = import_module("spacy.lang.char_classes")
    fixed = {
        text: [part[symbols.ORTH] for part in parts]
        for text, parts in rules.TOKENIZER_EXCEPTIONS.items()
        if not any(char.isspace() for char in text)
    }
    after_digit = [p.replace("\\", "") for p in classes.LIST_UNITS + classes.LIST_CURRENCY]
    dollars = sorted({p for p in after_digit if len(p) > 1 and p.endswith("$")})
    return {"fixed": dict(sorted(fixed.items())), "after_digit": sorted(set(after_digit)), "dollars": dollars}


def main() -> None:
    """Write both files beside this one."""
    for name, content in (("characters.json", characters()), ("english.json", english())):
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        (FOLDER / name).write_text(text.replace("],", "],\n") + "\n", "utf-8")


if __name__ == "__main__":
    main()
