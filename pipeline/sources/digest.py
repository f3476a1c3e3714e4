"""sha256 of the bytes of a Slice, for the record of what was read."""

import hashlib
from pathlib import Path

from pipeline.sources.record import Slice
from pipeline.sources.remote import is_remote, remote_digest

_BLOCK_BYTES = 8 << 20


def slice_digest(piece: Slice) -> str:
    """sha256, in hexadecimal, of bytes [start, end) of the file; "" for one that could not be had.

    Raises:
        OSError: if a local file cannot be read.
        SourceError: if a remote one cannot be read, or has changed.
    """
    if piece.unavailable:
        return ""
    if is_remote(piece.url):
        return remote_digest(piece)
    hasher = hashlib.sha256()
    left = piece.end - piece.start
    with Path(piece.url).open("rb") as file:
        file.seek(piece.start)
        while left > 0 and (block := file.read(min(left, _BLOCK_BYTES))):
            hasher.update(block)
            left -= len(block)
    return hasher.hexdigest()
