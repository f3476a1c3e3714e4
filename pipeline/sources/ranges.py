"""Byte ranges of the files of fsspec's stores, compared with what was asked for.

fsspec brings protocols, sessions and credentials. Its own files forget what had arrived of a cut answer, and believe
what a server sends.
"""

import asyncio
from collections.abc import Mapping

import fsspec

from pipeline.sources.fetching import ChangedError, RequestError

STALL_S = 60.0
"""Without a byte for so long, a connection is taken for dead."""
REQUEST_S = 180.0
"""An answer that takes longer is cut; what has arrived is kept. 8 MiB in that time are 47 kB a second."""


class RemoteBytes:
    """Ranges of one file of an fsspec store. `size` in bytes; `etag` "" if the store has told none yet."""

    def __init__(self, url: str, size: int, etag: str) -> None:
        self._store, self._path = fsspec.core.url_to_fs(url)
        self._url, self._size, self._etag = url, size, etag
        protocols = {self._store.protocol} if isinstance(self._store.protocol, str) else {*self._store.protocol}
        self._read = self._read_any
        if protocols & {"http", "https"}:
            self._read = self._read_http
        elif "s3" in protocols:
            self._read = self._read_s3

    def read(self, start: int, end: int, into: bytearray) -> None:
        """Append bytes [start, end) to `into`; what arrives before a failure is appended too.

        Raises:
            RequestError: if the answer is not the one to the question.
            ChangedError: if size or ETag are other than before.
            Exception: what the store raises; see `fault_of`.
        """
        self._read(start, end, into)

    def _read_http(self, start: int, end: int, into: bytearray) -> None:
        fsspec.asyn.sync(self._store.loop, self._get_http, start, end, into)

    async def _get_http(self, start: int, end: int, into: bytearray) -> None:
        from aiohttp import ClientTimeout

        session = await self._store.set_session()
        settings = dict(self._store.kwargs)
        asked = {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
        settings["headers"] = {**settings.get("headers", {}), **asked}
        settings["timeout"] = ClientTimeout(total=REQUEST_S, sock_connect=STALL_S, sock_read=STALL_S)
        async with session.get(self._store.encode_url(self._url), **settings) as answer:
            if answer.status == 416:  # the file has become shorter
                self._changed(f"it has no byte {start}, which it had")
            answer.raise_for_status()
            coding = answer.headers.get("Content-Encoding", "identity")
            if coding.lower() not in ("", "identity"):
                raise RequestError("bad_answer", f"the server packs its answer as {coding[:20]}", passes=False)
            whole = answer.status == 200
            self._check(start, end, answer.headers, whole=whole)
            left = end - start
            async for chunk in answer.content.iter_any():
                into += chunk[:left]
                left -= len(chunk)
                if left <= 0 and whole:
                    break  # of a file that was not asked for as a whole, the rest is not read

    def _read_s3(self, start: int, end: int, into: bytearray) -> None:
        fsspec.asyn.sync(self._store.loop, self._get_s3, start, end, into)

    async def _get_s3(self, start: int, end: int, into: bytearray) -> None:
        bucket, key, version = self._store.split_path(self._path)
        asked = {"Bucket": bucket, "Key": key, "Range": f"bytes={start}-{end - 1}"}
        async with asyncio.timeout(REQUEST_S):
            answer = await self._store._call_s3("get_object", **asked, **({"VersionId": version} if version else {}))
            self._check(start, end, answer["ResponseMetadata"]["HTTPHeaders"])
            async with answer["Body"] as body:
                while chunk := await body.read(1 << 18):
                    into += chunk[: end - start]

    def _read_any(self, start: int, end: int, into: bytearray) -> None:
        size = self._store.size(self._path)
        if size != self._size:
            self._changed(f"it has {size} bytes and had {self._size}")
        into += self._store.cat_file(self._path, start=start, end=end)[: end - start]

    def _check(self, start: int, end: int, headers: Mapping[str, str], *, whole: bool = False) -> None:
        """Compare what the headers of an answer promise with what was asked for and with earlier answers."""
        found = {name.lower(): value for name, value in headers.items()}
        length = found.get("content-length", "")
        if whole:
            if start:
                raise RequestError("bad_answer", "the server passes over Range and sends the whole file")
            if length.isdigit() and int(length) != self._size:
                self._changed(f"it has {length} bytes and had {self._size}")
        else:
            stated = found.get("content-range", "")
            unit, _, rest = stated.partition(" ")
            span, _, total = rest.partition("/")
            first, _, last = span.partition("-")
            if unit != "bytes" or not (first.isdigit() and last.isdigit()):
                raise RequestError(
                    "bad_answer", f"the server states no range that can be read (Content-Range {stated[:40]!r})"
                )
            if total.isdigit() and int(total) != self._size:
                self._changed(f"it has {total} bytes and had {self._size}")
            if int(first) != start or int(last) >= end:
                raise RequestError(
                    "bad_answer", f"the server was asked for bytes {start}-{end - 1} and sends {span[:40]}"
                )
            if length.isdigit() and int(length) != int(last) + 1 - start:
                raise RequestError("bad_answer", f"the server states a length of {length} for bytes {span[:40]}")
        etag = _plain(found.get("etag", ""))
        if etag and self._etag and etag != _plain(self._etag):
            self._changed("its ETag is another than")
        self._etag = self._etag or etag

    def _changed(self, what: str) -> None:
        raise ChangedError(f"{what} when it was listed; run again, to have it listed again")


def _plain(etag: str) -> str:
    """An ETag without quotes and without the mark of a weak one, which servers put on and take off again."""
    return etag.removeprefix("W/").strip('"')
