import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.extract.options import ExtractOptions
from pipeline.extract.page_facts import PageFacts
from pipeline.extract.worker import Extracted, Extractor, ExtractorError

WORDS = "The mill at the river has been grinding grain for two hundred years, and its stones are still turning. " * 6
PAGE = f"<html><head><title> The\n mill </title></head><body><article><p>{WORDS}</p></article></body></html>"
QUICK = ExtractOptions(timeout_s=1.0, memory_mb=512)


SCRIPT = """
import ctypes, os, signal, sys, time
from pipeline.extract import child, html

def extract(page):
{body}
    return "fine"

html.main_text = lambda page, url, options: extract(page)
child.main()
"""


def program(body: str) -> tuple[str, str]:
    """A child whose extraction is `body`, a part of `def extract(page)`; other pages extract to "fine"."""
    return ("-c", SCRIPT.format(body=textwrap.indent(textwrap.dedent(body), "    ")))


@pytest.fixture(scope="module")
def extractor() -> Iterator[Extractor]:
    with Extractor(ExtractOptions()) as extractor:
        yield extractor


def test_a_page_becomes_text(extractor: Extractor) -> None:
    found = extractor.extract(PAGE, "http://a.example/")
    assert found == Extracted(WORDS.strip(), facts=PageFacts(title="The mill"))


def test_resiliparse_too() -> None:
    with Extractor(ExtractOptions(extractor="resiliparse")) as extractor:
        found = extractor.extract(PAGE)
    assert (found.text.strip(), found.facts.title, found.fate) == (WORDS.strip(), "The mill", "")


@pytest.mark.parametrize(
    ("page", "fates"),
    [
        ("", {"no_text"}),
        ("\0\0\0", {"no_text"}),
        ("<html></html>", {"no_text"}),
        (
            "<!DOCTYPE x [" + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 20)) + "]><p>&a19;",
            None,
        ),
        ("<html><body>" + "<div>" * 200_000 + WORDS, None),
        ("<html><body>" + "<table><tr><td>" * 20_000 + WORDS, None),
        ("<html><body>" + f"<b><i><p>{WORDS[:50]}" * 3_000, None),
        ("<p " + "a=b " * 500_000 + ">" + WORDS, None),
        ("\ud800\udfff<p>" + WORDS, None),
    ],
    ids=["empty", "nul", "no body", "entities", "deep", "tables", "misnested", "attributes", "surrogates"],
)
def test_hostile_pages_end_in_text_or_a_fate(page: str, fates: set[str] | None) -> None:
    with Extractor(ExtractOptions(timeout_s=5, memory_mb=1024)) as extractor:
        found = extractor.extract(page)
        assert bool(found.text) != bool(found.fate)
        assert fates is None or found.fate in fates
        assert len(found.text) <= 2 * len(page) + 100
        assert extractor.extract(PAGE).text == WORDS.strip()


def test_a_huge_page_is_not_parsed(extractor: Extractor) -> None:
    assert extractor.extract("<p>" + "x" * 50_000_000).fate == "page_too_large"
    assert extractor.extract(PAGE).fate == ""


def test_a_hanging_page_costs_only_itself() -> None:
    with Extractor(QUICK, program("while page == 'loop': pass")) as extractor:
        assert extractor.extract("before").text == "fine"
        start = time.monotonic()
        assert extractor.extract("loop") == Extracted("", "extract_timeout", "over 1 s")
        assert time.monotonic() - start < 20
        assert extractor.extract("after").text == "fine"


def test_a_sleeping_page_is_given_up_by_the_clock() -> None:
    options = ExtractOptions(wall_timeout_s=1.5)
    with Extractor(options, program("if page == 'sleep': time.sleep(60)")) as extractor:
        assert extractor.extract("before").text == "fine"
        assert extractor.extract("sleep") == Extracted("", "extract_timeout", "over 1.5 s by the clock")
        assert extractor.extract("after").text == "fine"


def test_memory_is_bounded() -> None:
    body = """
    if page == 'eat': bytearray(2_000_000_000)
    if page == 'hide':
        try:
            kept = []
            while True: kept.append(b'x' * 10_000_000)
        except MemoryError: return ''
    """
    # Enough processor time that filling the memory never takes longer, however slow the machine's page faults are.
    with Extractor(ExtractOptions(timeout_s=60, memory_mb=256), program(body)) as extractor:
        for page in ("eat", "hide"):
            assert extractor.extract(page).fate == "extract_memory"
            assert extractor.extract("after").text == "fine"


def test_a_crash_costs_only_its_page() -> None:
    body = """
    if page == 'segfault': ctypes.string_at(0)
    if page == 'exit': os._exit(3)
    """
    with Extractor(QUICK, program(body)) as extractor:
        assert extractor.extract("segfault") == Extracted("", "extract_crashed", "signal 11")
        assert extractor.extract("exit") == Extracted("", "extract_crashed", "exit code 3")
        assert extractor.extract("after").text == "fine"


def test_exceptions_show_their_class_only() -> None:
    with Extractor(QUICK, program("if page == 'bad': raise KeyError('secret of the page')")) as extractor:
        assert extractor.extract("bad") == Extracted("", "extract_error", "KeyError")
        pid = extractor.pid
        assert extractor.extract("after").text == "fine"
        assert extractor.pid == pid
    with Extractor(QUICK, program("def down(n): return down(n + 1)\nif page == 'deep': down(0)")) as extractor:
        assert extractor.extract("deep").detail == "RecursionError"


def test_a_kill_from_outside_costs_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "started"
    body = f"""
    if page == 'slow' and not os.path.exists({str(mark)!r}):
        open({str(mark)!r}, 'w').close()
        time.sleep(60)
    """
    with Extractor(QUICK, program(body)) as extractor:
        assert extractor.extract("before").text == "fine"
        pid = extractor.pid
        assert pid is not None

        def kill() -> None:
            while not mark.exists():
                time.sleep(0.01)
            os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        assert extractor.extract("slow").text == "fine"
        killer.join()
        assert extractor.pid != pid


def test_a_child_that_does_not_start_is_no_fate_of_a_page() -> None:
    with (
        Extractor(QUICK, ("-c", "import no_such_module")) as extractor,
        pytest.raises(ExtractorError, match=r"tried 3 times: ModuleNotFoundError: .*no_such_module.* \(exit code 1\)"),
    ):
        extractor.extract(PAGE)


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_no_child_outlives_its_parent(tmp_path: Path, state: str) -> None:
    """Idle, it sees the closed socket; busy, its alarm ends it."""
    script = f"""
    import os, signal, threading, time
    from pipeline.extract.options import ExtractOptions
    from pipeline.extract.worker import Extractor
    extractor = Extractor(ExtractOptions(wall_timeout_s=2), {program("if page == 'sleep': time.sleep(600)")!r})
    extractor.extract("before")
    print(extractor.pid, flush=True)
    if {state!r} == "busy":
        threading.Thread(target=extractor.extract, args=("sleep",), daemon=True).start()
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid, deadline = int(done.stdout), time.monotonic() + 20
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_order_of_pages_changes_nothing(extractor: Extractor, shared_data: Path) -> None:
    from pipeline.extract.charset import decode
    from pipeline.sources.warc import read_warc
    from tests.sources.warc_writer import whole

    records = read_warc(whole(shared_data / "html" / "goose3.warc.gz"))
    pages = [decode(record.html, record.charset)[0] for record in records if record.html][:12]
    forward = [extractor.extract(page).text for page in pages]
    backward = [extractor.extract(page).text for page in reversed(pages)]
    assert forward == backward[::-1]
    assert sum(map(len, forward)) > 10_000
