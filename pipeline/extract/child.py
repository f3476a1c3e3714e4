"""The guarded process: extracts one page after another, within bounds that the kernel enforces.

Started by `pipeline.extract.worker` as `python -m pipeline.extract.child FD OPTIONS`.
"""

import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
import warnings
from dataclasses import astuple
from pathlib import Path

from pipeline.extract import html
from pipeline.extract.options import ExtractOptions
from pipeline.extract.page_facts import PageFacts, page_facts
from pipeline.extract.wire import receive, send

ORPHAN_CHECK_S = 30.0
ALMOST_FULL = 0.75
"""Share of `memory_mb` in use from which a page without text is taken to have run out of it: extraction libraries
swallow a MemoryError."""
SLOW = 0.25
"""Share of its processor time from which a page is said to be slow."""
GARBAGE = 50_000
"""Objects made since the last search for garbage that bring the next one; pages make few cycles."""
NO_FACTS = astuple(PageFacts())


def main() -> None:
    """Serve pages from the socket `argv[1]` until it closes, the parent is gone, or too much memory is in use."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    options = ExtractOptions.model_validate_json(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    html.main_text("<html><body><p>Warm up.</p></body></html>", "", options)
    gc.freeze()  # what the libraries made need not be looked through after every few pages
    gc.set_threshold(GARBAGE)
    base_bytes = _address_space("VmSize")
    _bound_memory(options, base_bytes)
    send(connection, ("ready",))
    connection.settimeout(ORPHAN_CHECK_S)
    parent = os.getppid()
    last, counted_s = "", 0.0
    while not last:
        try:
            wanted, limit_s, url, page = receive(connection)
        except TimeoutError:
            if os.getppid() != parent:
                return
            continue
        except EOFError:
            return
        begun = time.process_time()
        fate, detail, text, facts = _serve(wanted, float(limit_s), url, page, options)
        slow = "slow" if time.process_time() - begun > options.timeout_s * SLOW else ""
        used = (_address_space("VmPeak") - base_bytes) / (options.memory_mb * 1e6)
        if fate and fate != "extract_memory" and used > ALMOST_FULL:
            fate, detail = "extract_memory", ""
        last = "last" if fate == "extract_memory" or used > ALMOST_FULL / 2 else ""
        used_s = time.process_time()
        send(connection, (fate, detail, text, last, slow, str(used_s - counted_s), *facts))
        counted_s = used_s


def _serve(
    wanted: str, limit_s: float, url: str, page: str, options: ExtractOptions
) -> tuple[str, str, str, tuple[str, ...]]:
    """Fate, detail, text and facts of a page, under the clocks: SIGPROF after `limit_s` of processor time, SIGALRM
    after the longest wall time, both fatal. The second ends an orphan, too."""
    signal.setitimer(signal.ITIMER_PROF, limit_s)
    signal.setitimer(signal.ITIMER_REAL, options.wall_timeout_s + 5)
    try:
        if wanted == "visible":
            return "", "", html.visible_text(page), NO_FACTS
        text = html.main_text(page, url, options)
        facts = astuple(page_facts(page, url))
        return ("", "", text, facts) if text.strip() else ("no_text", "", "", facts)
    except MemoryError:
        return "extract_memory", "", "", NO_FACTS
    except Exception as error:
        return "extract_error", type(error).__name__, "", NO_FACTS
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _bound_memory(options: ExtractOptions, in_use: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = in_use + options.memory_mb * 1_000_000
    if in_use:
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _address_space(field: str) -> int:
    """Bytes of address space: "VmSize" now, "VmPeak" at the most so far; 0 where there is no /proc.

    Not `ru_maxrss`: a process inherits that from the one that started it.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(status.partition(f"{field}:")[2].split(maxsplit=1)[0]) * 1024


if __name__ == "__main__":
    main()
