"""What was decided once about a page that hangs or crashes holds for every later run."""

import gzip
import json
from pathlib import Path

from pipeline.extract.options import ExtractOptions
from pipeline.extract.verdicts import FOLDER, Verdict, Verdicts, kept_pages
from pipeline.extract.worker import Extracted, Extractor
from pipeline.files import Folder
from tests.extract.test_worker import program

HANG = "while page.startswith('loop'): pass"


def test_a_page_that_hangs_is_given_up_once(tmp_path: Path) -> None:
    options = ExtractOptions(timeout_s=0.5)
    given_up = Extracted("", "extract_timeout", "over 0.5 s")
    with Extractor(options, program(HANG)) as extractor:
        extractor.verdicts = Verdicts(Folder(str(tmp_path)), "a")
        assert extractor.extract("loop é", "http://a.example/") == given_up
        assert extractor.extract("fine").text == "fine"
    with Extractor(options, ("-c", "the child must not start")) as extractor:
        extractor.verdicts = Verdicts(Folder(str(tmp_path)), "a")
        assert extractor.extract("loop é") == given_up
    (report,) = (tmp_path / FOLDER).glob("*.json")
    assert json.loads(report.read_text()) == {
        "fate": "extract_timeout",
        "detail": "over 0.5 s",
        "url": "http://a.example/",
        "wanted": "main",
    }
    assert gzip.decompress(report.with_suffix(".html.gz").read_bytes()).decode() == "loop é"
    assert kept_pages(tmp_path) == 1


def test_a_verdict_holds_for_one_page_under_equal_conditions(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    Verdicts(folder, "a").keep("main", b"page", "", Verdict("extract_crashed", "signal 11"))
    known = Verdicts(folder, "a")
    assert known.of("main", b"page") == Verdict("extract_crashed", "signal 11")
    assert known.of("visible", b"page") is None
    assert known.of("main", b"other") is None
    assert Verdicts(folder, "b").of("main", b"page") is None


def test_the_first_verdict_stays(tmp_path: Path) -> None:
    verdicts = Verdicts(Folder(str(tmp_path)), "a")
    verdicts.keep("main", b"page", "", Verdict("", ""))
    verdicts.keep("main", b"page", "", Verdict("extract_timeout", ""))
    assert verdicts.of("main", b"page") == Verdict("", "")
    assert kept_pages(tmp_path) == 0


def test_a_slow_page_that_ended_well_gets_more_time(tmp_path: Path) -> None:
    """Half a second of work under a limit of a quarter: a run on a faster machine did it in time before."""
    work = "end = time.process_time() + 0.5\nwhile page == 'slow' and time.process_time() < end: pass"
    options = ExtractOptions(timeout_s=0.25)
    verdicts = Verdicts(Folder(str(tmp_path)), "a")
    with Extractor(options, program(work)) as extractor:
        assert extractor.extract("slow").fate == "extract_timeout"
        verdicts.keep("main", b"slow", "", Verdict("", ""))
        extractor.verdicts = verdicts
        assert extractor.extract("slow").text == "fine"
    with Extractor(ExtractOptions(timeout_s=1.5), program(work)) as extractor:
        extractor.verdicts = Verdicts(Folder(str(tmp_path)), "b")
        assert extractor.extract("slow").text == "fine"
        assert extractor.verdicts.of("main", b"slow") == Verdict("", "")
