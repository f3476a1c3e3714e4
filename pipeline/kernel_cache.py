"""Where compiled kernels are kept, and which of them are there.

The folder is named by the digest of all first-party sources with kernels. It is shared by all installations of equal
code, and works where the package's own folder cannot be written.
"""

import hashlib
from collections.abc import Collection
from functools import cache
from importlib.metadata import version
from pathlib import Path

from llvmlite import binding

from pipeline.assets import cache_folder

ROOMS = ("text", "dedup", "tokenizer")


@cache
def _digest() -> str:
    hasher = hashlib.sha256(version("numba").encode())
    for room in ROOMS:
        for path in sorted(Path(__file__).parent.joinpath(room).glob("*.py")):
            hasher.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return hasher.hexdigest()[:16]


def folder() -> Path:
    """The folder of the kernels of this code."""
    return cache_folder() / "kernels" / _digest()


def mark(wanted: Collection[str]) -> Path:
    """The file that says that the kernels for `wanted` (see pipeline.run.warm_up) are compiled for this processor.

    Machines of several kinds may share the folder; each needs code of its own, as in Numba's cache.
    """
    processor = (binding.get_process_triple(), binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten())
    named = "\0".join([*processor, *sorted(wanted)])
    return folder() / f"compiled-{hashlib.sha256(named.encode()).hexdigest()[:16]}"
