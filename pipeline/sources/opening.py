"""The bytes of an input file, from disk or store, with errors that say what to do."""

import gzip
import io
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from pipeline.sources.record import Slice, SourceError, reason
from pipeline.sources.remote import is_remote, open_remote

READ_BYTES = 1 << 20
ZSTD_READ_BYTES = 1 << 12


class _Input(io.RawIOBase):
    """A file whose own read errors are SourceErrors, so that what a decoder raises above it means damaged bytes."""

    def __init__(self, file: BinaryIO, slice_: Slice) -> None:
        self._file, self._slice = file, slice_

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any, /) -> int:
        try:
            found = self._file.read(len(buffer))
        except SourceError:
            raise
        except Exception as error:
            raise _cannot_read(self._slice, reason(error)) from None
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def open_slice(slice_: Slice) -> BinaryIO:
    """The whole file of a Slice, to be closed.

    Raises:
        SourceError: if it cannot be opened, or changed since it was listed; later, if it cannot be read.
    """
    try:
        if is_remote(slice_.url):
            file = open_remote(slice_)
        else:
            file = Path(slice_.url).open("rb")  # noqa: SIM115 - `_Input` closes it
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            if size != slice_.size:
                file.close()
                raise _cannot_read(slice_, f"it has {size} bytes and had {slice_.size} when it was listed; run again")
    except FileNotFoundError as error:
        why = f"{reason(error)}, though it was there when it was listed; put it back, and run again"
        raise _cannot_read(slice_, why) from None
    except PermissionError as error:
        raise _cannot_read(slice_, f"{reason(error)}; let this user read it (chmod), and run again") from None
    except (OSError, ValueError, ImportError) as error:
        raise _cannot_read(slice_, reason(error)) from None
    return cast(BinaryIO, io.BufferedReader(_Input(file, slice_), READ_BYTES))


def _cannot_read(slice_: Slice, why: object) -> SourceError:
    return SourceError(f"sources.{slice_.source}: {slice_.url} cannot be read: {why}")


def unpacked(file: BinaryIO, path: str) -> BinaryIO:
    """The inflated bytes. Of a read that meets damage nothing comes back, so reads are kept small."""
    if path.lower().endswith(".gz"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    return cast(BinaryIO, io.BufferedReader(pa.CompressedInputStream(file, "zstd"), ZSTD_READ_BYTES))
