"""Requests to remote stores: paced, and sent again after a failure that may pass.

Failures are sorted into those that may pass and those that stay.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlsplit

from pipeline.sources.record import SourceError, reason

MAX_WAIT_S = 600.0
"""Seconds that are lost on failed requests and on waiting for one open file, at the most. A choice: a server that is
away for longer is for another run."""
LISTING_WAIT_S = 60.0
"""The same for what a plan asks about a file."""
FIRST_ANSWER_S = 5.0
"""The same for a plan's first question to a mirror, whose name may be wrong, while a person waits."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0
"""The wait after the n-th failure in a row is drawn from [0, FIRST_WAIT_S * 2^n], at most LONGEST_WAIT_S: exponential
backoff with full jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015)."""
MAX_BAD_ANSWERS = 4
"""In a row, until it is taken for the server's way: one that knows no ranges will not learn."""
REQUESTS_PER_S = 20.0
"""Where the recipe sets no bound. A choice: all users of Common Crawl together get a few thousand
(https://status.commoncrawl.org)."""
PASSING = frozenset({403, 408, 425, 429})
"""HTTP statuses that are tried again, beside all from 500 on (S3 says SlowDown as 503). Common Crawl's web server
limits the rate of requests by 4xx (same page)."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What time is made of; tests bring their own. `draw` gives a number from [0, 1)."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random


CLOCK = Clock()
T = TypeVar("T")


class RequestError(Exception):
    """A request that failed.

    `kind` names the failure without any detail: http_403, not_found, connection (none, cut, too slow), bad_answer,
    no_permission, no_credentials. `passes`: whether the next request may succeed. `after_s`: how long the server wants
    to be left alone.
    """

    def __init__(self, kind: str, words: str, *, passes: bool = True, after_s: float = 0.0) -> None:
        super().__init__(words)
        self.kind, self.passes, self.after_s = kind, passes, after_s


class ChangedError(SourceError):
    """A remote file that is no longer the one that was listed."""


class Pace:
    """A bound on requests a second. Threads may share one."""

    def __init__(self, per_s: float, clock: Clock) -> None:
        self.per_s, self._clock = per_s, clock
        self._next = -float("inf")
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Sleep until the next request may be sent."""
        with self._lock:
            now = self._clock.now()
            slot = max(now, self._next)
            self._next = slot + 1 / self.per_s
        if slot > now:
            self._clock.sleep(slot - now)


_paces: dict[str, Pace] = {}


def limit_requests(url: str, per_s: float) -> None:
    """Bound the requests that this process sends to the store of `url`, all threads together."""
    store = _store_of(url)
    if store not in _paces or _paces[store].per_s != per_s:
        _paces[store] = Pace(per_s, CLOCK)


def _store_of(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urlsplit(url))


class Patience:
    """How often, and for how long, the requests for one file are sent again."""

    def __init__(self, url: str, max_wait_s: float, clock: Clock) -> None:
        self._pace = _paces.setdefault(_store_of(url), Pace(REQUESTS_PER_S, clock))
        self._max_wait_s, self._clock = max_wait_s, clock
        self._lost_s, self._failures, self._begun = 0.0, 0, 0.0

    def begin(self) -> None:
        """To be called before each request: waits for its turn."""
        self._pace.wait()
        self._begun = self._clock.now()

    def success(self) -> None:
        """To be called after a request that brought what was asked for."""
        self._failures = 0

    def failure(self, error: Exception, *, progress: bool = False) -> None:
        """To be called after a request that failed: sleeps. `progress`: it brought some bytes all the same.

        Raises:
            RequestError: if the failure stays, or was waited for long enough.
            ChangedError: `error` itself.
        """
        fault = fault_of(error)
        self._failures = 0 if progress else self._failures + 1
        longest = min(FIRST_WAIT_S * 2 ** min(self._failures, 10), LONGEST_WAIT_S)
        wait_s = max(fault.after_s, longest * self._clock.draw())
        self._lost_s += self._clock.now() - self._begun
        if not fault.passes or (fault.kind == "bad_answer" and self._failures >= MAX_BAD_ANSWERS):
            raise fault from None
        if self._lost_s + wait_s > self._max_wait_s:
            asked = f", which asks to wait {fault.after_s:.0f} s" if fault.after_s else ""
            raise RequestError(
                fault.kind, f"{fault}{asked}; given up after {self._lost_s:.0f} s", passes=False
            ) from None
        self._lost_s += wait_s
        self._clock.sleep(wait_s)


def ask(url: str, request: Callable[[], T], max_wait_s: float, clock: Clock) -> T:
    """What `request` returns, called again after failures that pass.

    Raises:
        RequestError: if it fails for good.
    """
    patience = Patience(url, max_wait_s, clock)
    while True:
        patience.begin()
        try:
            return request()
        except Exception as error:
            patience.failure(error)


def fault_of(error: Exception) -> RequestError:
    """What kind of failure an exception of a store stands for.

    Raises:
        Exception: `error` itself, if it is none of a request.
    """
    if isinstance(error, RequestError):
        return error
    if isinstance(error, ChangedError):
        raise error
    causes = [error, *filter(None, [error.__cause__])]
    for cause in causes:
        status, message, headers = _answer_of(cause)
        if status:
            passes = status in PASSING or status >= 500
            kind = "not_found" if status in (404, 410) else f"http_{status}"
            words = f"the server answered {status} {message[:80]}".rstrip()
            return RequestError(kind, words, passes=passes, after_s=_retry_after(headers))
    cause = causes[-1]
    words = reason(error)
    origin = type(cause).__module__.partition(".")[0]
    if isinstance(cause, FileNotFoundError):
        return RequestError("not_found", words, passes=False)
    if isinstance(cause, PermissionError | NotImplementedError):
        return RequestError("no_permission", words, passes=False)
    if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
        return RequestError("connection", "no answer in time")
    if type(cause).__name__ in ("ClientPayloadError", "IncompleteReadError", "ResponseStreamingError"):
        return RequestError("connection", "the answer was cut off")
    if origin == "botocore" and "Credentials" in type(cause).__name__:
        where = "no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        return RequestError("no_credentials", where, passes=False)
    if isinstance(cause, OSError) or origin in ("aiohttp", "botocore", "aiobotocore"):
        # A ValueError is a URL that is none.
        words = f"no connection to the server ({cause})"
        return RequestError("connection", words, passes=not isinstance(cause, ValueError))
    raise error


def _answer_of(error: BaseException) -> tuple[int, str, Mapping[str, str]]:
    """Status, message and headers of the answer that an exception of aiohttp or botocore is about; 0 if of none."""
    if isinstance(status := getattr(error, "status", None), int):
        return status, str(getattr(error, "message", "")), getattr(error, "headers", None) or {}
    response = getattr(error, "response", None)
    found = response if isinstance(response, dict) else {}
    meta = found.get("ResponseMetadata", {})
    return int(meta.get("HTTPStatusCode", 0)), str(found.get("Error", {}).get("Code", "")), meta.get("HTTPHeaders", {})


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds until the time that `Retry-After` states, as a number or as a date (RFC 9110, section 10.2.3)."""
    value = headers.get("Retry-After") or headers.get("retry-after") or ""
    if value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0
