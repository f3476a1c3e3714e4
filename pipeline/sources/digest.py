"""sha256 of the bytes of a Slice, for the record of what was read."""

import hashlib

import fsspec

from pipeline.sources.record import Slice

_BLOCK_BYTES = 8 << 20


def slice_digest(piece: Slice) -> str:
    """sha256, in hexadecimal, of bytes [start, end) of the file. Raises OSError."""
    hasher = hashlib.sha256()
    left = piece.end - piece.start
    with fsspec.open(piece.url, "rb").open() as file:
        file.seek(piece.start)
        while left > 0 and (block := file.read(min(left, _BLOCK_BYTES))):
            hasher.update(block)
            left -= len(block)
    return hasher.hexdigest()
