"""A tokenizer model that the recipe brings along: its bytes, bounded, before anything parses them."""

import hashlib
from pathlib import Path

from pipeline.config import ConfigError

MAX_MODEL_BYTES = 64_000_000
"""A million pieces take about 20 MB as a model, and 60 as JSON; the vocabulary's size is bounded by that."""


def read_model(path: str, sha256: str = "") -> bytes:
    """The bytes of the tokenizer's file at `path`, a local path or an fsspec URL.

    Args:
        path: where it lies; a relative path is looked for from the current folder.
        sha256: what the bytes must hash to, in hexadecimal; "" for anything.

    Raises:
        pipeline.config.ConfigError: it cannot be read, is too large, or has another sha256.
    """
    import fsspec

    try:
        with fsspec.open(str(Path(path).expanduser()) if "://" not in path else path, "rb") as file:
            model: bytes = file.read(MAX_MODEL_BYTES + 1)
    except (OSError, ValueError, ImportError) as error:
        why = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise ConfigError([f"tokenizer.path: {path}: cannot be read ({why}), looked from {Path.cwd()}"]) from None
    if len(model) > MAX_MODEL_BYTES:
        raise ConfigError([f"tokenizer.path: {path}: larger than {MAX_MODEL_BYTES:,} bytes; is this a model file?"])
    found = hashlib.sha256(model).hexdigest()
    if sha256 and found != sha256:
        raise ConfigError(
            [f"tokenizer.path: {path}: it changed after the run was planned (sha256 {found[:16]}...); run again"]
        )
    return model
