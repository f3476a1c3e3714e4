"""What pydantic found wrong -> Problems: the place in the file, what was found, what is allowed."""

import difflib
import types
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pipeline.yaml_nodes import Node, Path, Problem, shown_key

_WORDS: dict[Any, str] = {
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    Any: "any value",
    type(None): "null",
}
_MAX_NAMES = 40


def problems(error: ValidationError, root: Node, model: type[BaseModel]) -> list[Problem]:
    """One Problem for each thing that is wrong, without repetition, in pydantic's order."""
    found = [_problem(details, root, model) for details in error.errors(include_url=False, include_input=False)]
    return list(dict.fromkeys(found))


def nearest(name: str, names: Iterable[str]) -> str:
    """The valid name that `name` probably means, or "" if none is close."""
    near = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.65)
    return near[0] if near else ""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`; did you mean NAME?`, or "" if no name is close."""
    near = nearest(name, names)
    return f"; did you mean {near}?" if near else ""


def one_of(names: Iterable[str]) -> str:
    """Names for a sentence, in their order; a long list is cut."""
    listed = list(names)
    rest = len(listed) - _MAX_NAMES
    return ", ".join(listed[:_MAX_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def keys(model: type[BaseModel]) -> str:
    """The keys of `model`, for a sentence."""
    return one_of(model.model_fields)


def show(node: Node) -> str:
    """What was found, short and on one line."""
    value = node.value
    if isinstance(value, dict):
        first = one_of(shown_key(key) for key in list(value)[:3]) + (", ..." if len(value) > 3 else "")
        return f"a mapping ({first})" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"the text {_quoted(value)}"
    return f"{'' if isinstance(value, bool) else 'the number '}{_cut(node.text)}"


def _problem(details: ErrorDetails, root: Node, model: type[BaseModel]) -> Problem:
    if details["loc"][-1:] == ("[key]",):
        return _wrong_key(details["loc"][:-1], root, model)
    node, above, path, kind = _walk(details["loc"], root, model)
    error, context = details["type"], details.get("ctx", {})
    if error == "extra_forbidden":
        return Problem(node.key_place if node else above.key_place, path, _unknown(str(path[-1]), above, kind))
    if error == "missing":
        return Problem(above.key_place, path, f"missing; expected {describe(kind)}{_about(kind)}")
    if node is None:
        return Problem(above.key_place, path, details["msg"])
    if error in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_tag(node, path, kind)
    if error in ("value_error", "assertion_error"):
        place = node.key_place if isinstance(node.value, dict | list) else node.place
        return Problem(place, path, str(context.get("error", details["msg"])))
    return Problem(node.place, path, f"expected {describe(kind)}, found {show(node)}{_advice(kind, node)}")


def _wrong_key(loc: tuple[int | str, ...], root: Node, model: type[BaseModel]) -> Problem:
    node, above, path, _ = _walk(loc, root, model)
    _, _, _, mapping = _walk(loc[:-1], root, model)
    place = node.key_place if node else above.key_place
    return Problem(
        place, path, f"as a key expected {describe(get_args(_strip(mapping)[0])[0])}, found {_quoted(str(loc[-1]))}"
    )


def _unknown(key: str, mapping: Node, kind: Any) -> str:
    names = list(_model(kind).model_fields)
    free = [name for name in names if mapping.child(name) is None]
    near = did_you_mean(key, names)
    return f"unknown key{near}{' Allowed' if near else '; allowed'} here: {one_of(free or names)}"


def _wrong_tag(node: Node, path: Path, kind: Any) -> Problem:
    _, _, discriminator = _strip(kind)
    tags = _by_tag(kind)
    tag = node.child(discriminator or "")
    if tag is None:
        return Problem(node.key_place, (*path, discriminator or "?"), f"missing; expected one of {one_of(tags)}")
    near = did_you_mean(tag.value, tags) if isinstance(tag.value, str) else ""
    return Problem(tag.place, (*path, discriminator or "?"), f"expected one of {one_of(tags)}, found {show(tag)}{near}")


def _walk(loc: tuple[int | str, ...], root: Node, model: type[BaseModel]) -> tuple[Node | None, Node, Path, Any]:
    """Follow pydantic's `loc` through tree and types: the node (if written), the one above it, the path, the type.

    `loc` holds more than the path: tags of discriminated unions, names of union members, "[key]". Those are left out.
    For an unknown key the type is that of the mapping which holds it.
    """
    node: Node | None = root
    above: Node = root
    path: Path = ()
    kind: Any = model
    for part in loc:
        if isinstance(part, str) and part in (tagged := _by_tag(kind)):
            kind = tagged[part]
            continue
        inner = _entry_type(kind, part)
        if inner is None and (node is None or node.child(part) is None):
            continue
        kind = kind if inner is None else inner
        path = (*path, part)
        if node is not None:
            above, node = node, node.child(part)
    return node, above, path, kind


def _entry_type(kind: Any, part: int | str) -> Any:
    """The type of the entry `part` of a value of type `kind`; None if such values have no such entry."""
    bare, _, _ = _strip(kind)
    origin, arguments = get_origin(bare), get_args(bare)
    if _is_model(bare):
        return bare.model_fields.get(part)
    if isinstance(part, str):
        return arguments[1] if origin in (dict, Mapping) and part != "[key]" else None
    if origin is tuple and arguments[-1] is not Ellipsis:
        return arguments[part] if part < len(arguments) else None
    return arguments[0] if origin in (list, tuple, set, frozenset) else None


def _strip(kind: Any) -> tuple[Any, list[Any], str | None]:
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


def _by_tag(kind: Any) -> dict[str, Any]:
    """Tag -> member of a discriminated union; empty for other types."""
    bare, _, discriminator = _strip(kind)
    if discriminator is None or not _is_union(bare):
        return {}
    members = [(_strip(member)[0], member) for member in get_args(bare)]
    return {
        tag: member
        for model, member in members
        if _is_model(model)
        for tag in get_args(_strip(model.model_fields[discriminator])[0])
    }


def describe(kind: Any) -> str:
    """What a value of type `kind` looks like, for "expected ..."."""
    bare, constraints, discriminator = _strip(kind)
    origin, arguments = get_origin(bare), get_args(bare)
    if _is_model(bare):
        words = f"a mapping with keys {keys(bare)}"
    elif discriminator is not None:
        words = f"a mapping with {discriminator}: {one_of(_by_tag(kind))}"
    elif origin is Literal:
        words = f"one of {one_of(str(a) for a in arguments)}" if len(arguments) > 1 else str(arguments[0])
    elif _is_union(bare):
        words = " or ".join(dict.fromkeys(describe(a) for a in arguments))
    elif origin in (dict, Mapping):
        words = f"a mapping, each value {describe(arguments[1])}"
    elif origin in (list, tuple, set, frozenset):
        words = f"a list, each entry {describe(arguments[0])}"
    elif isinstance(bare, type) and issubclass(bare, Enum):
        words = f"one of {one_of(str(member.value) for member in bare)}"
    elif isinstance(bare, type) and issubclass(bare, PurePath):
        words = "a path"
    else:
        words = _WORDS.get(bare, str(getattr(bare, "__name__", bare)))
    bounds = [b for b in (_bound(c, origin is not None or _is_model(bare)) for c in constraints) if b]
    return f"{words} ({', '.join(bounds)})" if bounds else words


def _bound(constraint: Any, is_collection: bool) -> str:
    for name, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<")):
        if (value := getattr(constraint, name, None)) is not None:
            return f"{sign} {value}"
    unit = "entries" if is_collection else "characters"
    if (value := getattr(constraint, "min_length", None)) is not None:
        return f"{unit} >= {value}"
    if (value := getattr(constraint, "max_length", None)) is not None:
        return f"{unit} <= {value}"
    if (value := getattr(constraint, "pattern", None)) is not None:
        return f"matching {value}"
    return ""


def _about(kind: Any) -> str:
    description = kind.description if isinstance(kind, FieldInfo) else None
    return f": {description}" if description else ""


def _advice(kind: Any, node: Node) -> str:
    """How to write what was probably meant."""
    bare, _, _ = _strip(kind)
    value = node.value
    if get_origin(bare) is Literal and isinstance(value, str):
        return did_you_mean(value, map(str, get_args(bare)))
    if bare is str and node.text and isinstance(value, int | float):
        return f'; for text write "{_cut(node.text)}"'
    if bare is bool and isinstance(value, str) and value.lower() in ("yes", "on", "y", "no", "off", "n"):
        return f"; write {'true' if value.lower() in ('yes', 'on', 'y') else 'false'}"
    if bare in (int, float) and isinstance(value, str):
        bare_text = value.replace("_", "").replace(",", "")
        return f"; write {_cut(bare_text)}" if bare_text.lstrip("+-").replace(".", "", 1).isdecimal() else ""
    if get_origin(bare) in (list, tuple) and isinstance(value, str) and value:
        return f"; write [{_cut(value)}]"
    return ""


def _model(kind: Any) -> type[BaseModel]:
    bare, _, _ = _strip(kind)
    return bare if _is_model(bare) else BaseModel


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def _quoted(text: str) -> str:
    return repr(_cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
