"""YAML with positions -> frozen pydantic models, and the errors a person reads when a file is wrong.

`load` reads a file, applies `--set` options, validates, and reports everything that is wrong at once: place, key path,
what was found, what is allowed, the nearest valid name. `pipeline.yaml_nodes` says which YAML is read and how.
"""

import codecs
import errno
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline import config_errors, config_words, yaml_nodes
from pipeline.yaml_nodes import Node, Place, Problem, UnreadableError

MAX_BYTES = 250_000
"""Size of a configuration file at the most: ten thousand denied domains fit, a data file given by mistake does not."""
RECIPES = "recipes"
"""Name of the folder of shipped recipes."""
MAX_SHOWN = 50
"""Problems that an error spells out; the rest are counted."""

_SET_PATH = re.compile(r"[^.=\s]+(?:\.[^.=\s]+)*\Z")


class Options(BaseModel):
    """The base of every part of a recipe or configuration: frozen, unknown keys refused, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


T = TypeVar("T", bound=BaseModel)
Finding = tuple[yaml_nodes.Path, str]
"""A key path, such as ("steps", 2, "measure"), and a sentence on what is wrong there."""


class ConfigError(Exception):
    """A configuration that cannot be used. Its text has one line for each problem; show it to the user as it is."""

    def __init__(self, problems: Sequence[str]):
        self.problems = tuple(problems)
        rest = len(self.problems) - MAX_SHOWN
        super().__init__("\n".join((*self.problems[:MAX_SHOWN], *((f"... and {rest} more",) if rest > 0 else ()))))


def load(
    path: Path,
    model: type[T],
    overrides: Sequence[str] = (),
    check: Callable[[T], Iterable[Finding]] | None = None,
    context: Callable[[Any], dict[str, Any]] | None = None,
) -> T:
    """The validated `model` written in the YAML file at `path`, with the `--set` options `overrides` applied in order.

    An override is `key.path=value`: list entries by number from 0, value in YAML (`steps.0.min=50`,
    `url.deny_domains=[a.com, b.org]`). `check` finds what only the whole can show; its findings are given places here.
    `context` makes pydantic's validation context from the tree as it is written, which may be wrong in any way.
    Types are strict: `"5"` is no number, `1` no boolean, `5` no text; an integer may stand for a number.

    Raises:
        ConfigError: the file cannot be read, is no YAML that this program reads, or does not fit `model` or `check`.
    """
    root, problems = _parse(read_text(path), str(path))
    for override in overrides:
        problems += _override(root, override)
    if not isinstance(root.value, dict):
        value = None
        found_what = "is empty" if root.value is None else f"holds {config_words.show(root)}"
        problems.append(Problem(root.place, (), f"the file {found_what}; {config_errors.needed(model)}"))
    elif stranger := config_errors.stranger(root, model):
        value, problems = None, [Problem(root.place, (), stranger)]
    else:
        known = {p.path for p in problems}
        value, found = _validate(root, model, known, context(root.plain()) if context else None)
        problems += found
    if value is not None and not problems and check is not None:
        problems += [Problem(_place(root, at), at, sentence) for at, sentence in check(value)]
    if value is None or problems:
        raise ConfigError([p.shown(str(path)) for p in sorted(problems, key=lambda p: p.place)])
    return value


def locate(path: Path) -> tuple[Path, bool]:
    """The file that `path` names, and whether it is one that ships with the program.

    A relative path that starts with `recipes/` and does not exist names a shipped recipe, so that the commands of the
    documentation work in any folder. Say so to the user when one is used.

    Raises:
        ConfigError: no such file, neither here nor among the shipped recipes; the text lists those.
    """
    if path.parts[:1] != (RECIPES,) or path.exists():
        return path, False
    folder = _shipped_recipes()
    inside = Path(*path.parts[1:])
    if ".." not in inside.parts and (folder / inside).is_file():
        return folder / inside, True
    names = sorted(f"{RECIPES}/{p.relative_to(folder).as_posix()}" for p in folder.rglob("*.yaml"))
    near = config_words.did_you_mean(path.as_posix(), names)
    shipped = f"; recipes that come with the program: {', '.join(names)}" if names else ""
    raise ConfigError([f"{path}: no such file (looked from {Path.cwd()}){near}{shipped}"])


def _shipped_recipes() -> Path:
    """The folder of the recipes: inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parent
    in_checkout = package.parent / RECIPES
    return in_checkout if (package.parent / "pyproject.toml").is_file() else package / RECIPES


def dump(value: BaseModel) -> dict[str, Any]:
    """`value` as JSON-able data with every default written out; `load` of it as YAML or JSON gives an equal value."""
    return value.model_dump(mode="json")


def read_text(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        ConfigError: missing, not a file, not readable, larger than MAX_BYTES, not text, not UTF-8.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError([f"{path}: {_cannot_open(path, error)}"]) from None
    except ValueError:
        raise ConfigError([f"{str(path)!r}: not a file name"]) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(
            [f"{path}: larger than {MAX_BYTES} bytes, as no recipe or configuration is; name another file"]
        )
    if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise ConfigError([f"{path}: UTF-16 text; save the file as UTF-8"])
    if b"\0" in raw:
        raise ConfigError([f"{path}: not text (byte {raw.index(0)} is zero); name a YAML file"])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise ConfigError(
            [f"{path}:{line}:{column}: not UTF-8 (byte 0x{raw[error.start]:02X}); save the file as UTF-8"]
        ) from None


def _cannot_open(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        folder = path.parent
        names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
        near = config_words.nearest(path.name, names)
        return "no such file" + (f"; did you mean {folder / near}?" if near else f" (looked from {Path.cwd()})")
    if error.errno == errno.EISDIR:
        files = sorted(p.name for p in path.glob("*.yaml"))[:10]
        return "is a folder; name a file" + (f" in it: {', '.join(files)}" if files else "")
    if error.errno == errno.EACCES:
        return "may not be read by this user; change its permissions (chmod +r)"
    return f"cannot be read ({error.strerror})"


def _parse(text: str, file: str) -> tuple[Node, list[Problem]]:
    try:
        return yaml_nodes.parse(text)
    except UnreadableError as error:
        raise ConfigError([error.problem.shown(file)]) from None


def _override(root: Node, override: str) -> list[Problem]:
    """Put the value of `override` into the tree; what is wrong with it."""
    name, equals, text = override.partition("=")
    place = Place(_one_line(override))
    if not equals or not _SET_PATH.match(name):
        return [Problem(place, (), _set_advice(name, bool(equals)))]
    parent = root
    path: yaml_nodes.Path = ()
    *above, last = name.split(".")
    for n, part in enumerate(above):
        if isinstance(parent.value, dict) and (whole := ".".join((*above[n:], last))) in parent.value:
            last = whole  # a key that has dots itself, as a Cell's name may
            break
        key, sentence = _key(parent, part, path)
        path = (*path, key)
        if sentence:
            return [Problem(place, path, sentence)]
        if parent.child(key) is None:
            _put(parent, key, Node(None, place, place))
        parent = parent.child(key) or parent
    key, sentence = _key(parent, last, path)
    path = (*path, key)
    if sentence:
        return [Problem(place, path, sentence)]
    try:
        new, problems = yaml_nodes.parse(text, place.option, path)
    except UnreadableError as error:
        return [error.problem]
    _put(parent, key, new)
    return problems


def _set_advice(name: str, has_equals: bool) -> str:
    expected = "expected key.path=value, such as seed=1 or steps.0.min=50"
    if has_equals and name != name.strip() and _SET_PATH.match(name.strip()):
        return f"{expected}; write no spaces around ="
    return expected if has_equals else f"{expected}; there is no = in it"


def _key(parent: Node, name: str, path: yaml_nodes.Path) -> tuple[str | int, str]:
    """The key that `name` is in `parent`, which lies at `path`; a sentence, if `parent` can have no such key."""
    above = ".".join(map(yaml_nodes.shown_key, path)) or "the file"
    is_number = bool(re.fullmatch(r"[0-9]{1,6}", name, re.ASCII))
    if parent.value is None:
        parent.value = [] if is_number and len(name) <= 3 else {}  # longer, it may be a source's name, such as a year
    if isinstance(parent.value, dict):
        at = re.fullmatch(r"(.+)\[(-?[0-9]+)\]", name)
        return name, f"write {above}.{at[1]}.{at[2]}".replace("the file.", "") if at else ""
    if not isinstance(parent.value, list):
        return name, f"{above} is {config_words.show(parent)}, which has no keys"
    n = len(parent.value)
    if is_number and int(name) < n:
        return int(name), ""
    if not n:
        return name, f"{above} is a list with no entries, found {name!r}; set all of {above}"
    return name, f"{above} is a list; expected the number of an entry, 0 to {n - 1}, found {name!r}"


def _put(parent: Node, key: str | int, node: Node) -> None:
    if isinstance(parent.value, dict):
        parent.value[str(key)] = node
    elif isinstance(parent.value, list):
        parent.value[int(key)] = node


def _validate(
    root: Node, model: type[T], known: set[yaml_nodes.Path], context: dict[str, Any] | None
) -> tuple[T | None, list[Problem]]:
    # JSON, because in JSON pydantic's strict mode takes a list for a tuple and text for a path, but nothing looser.
    text = json.dumps(root.plain())
    try:
        return model.model_validate_json(text, strict=True, context=context), []
    except ValidationError as error:
        found = config_errors.problems(error, root, model)
        return None, [p for p in found if p.path not in known]


def _place(root: Node, path: yaml_nodes.Path) -> Place:
    """Where the value at `path` is written; where the nearest thing above it is, if it is not."""
    node, above = root, root
    for key in path:
        child = node.child(key)
        if child is None:
            return above.key_place
        node = above = child
    return node.place if not isinstance(node.value, dict | list) else node.key_place


def _one_line(text: str) -> str:
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= 80 else f"{text[:77]}..."
