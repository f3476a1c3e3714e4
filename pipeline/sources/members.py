"""The gzip members of a compressed archive: a chain of positions, the same whatever byte one starts to look from.

The chain of a file is defined from its first byte. At a position stands either a gzip member that inflates to its end
with the right checksum, and the chain goes on behind it; or something damaged, and the chain goes on at the next gzip
header that inflates to `WARC/`.

To enter the chain at any byte, one must not be fooled by an archive that was itself crawled and lies, incompressible,
inside a record. Such bytes stand in the outer stream in stored blocks, which hold 65,535 bytes at the most (RFC 1951,
section 3.2.4), with block headers in between. So a run of whole members of more stored bytes is no copy inside another
member, and is part of the chain.
"""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from pipeline.sources.framing import SEARCH_BYTES, Frame, MemberView, frames

GZIP_MAGIC = b"\x1f\x8b\x08"
MAX_STORED_BLOCK_BYTES = 65_535
LOOK_BACK_BYTES = 1024 * 1024
"""How far before a byte the search for an entrance starts; it grows fourfold where records are larger."""
PROBE_BYTES = 4096


def member_frames(file: BinaryIO, position: int) -> tuple[MemberView, Iterator[Frame]]:
    """The inflated bytes of the member at `position`, and its frames, fewer than its stored bytes.

    The limit makes position + number of the frame unique in the file, also for members made to burst.
    """
    view = MemberView(file, position)

    def bounded() -> Iterator[Frame]:
        for number, frame in enumerate(frames(view)):
            if number + 1 >= view.stored_end - position:
                yield Frame(frame.position, b"", frame.position, 0, "damaged_bytes", "more records than stored bytes")
                return
            yield frame

    return view, bounded()


def is_member(file: BinaryIO, position: int) -> bool:
    """Whether a gzip header stands at `position`."""
    file.seek(position)
    return file.read(len(GZIP_MAGIC)) == GZIP_MAGIC


def member_end(file: BinaryIO, position: int) -> int | None:
    """The position behind the member at `position`, or None if no whole member is there."""
    if not is_member(file, position):
        return None
    view = MemberView(file, position)
    view.drain()
    return None if view.fault else view.stored_end


def next_position(file: BinaryIO, position: int) -> int:
    """The chain's position after `position`."""
    end = member_end(file, position)
    if end is not None:
        return end
    n_frames = sum(1 for _ in member_frames(file, position)[1]) if is_member(file, position) else 0
    return find_member(file, position + max(1, n_frames))


def first_position(file: BinaryIO, start: int, size: int) -> int:
    """The chain's first position that is not below `start`; `size` if there is none."""
    back = LOOK_BACK_BYTES
    while True:
        found = _enter(file, max(0, start - back), start, size)
        if found is not None:
            return found
        back *= 4


def _enter(file: BinaryIO, low: int, start: int, size: int) -> int | None:
    candidate = 0 if low == 0 else find_member(file, low)
    while candidate < start or candidate == 0:
        position, trusted, answer = candidate, candidate == 0, None
        while True:
            answer = position if answer is None and position >= start else answer
            trusted = trusted or position - candidate > MAX_STORED_BLOCK_BYTES or position >= size
            if trusted and answer is not None:
                return answer
            end = member_end(file, position)
            if end is None and not trusted:
                break
            position = next_position(file, position) if end is None else end
        candidate = find_member(file, max(position, candidate + 1))
    return None


def find_member(file: BinaryIO, position: int) -> int:
    """The next gzip header from `position` on that inflates to `WARC/`; the file's size if there is none."""
    while True:
        file.seek(position)
        block = file.read(SEARCH_BYTES)
        at = block.find(GZIP_MAGIC)
        while at >= 0:
            if _inflates_to_warc(file, position + at):
                return position + at
            at = block.find(GZIP_MAGIC, at + 1)
        if len(block) < SEARCH_BYTES:
            return position + len(block)
        position += len(block) - len(GZIP_MAGIC) + 1


def _inflates_to_warc(file: BinaryIO, position: int) -> bool:
    file.seek(position)
    try:
        return zlib.decompressobj(wbits=31).decompress(file.read(PROBE_BYTES), len(b"WARC/")) == b"WARC/"
    except zlib.error:
        return False
