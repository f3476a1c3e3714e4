"""Readability is left out only where it would change nothing."""

from pathlib import Path

import pytest
import trafilatura.core
import trafilatura.external
from lxml import etree
from lxml.html import HtmlElement, fromstring

from pipeline.extract.charset import decode
from pipeline.extract.html import main_text
from pipeline.extract.options import ExtractOptions
from pipeline.extract.quick_fallback import lazily
from pipeline.sources.warc import read_warc
from tests.sources.warc_writer import whole

SENTENCE = "The mill at the river has been grinding grain for two hundred years. "


def is_asked(monkeypatch: pytest.MonkeyPatch, raw: str, text: str, body: str) -> bool:
    """Whether readability is given the page, rather than an empty one."""
    given: list[str] = []

    def compare(cleaned: object, raw: HtmlElement, body: object, text: str, options: object) -> tuple[object, str]:
        given.append(raw.text_content())
        return body, text

    options = trafilatura.settings.Extractor(precision=True)
    lazily(compare)(None, fromstring(raw), etree.fromstring(body), text, options)
    return bool(given[0])


@pytest.mark.parametrize(
    ("raw", "text", "body", "asked"),
    [
        (f"<p>{SENTENCE * 3}</p>", SENTENCE * 2, f"<body><p>{SENTENCE}</p></body>", False),
        (f"<p>{SENTENCE * 3}</p>", SENTENCE, f"<body><p>{SENTENCE}</p></body>", True),
        (f"<p>{SENTENCE * 3}</p>", "", "<body></body>", True),
        (f"<p>{SENTENCE}</p>", SENTENCE, f"<body><div>{SENTENCE}</div></body>", True),
        (f"<p>{SENTENCE}</p>", SENTENCE, f"<body><p>{SENTENCE}</p><table></table><table></table></body>", True),
        (f"<div><p>{SENTENCE}</p><script>{SENTENCE * 9}</script></div>", SENTENCE, "<body><p>a</p></body>", False),
        (f"<div><p>{SENTENCE}</p>{'<iframe></iframe>' * 30}</div>", SENTENCE, "<body><p>a</p></body>", True),
    ],
)
def test_when_it_is_asked(monkeypatch: pytest.MonkeyPatch, raw: str, text: str, body: str, asked: bool) -> None:
    assert is_asked(monkeypatch, raw, text, body) == asked


@pytest.mark.parametrize("favor", ["precision", "balanced", "recall"])
def test_texts_of_real_pages_stay(monkeypatch: pytest.MonkeyPatch, shared_data: Path, favor: str) -> None:
    records = read_warc(whole(shared_data / "html" / "scrapinghub-aeb.warc.gz"))
    pages = [decode(record.html, record.charset)[0] for record in records if record.html][:40]
    options = ExtractOptions(favor=favor)
    ours = [main_text(page, "", options) for page in pages]
    changed = trafilatura.core.compare_extraction
    monkeypatch.setattr(trafilatura.core, "compare_extraction", trafilatura.external.compare_extraction)
    assert changed is not trafilatura.external.compare_extraction
    assert ours == [main_text(page, "", options) for page in pages]
