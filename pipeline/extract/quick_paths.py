"""trafilatura's XPath expressions as plain functions: the same elements in less than half of an extraction's time.

trafilatura 2.3 tells sections by `re:test(@class, ...)`, which lxml answers with a call into Python for each element
and each test. Here an expression is read once, and one walk over its tags asks only what has not been asked about the
same attributes before. Of XPath no more is known than such expressions consist of; any other stays what it is.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

Attributes = Mapping[str, str]
"""Name -> value, in source order."""
Test = Callable[[Any, Attributes], bool]
"""Of an element of lxml and its attributes."""
Path = Callable[[Any], list[Any]]

MAX_KNOWN, MAX_KNOWN_CHARS = 20_000, 500
"""Sets of attributes whose answer an expression remembers, and characters of the largest of them."""

_WHOLE = re.compile(r"\s*(?P<one>\()?\s*\.//\*(?P<tests>\[.*\])\s*(?(one)\)\s*\[1\])\s*", re.DOTALL)
_TOKEN = re.compile(r"\s*('[^']*'|\.//\w+|self::\w+|@[\w-]+(?:\|@[\w-]+)*|re:test|[a-z][a-z-]*|[()\[\],=1])\s*")


class _UnknownError(Exception):
    """More of XPath than is known here."""


def quicken(xpaths: ModuleType) -> int:
    """Replace expressions with `re:test` in the lists of the module `trafilatura.xpaths`; how many were replaced."""
    n = 0
    for paths in vars(xpaths).values():
        for place, path in enumerate(paths if isinstance(paths, list) else ()):
            source = getattr(path, "path", "")
            if "re:test(" in source and (found := plain(source)):
                paths[place], n = found, n + 1
    return n


def plain(path: str) -> Path | None:
    """A function that gives, of an element, the list that the XPath expression `path` gives; None if it is unknown."""
    whole = _WHOLE.fullmatch(path)
    try:
        reader = _Reader(whole["tests"] if whole else "")
        tests, is_first_child = reader.predicates()
    except _UnknownError:
        return None
    tags = tests.pop(0).tags if tests[0].tags else ()
    if not tests or not tests[0].is_of_attributes:
        return None
    first, *others = (test.run for test in tests)
    names = reader.attribute_names
    known: dict[tuple[tuple[str, str], ...], bool] = {}

    def holds(element: Any) -> bool:
        items = tuple(element.items())
        answer = known.get(items)
        if answer is None:
            asked = tuple(item for item in items if item[0] in names)
            answer = known.get(asked)
            if answer is None:
                answer = first(element, dict(asked))
                if sum(len(value) for _, value in asked) <= MAX_KNOWN_CHARS:
                    if len(known) >= MAX_KNOWN:
                        known.clear()
                    known[asked] = answer
        return answer and all(test(element, dict(items)) for test in others)

    def find(tree: Any) -> list[Any]:
        found = (element for element in tree.iter(*tags or "*") if holds(element) and element is not tree)
        if whole and whole["one"]:
            return [element for element, _ in zip(found, range(1), strict=False)]
        if is_first_child:
            firsts: dict[Any, Any] = {}
            for element in found:
                firsts.setdefault(element.getparent(), element)
            return list(firsts.values())
        return list(found)

    return find


@dataclass(frozen=True, slots=True)
class _Test:
    """A part of a predicate. `tags`: it asks for one of them and nothing else."""

    run: Test
    is_of_attributes: bool = True
    tags: tuple[str, ...] = ()


class _Reader:
    """Reads the predicates of a location step (XPath 1.0, section 2.4), as far as they are known."""

    def __init__(self, source: str) -> None:
        self.attribute_names: set[str] = set()
        self._tokens: list[str] = []
        place = 0
        while place < len(source):
            token = _TOKEN.match(source, place)
            if not token:
                raise _UnknownError(source[place:])
            self._tokens.append(token[1])
            if token[1].startswith("@"):
                self.attribute_names |= {name.removeprefix("@") for name in token[1].split("|")}
            place = token.end()

    def predicates(self) -> tuple[list[_Test], bool]:
        """The predicates in order; and whether a last one asks for the first of a parent's children."""
        found: list[_Test] = []
        while self._tokens:
            self._take("[")
            if found and self._tokens == ["1", "]"]:
                return found, True
            found.append(self._any())
            self._take("]")
        if not found:
            raise _UnknownError("no predicate")
        return found, False

    def _take(self, *wanted: str) -> str:
        if not self._tokens or (wanted and self._tokens[0] not in wanted):
            raise _UnknownError(f"{self._tokens[:1]} for {wanted}")
        return self._tokens.pop(0)

    def _is_next(self, token: str) -> bool:
        return self._tokens[:1] == [token] and bool(self._tokens.pop(0))

    def _any(self) -> _Test:
        tests = [self._all()]
        while self._is_next("or"):
            tests.append(self._all())
        tags = sum((test.tags for test in tests), ()) if all(test.tags for test in tests) else ()
        return _Test(_joined(any, tests), all(test.is_of_attributes for test in tests), tags)

    def _all(self) -> _Test:
        tests = [self._one()]
        while self._is_next("and"):
            tests.append(self._one())
        if len(tests) == 1:
            return tests[0]
        return _Test(_joined(all, tests), all(test.is_of_attributes for test in tests))

    def _one(self) -> _Test:
        token = self._take()
        if token in ("(", "not"):
            if token == "not":
                self._take("(")
            test = self._any()
            self._take(")")
            run = test.run
            return test if token == "(" else _Test(lambda e, a: not run(e, a), test.is_of_attributes)
        if token.startswith("self::"):
            tag = token.removeprefix("self::")
            return _Test(lambda e, a: bool(e.tag == tag), False, (tag,))
        if token.startswith(".//"):
            return _Test(lambda e, a: e.find(token) is not None, False)
        if token.startswith("@") and "|" not in token:
            name = token[1:]
            if not self._is_next("="):
                return _Test(lambda e, a: name in a)
            wanted = self._text()
            return _Test(lambda e, a: a.get(name) == wanted)
        if token in ("contains", "starts-with", "re:test"):
            return self._function(token)
        raise _UnknownError(token)

    def _function(self, name: str) -> _Test:
        self._take("(")
        value = self._value()
        self._take(",")
        text = self._text()
        is_any_case = name == "re:test" and self._is_next(",") and self._text() == "i"
        self._take(")")
        if name == "re:test":
            search = re.compile(text, re.IGNORECASE if is_any_case else 0).search
            return _Test(lambda e, a: search(value(a)) is not None)
        if name == "contains":
            return _Test(lambda e, a: text in value(a))
        return _Test(lambda e, a: value(a).startswith(text))

    def _text(self) -> str:
        token = self._take()
        if not token.startswith("'"):
            raise _UnknownError(token)
        return token[1:-1]

    def _value(self) -> Callable[[Attributes], str]:
        """The string value of a set of attributes: that of the first, "" if there is none."""
        token = self._take()
        if token == "translate":
            self._take("(")
            inner = self._value()
            self._take(",")
            old = self._text()
            self._take(",")
            table = str.maketrans(old, self._text())
            self._take(")")
            return lambda a: inner(a).translate(table)
        names = tuple(name.removeprefix("@") for name in token.split("|"))
        if not token.startswith("@"):
            raise _UnknownError(token)
        if len(names) == 1:
            return lambda a: a.get(names[0], "")
        return lambda a: next((value for name, value in a.items() if name in names), "")


def _joined(join: Callable[[Any], bool], tests: Sequence[_Test]) -> Test:
    runs = tuple(test.run for test in tests)
    return runs[0] if len(runs) == 1 else lambda e, a: join(run(e, a) for run in runs)
