"""Compiled functions: Numba's `njit`, with a cache that knows every source of a kernel.

Numba's own cache looks at the file that defines a function and at no other, so a kernel that calls one from another
file would keep the old code of that one, after an upgrade, too. `pipeline.kernel_cache` names a folder by all sources.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba import config

from pipeline import kernel_cache

_njit: Any = numba.njit  # typed without `_nrt`, which Numba's own functions set by `register_jitable(_nrt=False)`
Function = TypeVar("Function", bound=Callable[..., Any])
config.CACHE_DIR = str(kernel_cache.folder())  # type: ignore[attr-defined]


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
