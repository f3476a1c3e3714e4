"""YAML text -> a tree of Nodes that know where they were written, under a small, safe part of YAML.

What a plain scalar means follows the YAML 1.2 core schema (https://yaml.org/spec/1.2.2/, section 10.3.2), not YAML 1.1
as PyYAML's own loaders do: `no`, `on`, `2026-11-20` and `1:30` are text, `1e-3` is a number, `0o17` is octal. Beyond
the schema:

- an integer with a leading zero (`010`) is refused, since YAML 1.1 and 1.2 read it differently;
- a number without a point but with a positive exponent (`1e9`) is an integer;
- integers beyond 64 bits and numbers that are not finite are refused;
- keys are always text, as written;
- anchors, aliases, tags and several documents in a file are refused, and so are duplicate keys.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from pipeline.yaml_errors import explain

MAX_DEPTH = 32
"""Levels of lists and mappings; recipes need fewer than ten."""

Path = tuple[str | int, ...]
Scalar = str | int | float | bool | None

_NULL = re.compile(r"(?:null|Null|NULL|~|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"[-+]?[0-9]+\Z")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+\Z")
_BASED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_WHOLE = re.compile(r"[-+]?[0-9]+[eE]\+?[0-9]{1,2}\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something was written: 1-based line and column of the file, or the text of a `--set` option."""

    option: str = ""
    line: int = 1
    column: int = 1

    def shown(self, file: str) -> str:
        """`file:line:column`, or `--set path=value`."""
        return f"--set {self.option}" if self.option else f"{file}:{self.line}:{self.column}"


@dataclass(slots=True)
class Node:
    """A value, where it begins, and the place of its key (of the value itself for list entries and the root)."""

    value: "Scalar | dict[str, Node] | list[Node]"
    place: Place
    key_place: Place
    text: str = ""
    """A plain scalar as it was written; "" for everything else."""

    def child(self, key: str | int) -> "Node | None":
        """The entry under `key`, if there is one."""
        if isinstance(self.value, dict):
            return self.value.get(str(key))
        if isinstance(self.value, list) and isinstance(key, int) and 0 <= key < len(self.value):
            return self.value[key]
        return None

    def plain(self) -> object:
        """The value as dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, at which key path (empty: the whole file), and a sentence."""

    place: Place
    path: Path
    sentence: str

    def shown(self, file: str) -> str:
        """One line for a person."""
        path = ".".join(map(shown_key, self.path))
        return f"{self.place.shown(file)}: {path + ': ' if path else ''}{self.sentence}"


def shown_key(key: str | int) -> str:
    """A key for a message: short, on one line, without control characters."""
    text = str(key)
    return _short(text if text.isprintable() else repr(text)[1:-1])


class UnreadableError(Exception):
    """The text cannot be read as YAML at all; carries the Problem."""

    def __init__(self, problem: Problem):
        super().__init__(problem.sentence)
        self.problem = problem


def parse(text: str, option: str = "", path: Path = ()) -> tuple[Node, list[Problem]]:
    """The tree of `text`, and what is wrong with it although it can be read (the tree then holds null in such places).

    `option` is the `--set` option that the text comes from, `path` the key path under which its tree will lie.

    Raises:
        UnreadableError: not YAML, nested deeper than MAX_DEPTH, or more than one document.
    """
    return _Parser(option, path).run(text)


class _Parser:
    def __init__(self, option: str, path: Path):
        self.option, self.root = option, path
        self.problems: list[Problem] = []

    def run(self, text: str) -> tuple[Node, list[Problem]]:
        try:
            return self._document(yaml.parse(text, Loader=yaml.SafeLoader)), self.problems
        except yaml.reader.ReaderError as error:
            raise self._unreadable(_place_of(text, error.position, self.option), _bad_character(error)) from None
        except yaml.MarkedYAMLError as error:
            line, column, sentence = explain(error, text)
            place = Place(self.option) if self.option else Place("", line + 1, column + 1)
            raise self._unreadable(place, sentence) from None

    def _document(self, events: Iterator[Any]) -> Node:
        node: Node | None = None
        for event in events:
            if not isinstance(event, yaml.NodeEvent):
                continue
            place = self._place(event.start_mark)
            if node is not None:
                sentence = (
                    "a second YAML document begins here; a file holds one: remove the --- above, or what follows it"
                )
                raise self._unreadable(place, sentence)
            node = self._node(events, event, self.root, place)
        return node or Node(None, Place(self.option), Place(self.option))

    def _node(self, events: Iterator[Any], event: Any, path: Path, key_place: Place) -> Node:
        place = self._place(event.start_mark)
        node = Node(None, place, key_place)
        if len(path) - len(self.root) > MAX_DEPTH:
            raise self._unreadable(place, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            self._problem(
                place, path, f"aliases are not read (*{_short(event.anchor or '')}); write the value, or quote it"
            )
            return node
        self._refuse_extras(event, path, place)
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, node, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            node.value = self._sequence(events, path)
        else:
            node.value = self._mapping(events, path)
        return node

    def _refuse_extras(self, event: Any, path: Path, place: Place) -> None:
        if event.anchor is not None:
            self._problem(place, path, f"anchors are not read (&{_short(event.anchor)}); write the value, or quote it")
        if event.tag is not None:
            self._problem(place, path, f"tags are not read ({_short(event.tag)}); remove it, and quote what is text")

    def _sequence(self, events: Iterator[Any], path: Path) -> list[Node]:
        nodes: list[Node] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            nodes.append(self._node(events, event, (*path, len(nodes)), self._place(event.start_mark)))
        return nodes

    def _mapping(self, events: Iterator[Any], path: Path) -> dict[str, Node]:
        nodes: dict[str, Node] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            place = self._place(event.start_mark)
            if not isinstance(event, yaml.ScalarEvent):
                self._node(events, event, (*path, "?"), place)
                self._problem(place, path, "a key must be a word; found a list, a mapping or an alias as key")
                self._node(events, next(events), (*path, "?"), place)
                continue
            key = event.value
            self._refuse_extras(event, (*path, key), place)
            node = self._node(events, next(events), (*path, key), place)
            if first := nodes.get(key):
                line = f"line {first.key_place.line}" if not self.option else "the same option"
                self._problem(place, (*path, key), f"the key is there twice, first on {line}; remove one")
            elif event.implicit[0] and ":" in key and node.value is None and not node.text:
                key, _, value = key.partition(":")
                self._problem(place, (*path, key), f"write a space after the colon: {_short(key)}: {_short(value)}")
            elif _has_surrogate(key):
                self._problem(place, path, "a key holds half of a surrogate pair, which is not valid Unicode")
            else:
                nodes[key] = node
        return nodes

    def _scalar(self, event: Any, node: Node, path: Path) -> None:
        if not event.implicit[0]:
            node.value = "" if _has_surrogate(event.value) else event.value
            if node.value != event.value:
                self._problem(node.place, path, "the text holds half of a surrogate pair, which is not valid Unicode")
            return
        node.text = event.value
        try:
            node.value = resolve(event.value)
        except ValueError as error:
            self._problem(node.place, path, str(error))

    def _place(self, mark: Any) -> Place:
        return Place(self.option) if self.option else Place("", mark.line + 1, mark.column + 1)

    def _problem(self, place: Place, path: Path, sentence: str) -> None:
        self.problems.append(Problem(place, path, sentence))

    def _unreadable(self, place: Place, sentence: str) -> UnreadableError:
        return UnreadableError(Problem(place, self.root, sentence))


def resolve(text: str) -> Scalar:
    """The value of a plain scalar (see the head of this module).

    Raises:
        ValueError: a number with a leading zero, beyond 64 bits, or not finite.
    """
    if _NULL.match(text):
        return None
    if _BOOL.match(text):
        return text[0] in "tT"
    if _LEADING_ZERO.match(text):
        plain = text.lstrip("+-0") or "0"
        raise ValueError(f'{_short(text)} may be octal; write {_short(plain)}, 0o... for octal, or "..." for text')
    if _INT.match(text) or _BASED.match(text) or _WHOLE.match(text):
        return _integer(text)
    if _NOT_FINITE.match(text):
        raise ValueError(f"{text} is not a finite number")
    if _FLOAT.match(text):
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise ValueError(f"{_short(text)} is too large for a number of 64 bits")
        return value
    return text


def _integer(text: str) -> int:
    if len(text) <= 25:
        base = {"0o": 8, "0x": 16}.get(text[:2])
        digits, _, exponent = text.lower().partition("e")
        value = int(text[2:], base) if base else int(digits) * 10 ** int(exponent or 0)
        if abs(value) < 2**64:
            return value
    raise ValueError(f"{_short(text)} is too large for an integer of 64 bits")


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)


def _place_of(text: str, position: int, option: str) -> Place:
    before = text[:position]
    return Place(option) if option else Place("", before.count("\n") + 1, position - before.rfind("\n"))


def _bad_character(error: yaml.reader.ReaderError) -> str:
    code = error.character if isinstance(error.character, int) else ord(error.character)
    return f"the character U+{code:04X} may not stand in YAML; remove it, or write it as an escape in double quotes"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
