"""A remote file that reads like a local one: in blocks that grow as reading goes on, each fetched until it is whole.

Memory is bounded by `KEPT_BLOCKS` blocks of `MAX_BLOCK_BYTES`. Nothing is read twice for the digest of a Slice: bytes
are hashed as they arrive.
"""

import hashlib
import io
from collections import deque
from typing import Any, BinaryIO, cast

from pipeline.sources import fetching
from pipeline.sources.fetching import ChangedError, Patience, RequestError
from pipeline.sources.ranges import RemoteBytes
from pipeline.sources.record import Slice, SourceError, UnavailableError, reason

FIRST_BLOCK_BYTES = 1 << 18
MAX_BLOCK_BYTES = 1 << 23
"""A Part of 64 MB takes five small requests, while blocks double, and eight of this size."""
KEPT_BLOCKS = 3
BUFFER_BYTES = 1 << 16


def is_remote(url: str) -> bool:
    """Whether `url` is a store's, not a local path."""
    return "://" in url


def open_remote(slice_: Slice) -> BinaryIO:
    """The file of a Slice, from its first byte to its last, whatever the Slice's range.

    Opening asks nothing of the server; reads raise UnavailableError if it gives no answer that can be used, and
    SourceError if the file is no longer the one that was listed.

    Raises:
        SourceError: if the URL is of a store that cannot be used here.
    """
    return cast(BinaryIO, io.BufferedReader(RemoteFile(slice_), BUFFER_BYTES))


class _Hashing:
    """sha256 of the bytes of a Slice, as far as they have come by in order."""

    def __init__(self, slice_: Slice) -> None:
        self.position, self._end = slice_.start, slice_.end
        self.sha256 = hashlib.sha256()

    def see(self, start: int, data: bytes) -> None:
        """Bytes of the file from `start` on."""
        if start <= self.position < min(start + len(data), self._end):
            self.sha256.update(memoryview(data)[self.position - start : self._end - start])
            self.position = min(start + len(data), self._end)


_given_up: dict[str, UnavailableError] = {}
"""URL -> why its file could not be had: a process waits for a file once, not for each of its Parts."""
_hashed: dict[Slice, _Hashing] = {}
"""Of the Slice whose file was closed last."""


class RemoteFile(io.RawIOBase):
    """See `open_remote`."""

    def __init__(self, slice_: Slice, max_wait_s: float | None = None) -> None:
        self._slice = slice_
        try:
            self._bytes = RemoteBytes(slice_.url, slice_.size, slice_.etag)
        except (ImportError, ValueError) as error:
            raise SourceError(f"sources.{slice_.source}: {slice_.url}: {no_store(slice_.url, error)}") from None
        clock = fetching.CLOCK
        self._patience = Patience(slice_.url, fetching.MAX_WAIT_S if max_wait_s is None else max_wait_s, clock)
        self._hashing = _hashed.pop(slice_) if slice_ in _hashed else _Hashing(slice_)
        self._blocks: deque[tuple[int, bytes]] = deque(maxlen=KEPT_BLOCKS)
        self._position = 0

    def readable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def seekable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """See io.RawIOBase."""
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._slice.size}[whence]
        if self._position < 0:
            raise ValueError(f"negative position {self._position}")
        return self._position

    def tell(self) -> int:
        """See io.RawIOBase."""
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """See io.RawIOBase; raises UnavailableError and SourceError."""
        if self._position >= self._slice.size or not len(buffer):
            return 0
        start, block = self._block(self._position, len(buffer))
        at = self._position - start
        found = memoryview(block)[at : at + len(buffer)]
        buffer[: len(found)] = found
        self._position += len(found)
        return len(found)

    def close(self) -> None:
        """See io.RawIOBase."""
        if not self.closed:
            _hashed.clear()
            _hashed[self._slice] = self._hashing
            self._blocks.clear()
        super().close()

    def digest(self) -> str:
        """sha256, in hexadecimal, of the bytes of the Slice; those that have not come by are read."""
        while self._hashing.position < self._slice.end:
            self._block(self._hashing.position, 1)
        return self._hashing.sha256.hexdigest()

    def _block(self, position: int, n_bytes: int) -> tuple[int, bytes]:
        """The start and the bytes of a block with `position` in it; a new one has `n_bytes`, if the file has."""
        for start, block in self._blocks:
            if start <= position < start + len(block):
                self._hashing.see(start, block)
                return start, block
        # What follows a block is read on, in larger blocks; where the Slice ends there is little left to read.
        size = next((2 * len(block) for start, block in self._blocks if start + len(block) == position), 0)
        if size and position != self._slice.end:
            size = min(max(size, n_bytes), MAX_BLOCK_BYTES)
        else:
            size = max(FIRST_BLOCK_BYTES, min(n_bytes, MAX_BLOCK_BYTES))
        bound = self._slice.end if position < self._slice.end else self._slice.size
        block = self._fetch(position, min(position + size, bound))
        self._blocks.append((position, block))
        self._hashing.see(position, block)
        return position, block

    def _fetch(self, start: int, end: int) -> bytes:
        if self._slice.url in _given_up:
            raise _given_up[self._slice.url]
        found = bytearray()
        while len(found) < end - start:
            had = len(found)
            try:
                self._patience.begin()
                self._bytes.read(start + had, end, found)
                if len(found) < end - start:
                    raise RequestError("connection", f"the answer ended {end - start - len(found)} bytes early")
                self._patience.success()
            except ChangedError as error:
                raise ChangedError(f"sources.{self._slice.source}: {self._slice.url} has changed: {error}") from None
            except Exception as error:
                try:
                    self._patience.failure(error, progress=len(found) > had)
                except RequestError as fault:
                    _given_up[self._slice.url] = unavailable(self._slice, fault)
                    raise _given_up[self._slice.url] from None
        return bytes(found)


def unavailable(slice_: Slice, fault: RequestError) -> UnavailableError:
    """The error for a file that cannot be had."""
    return UnavailableError(slice_.source, slice_.path, slice_.url, fault.kind, str(fault))


def remote_digest(slice_: Slice) -> str:
    """sha256 of the bytes of a Slice of a remote file: see `RemoteFile.digest`."""
    with RemoteFile(slice_) as file:
        return file.digest()


def no_store(url: str, error: Exception) -> str:
    """Why the store of `url` cannot be used, and what to do."""
    if url.startswith(("s3://", "s3a://")) and isinstance(error, ImportError):
        return "needs the package s3fs: pip install 'gristmill[s3]'"
    return reason(error)
