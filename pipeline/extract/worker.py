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
from pipeline.extract.page_facts import PageFacts
from pipeline.extract.verdicts import Verdict, Verdicts
from pipeline.extract.wire import receive, send

START_LIMIT_S = 120.0
MAX_STARTS = 3
MAX_PAGES = 5_000
"""Pages that one child extracts: its libraries keep caches that grow."""
PATIENCE = 10
"""How many times the processor time a page gets that was slow and ended well before."""
GIVEN_UP = ("extract_timeout", "extract_crashed", "extract_memory")
NO_FACTS = PageFacts()
_TIMEOUT_SIGNALS = (-signal.SIGPROF, -signal.SIGALRM)


class ExtractorError(Exception):
    """The child process does not start: not the fault of a page."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """Text and stated facts of a page, or its fate. `detail` holds nothing of the page."""

    text: str
    fate: str = ""
    detail: str = ""
    facts: PageFacts = NO_FACTS


class Extractor:
    """Extracts pages in a child process, which starts with the first page and ends with the `with` block.

    Fates: `extract_timeout`, `extract_memory`, `extract_crashed`, `extract_error` (detail: the exception's class),
    `page_too_large`, `no_text`. A page that took its child with it is tried once more in a fresh one, unless time was
    the reason, so its fate does not depend on the pages before it, nor on an unlucky kill from outside. `verdicts`, if
    set, remember the pages that were given up; `cpu_s` is what the pages cost.
    """

    def __init__(self, options: ExtractOptions, program: Sequence[str] = ("-m", "pipeline.extract.child")) -> None:
        """`program`: arguments for the Python interpreter that start the child."""
        self.verdicts: Verdicts | None = None
        self.cpu_s = {"visible": 0.0, "main": 0.0}  # processor seconds of children, by what was wanted
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
        self.stop()

    @property
    def pid(self) -> int | None:
        """Process id of the child, if it runs."""
        return self._child.pid if self._child else None

    def extract(self, html: str | bytes, url: str = "") -> Extracted:
        """The main text of a page (bytes: in UTF-8), and what it states about itself.

        Raises:
            ExtractorError: if the child does not start.
        """
        return self._ask("main", html, url)

    def visible(self, html: str | bytes, url: str = "") -> Extracted:
        """All text that a page shows, by a fast parser: "" is no fate here.

        Raises:
            ExtractorError: if the child does not start.
        """
        return self._ask("visible", html, url)

    def _ask(self, wanted: str, page: str | bytes, url: str) -> Extracted:
        html = page if isinstance(page, bytes) else page.encode("utf-8", "replace")
        if len(html) > self._options.max_page_bytes:
            return Extracted("", "page_too_large", f"over {self._options.max_page_bytes} bytes")
        known = self.verdicts.of(wanted, html) if self.verdicts else None
        if known and known.fate:
            return Extracted("", known.fate, known.detail)
        limit_s = self._options.timeout_s * (PATIENCE if known else 1)
        found, is_slow = self._attempt(wanted, html, url, limit_s)
        if found.fate in ("extract_crashed", "extract_memory"):
            found, is_slow = self._attempt(wanted, html, url, limit_s)
        if self.verdicts and (is_slow or found.fate in GIVEN_UP):
            is_given_up = found.fate in GIVEN_UP
            verdict = Verdict(found.fate, found.detail) if is_given_up else Verdict("", "")
            self.verdicts.keep(wanted, html, url, verdict)
        return found

    def _attempt(self, wanted: str, html: bytes, url: str, limit_s: float) -> tuple[Extracted, bool]:
        """What became of the page, and whether it took long."""
        connection = self._connection or self._start()
        deadline = time.monotonic() + self._options.wall_timeout_s
        self._n_pages += 1
        try:
            connection.settimeout(self._options.wall_timeout_s)
            send(connection, (wanted, str(limit_s), url, html))
            fate, detail, text, last, slow, cpu_s, *facts = receive(connection, deadline)
        except TimeoutError:
            self.stop()
            over = f"over {self._options.wall_timeout_s:g} s by the clock"
            return Extracted("", "extract_timeout", over), False
        except (EOFError, ConnectionError):
            code = self.stop()
            if code in _TIMEOUT_SIGNALS:
                return Extracted("", "extract_timeout", f"over {self._options.timeout_s:g} s"), False
            what = f"signal {-code}" if code < 0 else f"exit code {code}"
            return Extracted("", "extract_crashed", what), False
        except BaseException:
            self.stop()
            raise
        self.cpu_s[wanted] += float(cpu_s)
        if last or self._n_pages >= MAX_PAGES:
            self.stop()
        return Extracted(text, fate, detail, PageFacts(*facts)), bool(slow)

    def _start(self) -> socket.socket:
        problem = ""
        for _ in range(MAX_STARTS):
            with tempfile.TemporaryFile() as errors:
                connection = self._spawn(errors.fileno())
                try:
                    receive(connection, time.monotonic() + START_LIMIT_S)
                    return connection
                except (EOFError, TimeoutError) as error:
                    code = self.stop()
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

    def stop(self) -> int:
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
