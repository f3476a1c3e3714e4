from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.extract.charset import decode
from pipeline.sources.warc import read_warc
from tests.sources.warc_writer import whole

GERMAN = "Grüße aus Köln: „schön“ – 5 €. " * 20
JAPANESE = "日本語の文章です。これは文字コードの試験。①㈱" * 20
CHINESE = "这是一个测试页面，内容是中文。" * 20
KOREAN = "한국어로 쓴 페이지입니다. 똠방각하" * 20
RUSSIAN = "Это страница на русском языке, и она довольно длинная. " * 20


def page(text: str, meta: str = "") -> str:
    declaration = f"<meta charset={meta}>" if meta else ""
    return f"<html><head>{declaration}<title>x</title></head><body><p>{text}</p></body></html>"


@pytest.mark.parametrize(
    ("text", "stored", "meta", "http", "used"),
    [
        (GERMAN, "utf-8", "", "", "utf-8"),
        (GERMAN, "utf-8", "iso-8859-1", "", "utf-8"),
        (GERMAN, "utf-8", "", "windows-1251", "utf-8"),
        (GERMAN, "cp1252", "iso-8859-1", "", "cp1252"),
        (GERMAN, "cp1252", "utf-8", "", "cp1252"),
        (GERMAN, "utf-8-sig", "iso-8859-1", "koi8-r", "utf-8"),
        (GERMAN, "utf-16", "", "", "utf-16-le"),
        (GERMAN, "utf-16-be", "utf-8", "utf-8", "utf-16-be"),
        (JAPANESE, "cp932", "shift_jis", "", "cp932"),
        (JAPANESE, "cp932", "Shift_JIS", "iso-8859-1", "cp932"),
        (JAPANESE.replace("①㈱", ""), "euc-jp", "", "", "euc_jp"),
        (JAPANESE.replace("①㈱", ""), "iso-2022-jp", "iso-2022-jp", "", "iso2022_jp"),
        (CHINESE, "gb18030", "gb2312", "", "gb18030"),
        (CHINESE, "gb18030", "", "", "gb18030"),
        (CHINESE, "gb2312", "gb2312", "iso-8859-1", "gb18030"),
        (KOREAN, "cp949", "euc-kr", "", "cp949"),
        (RUSSIAN, "cp1251", "", "windows-1251", "cp1251"),
        (RUSSIAN, "koi8-r", "", "", "koi8-r"),
        (RUSSIAN, "cp1251", "ru", "no-such-charset", "cp1251"),
    ],
)
def test_what_decodes_wins(text: str, stored: str, meta: str, http: str, used: str) -> None:
    html = page(text, meta)
    found, encoding = decode(html.encode(stored), http)
    assert (found, encoding) == (html, used)


def test_a_cut_page_keeps_its_encoding() -> None:
    for text, stored, meta in ((JAPANESE, "utf-8", "utf-8"), (JAPANESE, "cp932", "shift_jis"), (CHINESE, "gbk", "gbk")):
        html = page(text, meta).encode(stored)[:-25]
        for end in range(len(html) - 4, len(html)):
            found, _ = decode(html[:end])
            assert page(text, meta).startswith(found.rstrip("\ufffd"))


def test_a_few_bad_bytes_are_forgiven() -> None:
    html = page(GERMAN * 5, "utf-8").encode()
    at = html.index("ö".encode())
    found, encoding = decode(html[:at] + b"\xff" + html[at:])
    assert encoding == "utf-8"
    assert found.replace("\ufffd", "") == page(GERMAN * 5, "utf-8")


@pytest.mark.parametrize(
    ("head", "charset"),
    [
        ("<!-- <meta charset=utf-7> --><meta charset=koi8-r>", "koi8-r"),
        ("<!--><meta charset=koi8-r>", "koi8-r"),
        ('<meta name="description" content="charset=big5"><meta charset="koi8-r">', "koi8-r"),
        ('<meta content=">" name=x><META HTTP-EQUIV=Content-Type CONTENT="text/html; Charset = koi8-r">', "koi8-r"),
        ('<meta name="Content-Type" content="text/html; charset=koi8-r">', "koi8-r"),
        ("<metal charset=big5><meta charset='koi8-r'>", "koi8-r"),
        ("<!-- <meta charset=koi8-r>", ""),
    ],
)
def test_declarations_are_read_as_html_is(head: str, charset: str) -> None:
    short = "Да"  # too short to be detected
    _, encoding = decode(f"<html><head>{head}</head><p>{short}".encode("koi8-r"))
    assert (encoding == "koi8-r") == bool(charset)


def test_one_byte_is_no_reason_to_take_a_page_for_utf8() -> None:
    assert decode(b"<meta charset=iso-8859-1><p>\xa9 2026") == ("<meta charset=iso-8859-1><p>© 2026", "cp1252")
    words = "<meta charset=utf-8>" + "Grüße aus Köln, schöne. " * 3
    assert decode(words.encode() + b"\xa9 2026")[1] == "utf-8"


W3C = {**dict.fromkeys((1, 7, 9, 16, 18, 30), "iso8859-15"), **dict.fromkeys((15, 34, 37, 38), "utf-8")}
"""What browsers decode the W3C's test cases with. Three letters of those in ISO 8859-15 are valid UTF-8, and here that
wins: of the pages at hand that are valid UTF-8 and declare something else, the declaration is wrong on nearly all."""


def test_w3c_test_cases(shared_data: Path) -> None:
    differ = set()
    for record in read_warc(whole(shared_data / "html" / "commonsearch-testdata.warc.gz")):
        number = record.url.rpartition("the-input-byte-stream-")[2].partition(".")[0]
        if number.isdigit() and record.html:
            used = decode(record.html, record.charset)[1]
            differ |= {int(number)} if used != W3C.get(int(number), "utf-16-le") else set()
    assert differ == {number for number, encoding in W3C.items() if encoding == "iso8859-15"}


@given(st.binary(max_size=500), st.text(max_size=20))
def test_nothing_fails(html: bytes, charset: str) -> None:
    text, _ = decode(html, charset)
    assert "\0" not in text


def test_codecs_of_python_alone_are_never_used() -> None:
    for name in ("rot13", "zip", "hex", "idna", "unicode_escape", "utf-7", "undefined", "mbcs"):
        text, encoding = decode(b"caf\xe9 +AGE- \\u0041 " + b"abc " * 50, name)
        assert encoding != name
        assert "+AGE- \\u0041" in text


def test_real_pages_decode(shared_data: Path) -> None:
    for name, least in (
        ("gne-chinese-news", 0.999),
        ("autopager", 0.999),
        ("formasaurus", 0.999),
        ("goose-java", 0.999),
    ):
        n_bad = n_chars = 0
        for record in read_warc(whole(shared_data / "html" / f"{name}.warc.gz")):
            if record.html:
                text, _ = decode(record.html, record.charset)
                n_bad, n_chars = n_bad + text.count("\ufffd"), n_chars + sum(char > "\x7f" for char in text)
        assert n_bad <= (1 - least) * n_chars, name
