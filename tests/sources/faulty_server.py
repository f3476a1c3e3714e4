"""A web server with byte ranges that can be told to fail, each time in a way of its own."""

import http.server
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.sources.fetching import Clock

Fault = tuple[str, ...]
"""A kind and its arguments: see `Faulty.answer`."""


class Faulty:
    """A folder behind a server. `faults` are used up one a request for a file; `always` is the fault of every request
    whose path contains the key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[Fault] = []
        self.always: dict[str, Fault] = {}
        self.requests: list[str] = []
        self.url = ""
        self._lock = threading.Lock()

    def fault(self, method: str, path: str) -> Fault:
        with self._lock:
            for part, fault in self.always.items():
                if part in path and (method == "GET" or fault[-1] != "GET"):
                    return fault
            return self.faults.pop(0) if self.faults and method == "GET" else ("none",)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    served: Faulty

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        """Answer as the next fault says: ("status", N[, Retry-After]), ("cut", bytes), ("promise", extra bytes),
        ("few", bytes), ("shift", bytes), ("no_range",), ("no_content_range",), ("other_etag",), ("grown",),
        ("packed",), ("slow", seconds). With "GET" at the end a fault that is `always` there spares HEAD."""
        kind, *arguments = self.served.fault(self.command, self.path)
        asked = self.headers.get("Range", "")
        self.served.requests.append(f"{self.command} {self.path} {asked}".strip())
        path = self.served.folder / self.path.lstrip("/")
        if kind == "status" or not path.is_file():
            status = arguments[0] if kind == "status" else "404"
            self.send_response(int(status), "No")
            if arguments[1:]:
                self.send_header("Retry-After", arguments[1])
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"no!\n" if self.command == "GET" else b"")
            return
        raw = path.read_bytes()
        size = len(raw) + (kind == "grown")
        first, last = 0, len(raw) - 1
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
        if found and kind != "no_range":
            first, last = int(found[1]), min(int(found[2] or last), last)
        if kind == "shift":
            first += int(arguments[0])
        if kind == "few":
            last = min(last, first + int(arguments[0]) - 1)
        body = raw[first : last + 1]
        if kind == "cut":
            body = body[: int(arguments[0])]
        self.send_response(206 if found and kind != "no_range" else 200)
        if found and kind not in ("no_range", "no_content_range"):
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(last + 1 - first + (int(arguments[0]) if kind == "promise" else 0)))
        self.send_header("ETag", '"other"' if kind == "other_etag" else f'"{len(raw)}-tag"')
        if kind == "packed":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if self.command == "HEAD":
            return
        if kind == "slow":
            time.sleep(float(arguments[0]))
        try:
            self.wfile.write(body)
        except OSError:  # the client has what it wanted
            self.close_connection = True
        if kind in ("cut", "promise"):
            self.wfile.flush()
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that leaves early is no news."""


@contextmanager
def serving(folder: Path) -> Iterator[Faulty]:
    served = Faulty(folder)
    handler = type("OwnHandler", (Handler,), {"served": served})
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
        thread.start()
        served.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()


class FakeTime:
    """A clock that moves when someone sleeps, and remembers for how long."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, [0.0]
        self.clock = Clock(lambda: self.now, self.sleep, lambda: 0.999)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
