"""Extraction in one guarded child process: a page can hang, crash or fill the child, and costs only itself.

datatrove's `ExtractorSandbox` does this for its pipelines; it is not used here since it bounds no memory, fails where
start-up takes longer than a page may, dies of a page's exception, and unpickles what comes from the process that parsed
hostile data.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.extract.options import ExtractOptions
from pipeline.extract.wire import receive, send

START_LIMIT_S = 120.0
MAX_STARTS = 3
MAX_PAGES = 5_000
"""Pages that one child extracts: its libraries keep caches that grow."""
_TIMEOUT_SIGNALS = (-signal.SIGPROF, -signal.SIGALRM)


class ExtractorError(Exception):
    """The child process does not start: not the fault of a page."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """Main text and title of a page, or its fate. `detail` holds nothing of the page."""

    text: str
    title: str
    date: str
    fate: str
    detail: str


class Extractor:
    """Extracts pages in a child process, which starts with the first page and ends with the `with` block.

    Fates: `extract_timeout`, `extract_memory`, `extract_crashed`, `extract_error` (detail: the exception's class),
    `page_too_large`, `no_text`. A page that took its child with it is tried once more in a fresh one, unless time was
    the reason, so its fate does not depend on the pages before it, nor on an unlucky kill from outside.
    """

    def __init__(self, options: ExtractOptions, program: Sequence[str] = ("-m", "pipeline.extract.child")) -> None:
        """`program`: arguments for the Python interpreter that start the child."""
        self._options = options
        self._program = tuple(program)
        self._child: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._n_pages = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def pid(self) -> int | None:
        """Process id of the child, if it runs."""
        return self._child.pid if self._child else None

    def extract(self, html: str, url: str = "") -> Extracted:
        """The main text of a page.

        Raises:
            ExtractorError: if the child does not start.
        """
        if len(html) > self._options.max_page_bytes:
            return _failed("page_too_large", f"over {self._options.max_page_bytes} bytes")
        found = self._attempt(html, url)
        if found.fate in ("extract_crashed", "extract_memory"):
            found = self._attempt(html, url)
        return found

    def _attempt(self, html: str, url: str) -> Extracted:
        connection = self._connection or self._start()
        deadline = time.monotonic() + self._options.wall_timeout_s
        self._n_pages += 1
        try:
            connection.settimeout(self._options.wall_timeout_s)
            send(connection, (url, html, "", "", ""))
            fate, detail, title, text, last = receive(connection, deadline)
        except TimeoutError:
            self._stop()
            return _failed("extract_timeout", f"over {self._options.wall_timeout_s:g} s by the clock")
        except (EOFError, ConnectionError):
            code = self._stop()
            if code in _TIMEOUT_SIGNALS:
                return _failed("extract_timeout", f"over {self._options.timeout_s:g} s")
            return _failed("extract_crashed", f"signal {-code}" if code < 0 else f"exit code {code}")
        except BaseException:
            self._stop()
            raise
        if last or self._n_pages >= MAX_PAGES:
            self._stop()
        return Extracted(text, title, "", fate, detail)

    def _start(self) -> socket.socket:
        problem = ""
        for _ in range(MAX_STARTS):
            with tempfile.TemporaryFile() as errors:
                connection = self._spawn(errors.fileno())
                try:
                    receive(connection, time.monotonic() + START_LIMIT_S)
                    return connection
                except (EOFError, TimeoutError) as error:
                    code = self._stop()
                    errors.seek(0)
                    lines = errors.read(1_000_000).decode("utf-8", "replace").strip().splitlines()
                    problem = f"{lines[-1] if lines else type(error).__name__} (exit code {code})"
        raise ExtractorError(
            f"the extraction process does not start, tried {MAX_STARTS} times: {problem}; "
            f"try `{sys.executable} -c 'import {self._options.extractor}'`"
        )

    def _spawn(self, errors: int) -> socket.socket:
        ours, theirs = socket.socketpair()
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
        arguments = [sys.executable, *self._program, str(theirs.fileno()), self._options.model_dump_json()]
        with theirs:
            self._child = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"},
            )
        self._connection, self._n_pages = ours, 0
        return ours

    def _stop(self) -> int:
        """End the child; its return code, negative if a signal ended it before this did."""
        child, connection = self._child, self._connection
        self._child = self._connection = None
        if connection:
            connection.close()
        if child is None:
            return 0
        try:
            return child.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()


def _failed(fate: str, detail: str) -> Extracted:
    return Extracted("", "", "", fate, detail)
