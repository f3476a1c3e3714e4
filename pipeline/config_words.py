"""The types of a configuration's fields, and the values found there, in words for a message."""

import difflib
import re
import types
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.yaml_nodes import Node, shown_key

_WORDS: dict[Any, str] = {
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    Any: "any value",
    type(None): "null",
}
_MAX_NAMES = 40
_MAX_CHARS = 60
_NAME = re.compile(r"\^(\[[^]]+\])(\[[^]]+\])?(?:\*|\+|\{0,(\d+)\})\$")
"""Patterns that can be put in words: a first character, if it differs, and the others, at most so many."""


def nearest(name: str, names: Iterable[str]) -> str:
    """The valid name that `name` probably means, also where one is the start of the other, or "" if none is close."""
    listed = {known.lower(): known for known in sorted(names)}
    name = name.lower()
    near = difflib.get_close_matches(name, listed, n=1, cutoff=0.65)
    near = near or [known for known in listed if len(min(known, name, key=len)) >= 3 and _starts(known, name)]
    return listed[near[0]] if near else ""


def _starts(a: str, b: str) -> bool:
    return a.startswith(b) or b.startswith(a)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`; did you mean NAME?`, or "" if no name is close."""
    near = nearest(name, names)
    return f"; did you mean {near}?" if near else ""


def one_of(names: Iterable[str]) -> str:
    """Names for a sentence, in their order; a long list is cut."""
    listed = list(names)
    rest = len(listed) - _MAX_NAMES
    return ", ".join(listed[:_MAX_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of `model` by the key that a person writes: a field named after a word of Python has an alias."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def keys(model: type[BaseModel]) -> str:
    """The keys of `model`, for a sentence."""
    return one_of(fields_of(model))


def show(node: Node) -> str:
    """What was found, short and on one line."""
    value = node.value
    if isinstance(value, dict):
        first = one_of(shown_key(key) for key in list(value)[:3]) + (", ..." if len(value) > 3 else "")
        return f"a mapping ({first})" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if value is None or value == "":
        return "nothing" if value is None else "empty text"
    if isinstance(value, str):
        return f"the text {quoted(value)}"
    return f"{'' if isinstance(value, bool) else 'the number '}{_cut(node.text)}"


def describe(kind: Any) -> str:
    """What a value of type `kind` looks like, for "expected ..."."""
    bare, constraints, discriminator = strip(kind)
    origin, arguments = get_origin(bare), get_args(bare)
    each = ""
    if is_model(bare):
        words = f"a mapping with keys {keys(bare)}"
    elif discriminator is not None:
        words = f"a mapping with {discriminator}: {one_of(by_tag(kind))}"
    elif origin is Literal:
        words = f"one of {one_of(str(a) for a in arguments)}" if len(arguments) > 1 else str(arguments[0])
    elif _is_union(bare):
        words = " or ".join(dict.fromkeys(describe(a) for a in arguments))
    elif origin in (dict, Mapping):
        words, each = "a mapping", f", each value {describe(arguments[1])}"
    elif origin in (list, tuple, set, frozenset):
        words, each = "a list", f", each entry {describe(arguments[0])}"
    elif isinstance(bare, type) and issubclass(bare, Enum):
        words = f"one of {one_of(str(member.value) for member in bare)}"
    elif isinstance(bare, type) and issubclass(bare, PurePath):
        words = "a path"
    else:
        words = _WORDS.get(bare, str(getattr(bare, "__name__", bare)))
    is_collection = origin is not None or is_model(bare)
    bounds = [b for b in (_bound(c, is_collection) for c in constraints) if b]
    pattern = _pattern(constraints) or next(filter(None, (_pattern(strip(a)[1]) for a in _members(bare))), "")
    if pattern and not _NAME.fullmatch(pattern) and isinstance(kind, FieldInfo) and kind.description:
        words = kind.description.rstrip(".")
    elif pattern and not _is_union(bare):
        bounds.append(_in_words(pattern))
    return words + (f" ({', '.join(bounds)})" if bounds else "") + each


def _members(bare: Any) -> tuple[Any, ...]:
    """The types of a union of values; none for other types, and for a union of models."""
    members = get_args(bare) if _is_union(bare) else ()
    return () if any(is_model(strip(member)[0]) for member in members) else members


def _bound(constraint: Any, is_collection: bool) -> str:
    for name, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<")):
        if (value := getattr(constraint, name, None)) is not None:
            return f"{sign} {value}"
    unit = ("entry", "entries") if is_collection else ("character", "characters")
    for name, words in (("min_length", "at least"), ("max_length", "at most")):
        if (value := getattr(constraint, name, None)) is not None and (is_collection or value > 1):
            return f"{words} {value} {unit[value != 1]}"
    return ""


def _pattern(constraints: Iterable[Any]) -> str:
    return next((str(c.pattern) for c in constraints if getattr(c, "pattern", None) is not None), "")


def _in_words(pattern: str) -> str:
    """As in `characters a-z 0-9 _, the first one a-z, at most 64`; the pattern itself if it is no simple one."""
    found = _NAME.fullmatch(pattern)
    if found is None:
        return f"matching {pattern}"
    first, rest, most = found.groups()
    words = f"characters {_characters(rest or first)}"
    if rest and rest != first:
        words += f", the first one {_characters(first)}"
    return words + (f", at most {int(most) + bool(rest)}" if most else "")


def _characters(brackets: str) -> str:
    """`[a-z0-9_-]` -> `a-z 0-9 _ -`."""
    return " ".join(re.findall(r".-.|.", brackets[1:-1]))


def rewritten(kind: Any, text: str) -> str:
    """`; write ...`: what a name could be that fits the pattern of `kind`, such as my-data for My Data."""
    pattern = _pattern(strip(kind)[1])
    if len(text) > _MAX_CHARS:
        return ""
    parts = re.findall(r"[a-z0-9]+", text.lower())
    options = (text.lower(), text.upper(), "-".join(parts), "_".join(parts))
    return next((f"; write {option}" for option in options if pattern and re.search(pattern, option)), "")


def about(kind: Any) -> str:
    """`: DESCRIPTION` of a field, unless `describe` says it already."""
    description = kind.description if isinstance(kind, FieldInfo) else None
    return f": {description}" if description and description.rstrip(".") != describe(kind) else ""


def advice(kind: Any, node: Node) -> str:
    """How to write what was probably meant."""
    bare, _, _ = strip(kind)
    value = node.value
    is_mapping = _is_mapping(kind)
    if value is None:
        below = "its keys below it, indented" if is_mapping else "a value"
        remove = ", or remove the line" if isinstance(kind, FieldInfo) and not kind.is_required() else ""
        return "" if node.place.option else f"; write {below}{remove}"
    if is_mapping and not isinstance(value, dict):
        dashes = " without dashes" if isinstance(value, list) else ", indented, below the key"
        return f"; a mapping is written as lines `key: value`{dashes}"
    if members := _members(bare):
        return next((advice(member, node) for member in members if strip(member)[0] is type(value)), "")
    if get_origin(bare) in (list, tuple):
        return _list_advice(value, get_args(bare)[0])
    if get_origin(bare) is Literal and isinstance(value, str):
        return did_you_mean(value, map(str, get_args(bare)))
    if bare is str and node.text and isinstance(value, int | float):
        return f'; for text write "{_cut(node.text)}"'
    if bare is str and isinstance(value, str | dict):
        return rewritten(kind, value) if isinstance(value, str) else '; put text that holds ": " in quotes'
    if bare is bool:
        return _truth_advice(value)
    if bare is int and isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}"
    return _number_advice(bare, value) if bare in (int, float) and isinstance(value, str) else ""


def _list_advice(value: object, entry: Any) -> str:
    if _is_mapping(entry) or isinstance(value, dict):
        return "" if isinstance(value, list) else "; a list has a dash before each entry"
    return f"; write [{_cut(value)}]" if isinstance(value, str) and value else ""


def _is_mapping(kind: Any) -> bool:
    bare, _, discriminator = strip(kind)
    return is_model(bare) or discriminator is not None or get_origin(bare) in (dict, Mapping)


def _truth_advice(value: object) -> str:
    text = str(value).lower()
    for word, meant in (("true", ("yes", "on", "y", "1", "true")), ("false", ("no", "off", "n", "0", "false"))):
        if text in meant:
            return f"; write {word}{' without quotes' if text == word else ''}"
    return ""


def _number_advice(kind: Any, text: str) -> str:
    """For a number that is written as text: with quotes, grouped digits, a decimal comma, a percent sign or a unit."""
    if re.fullmatch(r"[-+]?[1-9][0-9]{0,2}(?:,[0-9]{3})+", text) or re.fullmatch(r"[-+]?[0-9]+(?:_[0-9]+)+", text):
        return f"; write {_cut(text.replace(',', '').replace('_', ''))}"
    if kind is float and (found := re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,12})?) ?%", text)):
        return f"; write {float(found[1]) / 100:.12g}"
    if kind is float and re.fullmatch(r"[-+]?[0-9]+,[0-9]+", text):
        return f"; write {_cut(text.replace(',', '.'))}"
    if re.fullmatch(r"[-+]?[0-9]+(?:\.[0-9]+)?", text):
        return f"; write {_cut(text)}" if kind is float or "." not in text else ""
    return "; write digits only, without unit" if re.match(r"[0-9]", text) else ""


def strip(kind: Any) -> tuple[Any, list[Any], str | None]:
    """`kind` without annotations and `| None`; the constraints on it; the key that tells its union members apart."""
    constraints: list[Any] = []
    discriminator: str | None = None
    while True:
        extra: list[Any] = []
        if isinstance(kind, FieldInfo):
            kind, extra = kind.annotation, [kind]
        elif get_origin(kind) is Annotated:
            kind, *extra = get_args(kind)
        elif _is_union(kind) and len(members := [a for a in get_args(kind) if a is not types.NoneType]) == 1:
            kind = members[0]
        else:
            return kind, constraints, discriminator
        for item in extra:
            if isinstance(item, FieldInfo):
                constraints += item.metadata
                discriminator = item.discriminator if isinstance(item.discriminator, str) else discriminator
            else:
                constraints.append(item)


def by_tag(kind: Any) -> dict[str, Any]:
    """Tag -> member of a discriminated union; empty for other types."""
    bare, _, discriminator = strip(kind)
    if discriminator is None or not _is_union(bare):
        return {}
    members = [(strip(member)[0], member) for member in get_args(bare)]
    return {
        tag: member
        for model, member in members
        if is_model(model)
        for tag in get_args(strip(model.model_fields[discriminator])[0])
    }


def model_of(kind: Any) -> type[BaseModel]:
    """The model that a value of type `kind` is; a model without fields for other types."""
    bare, _, _ = strip(kind)
    return bare if is_model(bare) else BaseModel


def is_model(kind: Any) -> bool:
    """Whether `kind` is a model, with nothing around it."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def quoted(text: str) -> str:
    """Text for a message: cut, in quotes, escaped."""
    return repr(_cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CHARS else f"{text[: _MAX_CHARS - 3]}..."
