"""The docstrings of a Python module as plain text. The module is parsed with `ast` and never run."""

import ast
import warnings
from collections.abc import Iterator


def module_docs(module: str, source_text: str) -> str:
    """The docstrings of a module in source order, as plain text; "" if it has none.

    First the module's dotted name and docstring, then, for each class and function with a docstring, a heading with
    its qualified name and signature as written, and the docstring without its indentation; blank lines between.
    Definitions below `if`, `try` and `with` count; functions inside functions do not.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: as `ast.parse` and `ast.unparse` do.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the parser warns of escapes such as "\d" in other people's code
        tree = ast.parse(source_text)
    blocks = list(_blocks(tree.body, ""))
    own = ast.get_docstring(tree)
    return "\n\n".join([module, *([own] if own else []), *blocks]) + "\n" if own or blocks else ""


def _blocks(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and text.strip():
                yield f"{_heading(node, prefix)}\n\n{text}"
            if isinstance(node, ast.ClassDef):
                yield from _blocks(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.If | ast.With):
            yield from _blocks([*node.body, *getattr(node, "orelse", [])], prefix)
        elif isinstance(node, ast.Try | ast.TryStar):
            handled = [statement for handler in node.handlers for statement in handler.body]
            yield from _blocks([*node.body, *handled, *node.orelse, *node.finalbody], prefix)


def _heading(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, prefix: str) -> str:
    """For example `class Decoder(Base)`, `Decoder.decode(self, s: str) -> Any`, `async fetch(url)`."""
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in [*node.bases, *node.keywords])
        return f"class {prefix}{node.name}" + (f"({bases})" if bases else "")
    if any(isinstance(mark, ast.Name) and mark.id in ("property", "cached_property") for mark in node.decorator_list):
        return f"{prefix}{node.name}"
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    start = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    return f"{start}{prefix}{node.name}({ast.unparse(node.args)}){result}"
