"""What pydantic found wrong -> Problems: the place in the file, what was found, what is allowed."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.config_words import (
    about,
    advice,
    by_tag,
    describe,
    did_you_mean,
    fields_of,
    is_model,
    model_of,
    nearest,
    one_of,
    quoted,
    rewritten,
    show,
    strip,
)
from pipeline.yaml_nodes import Node, Path, Problem, shown_key

_OTHER_FILES = (
    (("model", "optim"), "this is a training configuration, for `pipeline train`"),
    (("sources",), "this is a recipe, for `pipeline run`"),
)
"""Keys that both kinds of file of this program are known by: one is easily given to the command of the other."""


def problems(error: ValidationError, root: Node, model: type[BaseModel]) -> list[Problem]:
    """One Problem for each thing that is wrong, without repetition, in pydantic's order."""
    raw = error.errors(include_url=False, include_input=False)
    said = [details for details in raw if not _is_said_deeper(details, raw)]
    return list(dict.fromkeys(_problem(details, root, model) for details in said))


def _is_said_deeper(details: ErrorDetails, others: Iterable[ErrorDetails]) -> bool:
    """Whether a value may be a word or a list, and what is wrong is inside the list."""
    at, last = details["loc"][:-1], details["loc"][-1:]
    is_word = details["type"] == "literal_error" and str(*last).startswith("literal[")  # of a union
    return is_word and any(len(o["loc"]) > len(at) + 1 and o["loc"][: len(at)] == at for o in others)


def needed(model: type[BaseModel]) -> str:
    """The keys of `model` that have no default, and the others, for a sentence."""
    must = _required(model)
    may = [name for name in fields_of(model) if name not in must]
    return f"it needs {one_of(must)}" + (f"; allowed too: {one_of(may)}" if may else "")


def stranger(root: Node, model: type[BaseModel]) -> str:
    """A sentence if a mapping is something else altogether, such as another program's file; "" if it is none."""
    found, must = list(root.value) if isinstance(root.value, dict) else [], _required(model)
    n_known = sum(key in fields_of(model) or bool(nearest(key, must)) for key in found)
    if not found or set(must) <= set(found) or n_known * 3 >= len(found):
        return ""
    shown = one_of(map(shown_key, found[:8])) + (", ..." if len(found) > 8 else "")
    looks = next((what for marks, what in _OTHER_FILES if set(marks) <= set(found)), "")
    return f"{looks or 'the file is about something else'}: it has {shown}; {needed(model)}"


def _required(model: type[BaseModel]) -> list[str]:
    return [name for name, field in fields_of(model).items() if field.is_required()]


def _problem(details: ErrorDetails, root: Node, model: type[BaseModel]) -> Problem:
    if details["loc"][-1:] == ("[key]",):
        return _wrong_key(details["loc"][:-1], root, model)
    node, above, path, kind = _walk(details["loc"], root, model)
    error, context = details["type"], details.get("ctx", {})
    if error == "extra_forbidden":
        _, _, _, outer = _walk(details["loc"][:-2], root, model)
        return Problem(node.key_place if node else above.key_place, path, _unknown(str(path[-1]), above, kind, outer))
    if error == "missing":
        return _missing(above, path, f"{describe(kind)}{about(kind)}", root)
    if node is None:
        return Problem(above.key_place, path, details["msg"])
    if error in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_tag(node, path, kind, root)
    if error in ("value_error", "assertion_error"):
        place = node.key_place if isinstance(node.value, dict | list) else node.place
        return Problem(place, path, str(context.get("error", details["msg"])))
    return Problem(node.place, path, f"expected {describe(kind)}, found {show(node)}{advice(kind, node)}")


def _missing(above: Node, path: Path, expected: str, root: Node) -> Problem:
    """A key that is not there. An option that names no entry of the file has made a new one: say so."""
    made = ""
    if above.key_place.option and len(path) > 1:
        entry, entries = str(path[-2]), root
        for key in path[:-2]:
            entries = entries.child(key) or entries
        others = [key for key in entries.value if key != entry] if isinstance(entries.value, dict) else []
        made = f"; {shown_key(entry)} is not in the file{did_you_mean(entry, others)}"
    return Problem(
        above.key_place, path, f"missing{made}{' Expected' if made.endswith('?') else '; expected'} {expected}"
    )


def _wrong_key(loc: tuple[int | str, ...], root: Node, model: type[BaseModel]) -> Problem:
    node, above, path, _ = _walk(loc, root, model)
    _, _, _, mapping = _walk(loc[:-1], root, model)
    kind, key = get_args(strip(mapping)[0])[0], str(loc[-1])
    sentence = f"expected as a key {describe(kind)}, found {quoted(key)}{rewritten(kind, key)}"
    return Problem(node.key_place if node else above.key_place, path, sentence)


def _unknown(key: str, mapping: Node, kind: Any, outer: Any) -> str:
    """`outer` is the union that `kind` is a member of, if it is one."""
    tags = [tag for tag, member in by_tag(outer).items() if key in fields_of(model_of(member))]
    names = list(fields_of(model_of(kind)))
    free = [name for name in names if mapping.child(name) is None]
    if tags and (discriminator := strip(outer)[2]):
        own = mapping.child(discriminator)
        return (
            f"unknown key for {discriminator}: {own.value if own else '?'}; it is one of {discriminator}: "
            f"{one_of(tags)}. Allowed here: {one_of(free or names)}"
        )
    if key.isdecimal():
        return "unknown key; a number is written without commas, since { } divides its entries there"
    near = did_you_mean(key, names)
    return f"unknown key{near}{' Allowed' if near else '; allowed'} here: {one_of(free or names)}"


def _wrong_tag(node: Node, path: Path, kind: Any, root: Node) -> Problem:
    _, _, discriminator = strip(kind)
    tags, at = by_tag(kind), (*path, discriminator or "?")
    tag = node.child(discriminator or "")
    if tag is None:
        as_key = next((f"; write {discriminator}: {name}" for name in tags if node.child(name)), "")
        return _missing(node, at, f"one of {one_of(tags)}{as_key}", root)
    near = _tag_meant(tag.value, tags) if isinstance(tag.value, str) else ""
    return Problem(tag.place, at, f"expected one of {one_of(tags)}, found {show(tag)}{near}")


def _tag_meant(found: str, tags: Mapping[str, Any]) -> str:
    """`; did you mean TAG?`: the tag most like `found`, else the one whose description speaks of it, as of a format."""
    word = re.compile(rf"\b{re.escape(found)}", re.IGNORECASE)
    spoken_of = [tag for tag, member in tags.items() if len(found) >= 4 and word.search(model_of(member).__doc__ or "")]
    return did_you_mean(found, tags) or (f"; did you mean {spoken_of[0]}?" if spoken_of else "")


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
        if isinstance(part, str) and part in (tagged := by_tag(kind)):
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
    bare, _, _ = strip(kind)
    origin, arguments = get_origin(bare), get_args(bare)
    if is_model(bare):
        return fields_of(bare).get(str(part))
    if isinstance(part, str):
        return arguments[1] if origin in (dict, Mapping) and part != "[key]" else None
    if origin is tuple and arguments[-1] is not Ellipsis:
        return arguments[part] if part < len(arguments) else None
    return arguments[0] if origin in (list, tuple, set, frozenset) else None
