"""Compiled functions: Numba's `njit`, with a cache that knows every source of a kernel.

Numba's own cache looks at the file that defines a function and at no other, so a kernel that calls one from another
file would keep the old code of that one, after an upgrade, too. Here the cache lies in a folder named by the digest of
all first-party sources with kernels. It is shared by all installations of equal code, and works where the package's
folder cannot be written.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import config

from pipeline.assets import cache_folder

_njit: Any = numba.njit  # typed without `_nrt`, which Numba's own functions set by `register_jitable(_nrt=False)`
Function = TypeVar("Function", bound=Callable[..., Any])
ROOMS = ("text", "dedup", "tokenizer")


def _digest() -> str:
    hasher = hashlib.sha256(numba.__version__.encode())
    for room in ROOMS:
        for path in sorted(Path(__file__).parent.joinpath(room).glob("*.py")):
            hasher.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return hasher.hexdigest()[:16]


config.CACHE_DIR = str(cache_folder() / "kernels" / _digest())  # type: ignore[attr-defined]


def kernel(function: Function) -> Function:
    """Compile a function that may make arrays. It runs without the interpreter's lock."""
    compiled: Function = _njit(cache=True, nogil=True)(function)
    return compiled


def leaf(function: Function) -> Function:
    """Compile a function that makes no array, nor anything else that needs memory.

    Numba then counts no references to the arrays that it is given: an atomic instruction for each array and call, which
    takes several times as long as a short function's work.
    """
    compiled: Function = _njit(cache=True, nogil=True, _nrt=False)(function)
    return compiled


def inlined(function: Function) -> Function:
    """Compile a leaf that becomes a part of each caller.

    For the few functions that are called for every word: to hand over an array takes seven numbers.
    """
    compiled: Function = _njit(cache=True, nogil=True, _nrt=False, forceinline=True)(function)
    return compiled
