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
    names = frozenset().union(*(test.names for test in tests))
    known: dict[tuple[tuple[str, str], ...], bool] = {}

    def holds(element: Any) -> bool:
        items = tuple(element.items())
        answer = known.get(items)
        if answer is None:
            asked = tuple([item for item in items if item[0] in names])
            answer = known.get(asked)
            if answer is None:
                answer = first(element, dict(asked))
                if sum(len(value) for _, value in asked) <= MAX_KNOWN_CHARS:
                    if len(known) >= MAX_KNOWN:
                        known.clear()
                    known[asked] = answer
        return answer and (not others or all(test(element, dict(items)) for test in others))

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
    """A part of a predicate. `names`: of the attributes that it asks for; `is_of_attributes`: it asks for nothing else.
    `tags`: it asks for one of them and nothing else."""

    run: Test
    names: frozenset[str] = frozenset()
    is_of_attributes: bool = True
    tags: tuple[str, ...] = ()


class _Reader:
    """Reads the predicates of a location step (XPath 1.0, section 2.4), as far as they are known."""

    def __init__(self, source: str) -> None:
        self._tokens: list[str] = []
        place = 0
        while place < len(source):
            token = _TOKEN.match(source, place)
            if not token:
                raise _UnknownError(source[place:])
            self._tokens.append(token[1])
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
        if len(tests) == 1:
            return tests[0]
        tags = sum((test.tags for test in tests), ()) if all(test.tags for test in tests) else ()
        names = frozenset[str]().union(*(test.names for test in tests))
        if all(test.is_of_attributes for test in tests):
            return _Test(_either(tests), names)
        return _Test(lambda e, a: any(test.run(e, a) for test in tests), names, False, tags)

    def _all(self) -> _Test:
        tests = [self._one()]
        while self._is_next("and"):
            tests.append(self._one())
        if len(tests) == 1:
            return tests[0]
        names = frozenset[str]().union(*(test.names for test in tests))
        is_of_attributes = all(test.is_of_attributes for test in tests)
        return _Test(lambda e, a: all(test.run(e, a) for test in tests), names, is_of_attributes)

    def _one(self) -> _Test:
        token = self._take()
        if token in ("(", "not"):
            if token == "not":
                self._take("(")
            test = self._any()
            self._take(")")
            run = test.run
            return test if token == "(" else _Test(lambda e, a: not run(e, a), test.names, test.is_of_attributes)
        if token.startswith("self::"):
            tag = token.removeprefix("self::")
            return _Test(lambda e, a: bool(e.tag == tag), is_of_attributes=False, tags=(tag,))
        if token.startswith(".//"):
            return _Test(lambda e, a: e.find(token) is not None, is_of_attributes=False)
        if token.startswith("@") and "|" not in token:
            name = token[1:]
            if not self._is_next("="):
                return _Test(lambda e, a: name in a, frozenset({name}))
            wanted = self._text()
            return _Test(lambda e, a: a.get(name) == wanted, frozenset({name}))
        if token in ("contains", "starts-with", "re:test"):
            return self._function(token)
        raise _UnknownError(token)

    def _function(self, name: str) -> _Test:
        self._take("(")
        value, names = self._value()
        self._take(",")
        text = self._text()
        is_any_case = name == "re:test" and self._is_next(",") and self._text() == "i"
        self._take(")")
        if name == "re:test":
            search = re.compile(text, re.IGNORECASE if is_any_case else 0).search
            return _Test(lambda e, a: search(value(a)) is not None, names)
        if name == "contains":
            return _Test(lambda e, a: text in value(a), names)
        return _Test(lambda e, a: value(a).startswith(text), names)

    def _text(self) -> str:
        token = self._take()
        if not token.startswith("'"):
            raise _UnknownError(token)
        return token[1:-1]

    def _value(self) -> tuple[Callable[[Attributes], str], frozenset[str]]:
        """The string value of a set of attributes: that of the first, "" if there is none; and their names."""
        token = self._take()
        if token == "translate":
            self._take("(")
            inner, within = self._value()
            self._take(",")
            old = self._text()
            self._take(",")
            table = str.maketrans(old, self._text())
            self._take(")")
            return lambda a: inner(a).translate(table), within
        if not token.startswith("@"):
            raise _UnknownError(token)
        first, *more = (name.removeprefix("@") for name in token.split("|"))
        names = frozenset({first, *more})
        if not more:
            return lambda a: a.get(first, ""), names
        return lambda a: next((value for name, value in a.items() if name in names), ""), names


def _either(tests: Sequence[_Test]) -> Test:
    """Whether one of tests of attributes holds, asked of no more of them than it takes: where an element has none of a
    test's attributes, the test's answer is that of an element without any."""
    always = tuple(test.run for test in tests if test.run(None, {}))
    by_name: dict[str, list[Test]] = {}
    for test in tests:
        for name in test.names if test.run not in always else ():
            by_name.setdefault(name, []).append(test.run)

    def run(element: Any, attributes: Attributes) -> bool:
        for name in attributes:
            for test in by_name.get(name, ()):
                if test(element, attributes):
                    return True
        return any(test(element, attributes) for test in always)

    return run
