"""PyYAML's complaints -> where the mistake is and what to do, for a person who knows YAML from examples only."""

import re

import yaml

_KEY = re.compile(r"\s*(?:- )*[^\s#'\"][^#]*?:(?:\s|\Z)")
"""The start of a line that has a key and a colon which ends it."""
_INDENTS = ("'<block mapping start>'", "'<block sequence start>'", "'?'", "'-'")
_CLOSES = {"{": "}", "[": "]"}
_MAX_SHOWN = 40


def explain(error: yaml.MarkedYAMLError, text: str) -> tuple[int, int, str]:
    """Line and column, both from 0, and a sentence.

    Where PyYAML reports the place at which it could not go on, and the mistake lies before that, the place is that of
    the mistake. What is not known here keeps PyYAML's own words.
    """
    problem, context = error.problem or "", error.context or ""
    at = error.problem_mark or error.context_mark
    if at is None:
        return 0, 0, _own_words(problem, context)
    begin = error.context_mark or at
    lines = [*text.splitlines(), ""]
    if "'\\t'" in problem:
        return at.line, at.column, "a tab stands here; use spaces, not tabs"
    if problem.startswith("found character"):
        return at.line, at.column, _no_start(text, at)
    if context.endswith(("scanning an alias", "scanning an anchor", "scanning a directive")):
        return begin.line, begin.column, _no_start(text, begin)
    if context.endswith("quoted scalar"):
        return _in_quotes(problem, at, begin, text)
    if "flow" in context:
        return _in_brackets(problem, at, begin, text)
    if "could not find expected ':'" in problem:
        return begin.line, begin.column, _no_key(lines[begin.line])
    if problem.startswith("mapping values are not allowed"):
        return _colon(at, lines)
    if problem.startswith("expected <block end>, but found"):
        return _outside(problem, at, begin, lines[at.line])
    return at.line, at.column, _own_words(problem, context)


def _own_words(problem: str, context: str) -> str:
    return f"not YAML: {problem or 'cannot be read'}" + (f" ({context})" if context else "")


def _no_start(text: str, mark: yaml.Mark) -> str:
    return f"text may not begin with {text[mark.index : mark.index + 1]}; put it in quotes"


def _in_quotes(problem: str, at: yaml.Mark, begin: yaml.Mark, text: str) -> tuple[int, int, str]:
    if "escape" in problem:
        sentence = 'a backslash in double quotes begins an escape, and this is none; use single quotes, or write "\\\\"'
        return at.line, at.column, sentence
    return (
        begin.line,
        begin.column,
        f"the quote that opens here is never closed; add {text[begin.index : begin.index + 1]} at its end",
    )


def _in_brackets(problem: str, at: yaml.Mark, begin: yaml.Mark, text: str) -> tuple[int, int, str]:
    opening = text[begin.index : begin.index + 1]
    closing = _CLOSES.get(opening, "a bracket")
    if "<stream end>" in problem:
        return begin.line, begin.column, f"the {opening} that opens here is never closed; add {closing}"
    if problem.startswith("expected ','"):
        since = "" if begin.line == at.line else f" on line {begin.line + 1}"
        return at.line, at.column, f"a comma or {closing} is missing before this, since a {opening} was opened{since}"
    return at.line, at.column, _own_words(problem, "")


def _colon(at: yaml.Mark, lines: list[str]) -> tuple[int, int, str]:
    """A colon where no key can be: in text, below a value, or because the line before has no colon."""
    line = lines[at.line]
    if _KEY.match(line[: at.column]):
        return at.line, at.column, 'the text here holds ": "; put it in quotes'
    number = next((n for n in range(at.line - 1, -1, -1) if lines[n].split("#")[0].strip()), -1)
    if number < 0:
        return at.line, at.column, 'a colon may not stand here; put text that holds ": " in quotes'
    if not _KEY.match(lines[number]):
        return number, _indent(lines[number]), _no_key(lines[number])
    return (
        at.line,
        _indent(line),
        f"line {number + 1} has a value already, so nothing may be indented below it; indent both lines alike",
    )


def _outside(problem: str, at: yaml.Mark, begin: yaml.Mark, line: str) -> tuple[int, int, str]:
    """What ends a block without being its end."""
    if problem.endswith(_INDENTS) and at.column != begin.column:
        return (
            at.line,
            at.column,
            f"indented by {at.column} spaces, where line {begin.line + 1}, to which it belongs, has {begin.column}; "
            "indent what belongs together alike",
        )
    if problem.endswith("'?'"):
        sentence = "a key without a dash stands among list entries; indent it like the keys of the entry above"
        return at.line, at.column, sentence
    if problem.endswith("'-'"):
        return at.line, at.column, "a list entry stands among keys; indent it further, below the key that it belongs to"
    if line[: at.column].rstrip().endswith(("'", '"')):
        quote = line[: at.column].rstrip()[-1]
        inner = "''" if quote == "'" else '\\"'
        return at.line, at.column, f"text follows the closing {quote}; write {inner} for a {quote} inside of the text"
    return at.line, at.column, _own_words(problem, "")


def _no_key(line: str) -> str:
    """What is wrong with a line that should be `key: value`."""
    line = line.strip()
    shown = line if len(line) <= _MAX_SHOWN else f"{line[: _MAX_SHOWN - 3]}..."
    found = f"expected `key: value`, found {shown!r}"
    if re.match(r"[\w.-]+:\S", line):
        return f"{found}; write a space after the colon"
    if re.match(r"[\w.-]+ *=", line):
        return f"{found}; write a colon and a space in place of ="
    return f"{found}; is the colon missing?"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
