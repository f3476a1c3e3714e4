"""One gzip member or one Zstandard frame of a file: its inflated bytes, in steps of bounded size."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol, cast

from fastwarc.stream_io import ZstdReader

READ_BYTES = 64 * 1024
STEP_BYTES = 1024 * 1024
"""Inflated bytes of one step at the most."""
BLOCK_BYTES = 128 * 1024
"""What a block of Zstandard holds at the most: RFC 8878, section 3.1.1.2.4."""
MAX_DICTIONARY_BYTES = 1 << 23
"""Zstandard Compression for WARC Files 1.0, section 4: what a decoder has to support."""

_FRAME_MAGIC = b"\x28\xb5\x2f\xfd"
_DICTIONARY_FRAME = b"\x5d\x2a\x4d\x18"
_DICTIONARY_MAGIC = b"\x37\xa4\x30\xec"
_SKIPPABLE = struct.Struct("<4sI")


class Inflater(Protocol):
    """`fault` is "" or says why inflating stopped early; `stored_end` is the stored position behind what was inflated,
    never beyond the end of the member."""

    fault: str

    @property
    def stored_end(self) -> int:
        """See the class."""

    def more(self, n: int = STEP_BYTES) -> bytes:
        """The next bytes, up to `n`; none at the end of the member or at a fault. Raises OSError if reading fails."""


@dataclass(frozen=True, slots=True)
class Codec:
    """How a file is compressed.

    `copied_bytes`: the longest run of content that can stand in the file as it is, uncompressed. `probe_bytes`: stored
    bytes that a sound member needs, at the most, for its first inflated ones; more are not read to try one.
    `reserved`: bits of the byte behind `magic` that are zero.
    """

    magic: bytes
    reserved: int
    copied_bytes: int
    probe_bytes: int
    open: Callable[[BinaryIO, int], Inflater]

    def skippable(self, head: bytes) -> int | None:
        """Bytes of the skippable frame that starts with these 8 bytes (RFC 8878, section 3.1.2); None if none does."""
        is_one = self.magic == _FRAME_MAGIC and len(head) == _SKIPPABLE.size
        return _SKIPPABLE.size + _SKIPPABLE.unpack(head)[1] if is_one and is_skippable(head) else None


class GzipMember:
    """See `Inflater`."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file = file
        self._inflater = zlib.decompressobj(wbits=31)
        self._pending = b""
        self.stored_end = start
        self.fault = ""

    def more(self, n: int = STEP_BYTES) -> bytes:
        """See `Inflater`."""
        found = b""
        while not (found or self.fault or self._inflater.eof):
            if not self._pending:
                self._file.seek(self.stored_end)
                self._pending = self._file.read(READ_BYTES)
            if not self._pending:
                self.fault = "the file ends inside a gzip member"
                break
            try:
                found = self._inflater.decompress(self._pending, n)
            except zlib.error as error:
                self.fault = f"gzip: {str(error).partition(': ')[2] or 'damaged'}"
                break
            rest = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
            self.stored_end += len(self._pending) - len(rest)
            self._pending = rest
        return found


class ZstdFrame:
    """See `Inflater`."""

    def __init__(self, file: BinaryIO, start: int, dictionary: bytes = b"") -> None:
        self._blocks = _Blocks(file, start)
        self._reader = ZstdReader(cast(Any, self._blocks), dictionary=dictionary or None)
        self.fault = ""

    @property
    def stored_end(self) -> int:
        """See `Inflater`."""
        return self._blocks.position

    def more(self, n: int = STEP_BYTES) -> bytes:
        """See `Inflater`."""
        if self.fault:
            return b""
        try:
            return bytes(self._reader.read(n))
        except OSError as error:
            if self._blocks.failure:
                raise self._blocks.failure from None
            self.fault = f"zstd: {error}"
            return b""


class _Blocks:
    """The stored bytes of one frame, for a decoder that would go on into the next frame and does not tell where one
    ends. Not part of `ZstdFrame`, which would then hold itself, and its decoder's memory, until a garbage collection.
    """

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file = file
        self._stored = _stored_frame(self._take)
        self._pending = b""
        self.position = start
        self.failure: OSError | None = None

    def read(self, n: int = READ_BYTES) -> bytes:
        """Up to `n` bytes; none at the end of the frame."""
        while not self._pending:
            try:
                self._pending = next(self._stored)
            except StopIteration:
                return b""
            except OSError as error:
                self.failure = error
                raise
        given, self._pending = self._pending[:n], self._pending[n:]
        return given

    def tell(self) -> int:
        """The position of the next byte; the decoder asks for it."""
        return self.position - len(self._pending)

    def _take(self, n: int) -> bytes:
        self._file.seek(self.position)
        found = self._file.read(n)
        self.position += len(found)
        return found


def _stored_frame(take: Callable[[int], bytes]) -> Iterator[bytes]:
    """The frame's header, blocks and checksum, taken as the header of each says: RFC 8878, section 3.1.1."""
    head = take(5)
    flags = head[4] if len(head) == 5 else 0
    size_flag, is_single, has_checksum, id_flag = flags >> 6, flags >> 5 & 1, flags >> 2 & 1, flags & 3
    yield head + take((1 - is_single) + (0, 1, 2, 4)[id_flag] + (is_single, 2, 4, 8)[size_flag])
    is_last = False
    while not is_last and len(head := take(3)) == 3:
        block = int.from_bytes(head, "little")
        is_last, is_run = bool(block & 1), block >> 1 & 3 == 1
        yield head + take(1 if is_run else block >> 3)
    yield take(4 * has_checksum)


GZIP = Codec(b"\x1f\x8b\x08", 0xE0, 65_535, 4096, GzipMember)
"""A stored block of deflate holds 65,535 bytes at the most: RFC 1951, section 3.2.4."""


def codec_of(file: BinaryIO, path: str) -> Codec | None:
    """How the file at `path` is compressed, by its first bytes, and by its name if these are damaged; None if it is
    not."""
    file.seek(0)
    head = file.read(4)
    if head.startswith(GZIP.magic):
        return GZIP
    if head == _FRAME_MAGIC or is_skippable(head):
        return _zstd(file)
    if head[:3] == b"WAR":
        return None
    return GZIP if path.endswith(".gz") else _zstd(file) if path.endswith(".zst") else None


def is_skippable(head: bytes) -> bool:
    """Whether a skippable Zstandard frame starts with these bytes."""
    return head[1:4] == _DICTIONARY_FRAME[1:] and head[0] & 0xF0 == 0x50


def _zstd(file: BinaryIO) -> Codec:
    dictionary = _dictionary(file)
    return Codec(
        _FRAME_MAGIC, 0x08, BLOCK_BYTES, BLOCK_BYTES + 64, lambda file, start: ZstdFrame(file, start, dictionary)
    )


def _dictionary(file: BinaryIO) -> bytes:
    """The dictionary in the first frame, b"" if there is none: Zstandard Compression for WARC Files 1.0, section 3.2.

    https://iipc.github.io/warc-specifications/specifications/warc-zstd/
    """
    file.seek(0)
    head = file.read(_SKIPPABLE.size)
    if len(head) < _SKIPPABLE.size or not head.startswith(_DICTIONARY_FRAME):
        return b""
    found = file.read(min(_SKIPPABLE.unpack(head)[1], MAX_DICTIONARY_BYTES))
    if found.startswith(_FRAME_MAGIC):
        frame, found = ZstdFrame(file, _SKIPPABLE.size), b""
        while len(found) < MAX_DICTIONARY_BYTES and (step := frame.more()):
            found += step
        found = b"" if frame.fault else found
    return found if found.startswith(_DICTIONARY_MAGIC) and _is_usable(found) else b""


def _is_usable(dictionary: bytes) -> bool:
    """Whether the decoder takes a dictionary. It panics at a damaged one, of which Python has no class to name."""
    try:
        ZstdReader(io.BytesIO(), dictionary=dictionary)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return False
    return True
