"""The classes that a recipe's datatrove steps name: found, checked against what the recipe says, and made."""

import importlib
import inspect
import json
import sys
import typing
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from datatrove.pipeline import filters, formatters
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.formatters.base import BaseFormatter
from datatrove.utils.logging import logger
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from pipeline.config_words import did_you_mean, one_of
from pipeline.measures import VERDICT_PREFIX
from pipeline.steps.options import DatatroveStep, Limit, Step
from pipeline.steps.presets import expand

# Of what datatrove's classes log, errors belong on the terminal.
logger.remove()
logger.add(sys.stderr, level="ERROR")

Class = type[BaseFilter] | type[BaseFormatter]
MAX_SAID_CHARS = 200
"""Of the message of another program's exception, which may hold text of a page."""


class StepError(Exception):
    """A datatrove step that cannot be used: a sentence for the user. `at`: the keys of the step that it is about."""

    def __init__(self, message: str, *at: str) -> None:
        super().__init__(message)
        self.at = at


def said(error: BaseException) -> str:
    """An exception of somebody else's code, on one short line."""
    text = " ".join(str(error).split())
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:MAX_SAID_CHARS])
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def find_class(path: str) -> Class:
    """The class at a dotted path. Its module is imported, which runs the module's code.

    Raises:
        StepError: if there is none, or it is no filter and no formatter.
    """
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            todo = "install the package it belongs to, or put its folder on PYTHONPATH"
            raise StepError(f"there is no module {error.name}{_near(name) or f'; {todo}'}", "class") from None
        raise StepError(f"{module} needs the module {error.name}, which is not installed", "class") from None
    except Exception as error:
        raise StepError(f"{module} cannot be imported: {said(error)}", "class") from error
    if found is None:
        raise StepError(f"the module {module} has no {name}{_near(name)}", "class")
    if not isinstance(found, type) or not issubclass(found, BaseFilter | BaseFormatter):
        raise StepError(f"{path} is no subclass of datatrove's BaseFilter or BaseFormatter{_near(name)}", "class")
    return _usable(found, path)


def _usable(found: Any, path: str) -> Class:
    """`found`, a subclass, if it is whole and answers for one document at a time."""
    if inspect.isabstract(found):
        missing = one_of(sorted(found.__abstractmethods__))
        raise StepError(f"{path} is abstract: it has no {missing} of its own; name a class that has", "class")
    base = BaseFilter if issubclass(found, BaseFilter) else BaseFormatter
    if found.run is not base.run:
        raise StepError(
            f"{path} has a `run` of its own, which may look at several documents at once; only classes that answer "
            "for one document at a time can be steps",
            "class",
        )
    return cast(Class, found)


def _near(name: str) -> str:
    known = {name: room.__name__ for room in (filters, formatters) for name in vars(room) if name[0].isupper()}
    known = {name: f"{room}.{name}" for name, room in known.items()}
    near = did_you_mean(name, known)
    for found, path in known.items():
        near = near.replace(f" {found}?", f" {path}?")
    return near


def arguments(found: Class, args: dict[str, Any]) -> dict[str, Any]:
    """Arguments for the class, lists as tuples where its annotations ask for tuples.

    Raises:
        StepError: for one that the class does not have, that a recipe cannot give, or of another type.
    """
    parameters = dict(list(inspect.signature(found.__init__).parameters.items())[1:])
    is_open = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    named = {n: p for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    hints: dict[str, Any] = {}
    with suppress(Exception):  # annotations of other people's code may name anything
        hints = typing.get_type_hints(found.__init__)
    usable = [n for n in named if n != "exclusion_writer" and not _is_function(hints.get(n))]
    for name in [*args, *(n for n, p in named.items() if p.default is p.empty)]:
        if name == "exclusion_writer":
            sentence = "a step writes no files; `keep: {dropped_text: true}` keeps the text of dropped documents"
            raise StepError(sentence, "args", name)
        if _is_function(hints.get(name)):
            raise StepError(
                f"{found.__name__} needs {name}, a function, which no recipe can hold; write a subclass of BaseFilter "
                "or BaseFormatter in a module of your own, and name it as `class`",
                "args",
                *([name] if name in args else []),
            )
        if name not in args:
            raise StepError(f"{found.__name__} needs {name}", "args")
        if name not in named and not is_open:
            near = did_you_mean(name, usable)
            raise StepError(f"{found.__name__} has no argument {name}{near}; it has: {one_of(usable)}", "args", name)
    return {name: _fitted(name, value, hints.get(name)) for name, value in args.items()}


def _is_function(hint: Any) -> bool:
    return (typing.get_origin(hint) or hint) is Callable


def _fitted(name: str, value: Any, hint: Any) -> Any:
    """`value` as the type `hint` has it. What cannot be checked, as without a hint, is taken as it is."""
    if hint is None or value is None:
        return value
    try:
        fitted = TypeAdapter(hint).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        wanted = getattr(hint, "__name__", str(hint)) if isinstance(hint, type) else str(hint)
        raise StepError(f"expected {wanted}, found {json.dumps(value)[:60]}", "args", name) from error
    except PydanticUserError:
        return value
    return fitted if isinstance(fitted, str | int | float | list | tuple | set | dict) else value


def make(path: str, args: dict[str, Any]) -> BaseFilter | BaseFormatter:
    """The object of the class at a dotted path, made with arguments of a recipe.

    Raises:
        StepError: if the class cannot be found or made.
    """
    found = find_class(path)
    given = arguments(found, args)
    try:
        return found(**given)
    except ImportError as error:
        raise StepError(f"{found.__name__} needs more than datatrove: {said(error)}", "class") from error
    except Exception as error:
        raise StepError(f"{found.__name__} cannot be made with these arguments: {said(error)}", "args") from error


def limits(steps: tuple[Step, ...]) -> tuple[Limit, ...]:
    """The Limits of a recipe; of datatrove steps the filters only, since formatters drop nothing.

    Raises:
        StepError: as `find_class`.
    """
    reading, found = expand(steps)
    classes = [find_class(step.class_) for step in reading if isinstance(step, DatatroveStep)]
    drops_nothing = {f"{VERDICT_PREFIX}{k}" for k, each in enumerate(classes) if issubclass(each, BaseFormatter)}
    return tuple(limit for limit in found if limit.measure not in drops_nothing)
