"""Digest of the code that makes a stage's bytes, for editable installs, where a version number says nothing.

The digest covers the syntax trees (no comments, docstrings or positions) of the import closure of a stage's modules,
and of the stage's own function in `pipeline/stages.py` with the names there that it uses.
"""

import ast
import hashlib
import sysconfig
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def is_editable() -> bool:
    """Whether the code runs from a checkout (an editable install, or none) and not from an installed wheel."""
    return ROOT not in {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}


def _file_of(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _tree(path: Path) -> ast.Module:
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and len(body) > 1 and _is_docstring(body[0]):
            del body[0]
    return tree


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@cache
def _imports(path: Path) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in found if name.split(".")[0] == "pipeline")


@cache
def _dump(path: Path) -> str:
    return ast.dump(_tree(path))


def _closure(modules: tuple[str, ...]) -> list[Path]:
    waiting, seen = list(modules), set()
    while waiting:
        path = _file_of(waiting.pop())
        if path is not None and path not in seen:
            seen.add(path)
            waiting += _imports(path)
    return sorted(seen)


def _slice(path: Path, name: str) -> list[str]:
    """Dumps of the top-level function `name` and of the top-level definitions in the same file that it reaches."""
    defined: dict[str, ast.stmt] = {}
    for node in _tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            defined |= {t.id: node for t in targets if isinstance(t, ast.Name)}
    waiting, seen = [name], set()
    while waiting:
        current = waiting.pop()
        if current in defined and current not in seen:
            seen.add(current)
            waiting += [n.id for n in ast.walk(defined[current]) if isinstance(n, ast.Name)]
    return [ast.dump(defined[n]) for n in sorted(seen)]


@cache
def code_digest(stage: str, modules: tuple[str, ...]) -> str:
    """sha256 over the syntax trees behind `stage`, in hexadecimal, 16 digits."""
    hasher = hashlib.sha256()
    for path in _closure(modules):
        hasher.update(str(path.relative_to(ROOT)).encode() + b"\0" + _dump(path).encode() + b"\0")
    for text in _slice(ROOT / "pipeline" / "stages.py", stage):
        hasher.update(text.encode() + b"\0")
    return hasher.hexdigest()[:16]
