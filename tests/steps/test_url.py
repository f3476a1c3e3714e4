"""URL rules: which addresses they deny, and that no address costs more than its length."""

import re
import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.config import ConfigError
from pipeline.steps.options import UrlOptions
from pipeline.steps.url import UrlRules
from pipeline.text.url_parts import decoded, host_of, page_of

RULES = UrlRules(
    UrlOptions(deny_domains=("evil.com", "Bücher.example", "co.uk.test", "10.0.0.1"), deny_words=("Casino", "naïve"))
)


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.com",
        "https://evil.com/",
        "HTTP://EVIL.COM/x",
        "http://a.b.evil.com:8080/x?y#z",
        "evil.com",
        "evil.com/path",
        "//evil.com/path",
        "http://user:pass@evil.com/",
        "http://good.org@evil.com/",
        "http://good.org:80@evil.com:80/",
        "http://a@good.org@evil.com/",
        "http://evil.com./",
        "http://e%76il.com/",
        "http://evil.com?x",
        "http://evil.com#x",
        "http://evil.com\\@good.org/",
        "  http://evil.com/ ",
        "http://bücher.example/",
        "http://BÜCHER.example/",
        "http://xn--bcher-kva.example/",
        "http://www.xn--BCHER-kva.example:1/",
        "http://10.0.0.1/",
        "ftp://evil.com/",
        "http://" + "a." * 500_000 + "evil.com/",
        "http://" + "a" * 300 + ".evil.com/",
    ],
)
def test_denied_hosts(url: str) -> None:
    assert RULES.check(url) == "url_denied_domain"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "http:///evil.com",
        "http://notevil.com/",
        "http://evil.com.good.org/",
        "http://evil.community/",
        "http://good.org/evil.com",
        "http://good.org/?u=http://evil.com/",
        "http://good.org/@evil.com",
        "http://evil.com@good.org/",
        "http://uk.test/",
        "http://110.0.0.1/",
        "http://[::1]/",
        "http://[evil.com",
        "urn:uuid:evil.com",
        "http://casinos.org/",
        "http://good.org/casinò",
        "http://\udcff.example/",
    ],
)
def test_allowed(url: str) -> None:
    assert RULES.check(url) == ""


@pytest.mark.parametrize(
    "url",
    [
        "http://casino.org/",
        "http://good.org/a-CASINO-b",
        "http://good.org/a_casino_b",
        "http://good.org/?q=casino",
        "http://good.org/%43asino",
        "http://good.org/a%20casino",
        "http://good.org/na%C3%AFve",
    ],
)
def test_denied_words(url: str) -> None:
    assert RULES.check(url) == "url_denied_word"


def test_no_rules_deny_nothing() -> None:
    assert UrlRules(UrlOptions()).check("http://evil.com/casino") == ""


@pytest.mark.parametrize("field", ["deny_domains", "deny_words"])
@pytest.mark.parametrize("entry", ["http://evil.com", "evil.com/x", "a b", ""])
def test_entries_that_could_never_match_are_refused(field: str, entry: str) -> None:
    with pytest.raises(ValidationError):
        UrlOptions.model_validate({field: [entry]})


@pytest.mark.parametrize(
    "url",
    [
        "x" * 10**6,
        "a." * 500_000,
        "http://" + "@" * 10**6,
        "http://" + "ü" * 10**6,
        "http://x/" + "%" * 10**6,
        "http://x/" + "%C3%A9/" * 150_000,
        "http://[" + ":" * 10**6,
        "/" * 10**6,
        "http://" + "%2e" * 300_000 + "com",
        "é." * 500_000,
        "-" * 10**6 + "://",
    ],
    ids=lambda url: url[:20],
)
def test_a_megabyte_takes_linear_time(url: str) -> None:
    started = time.process_time()
    RULES.check(url)
    assert time.process_time() - started < 2, "about .1 s on an idle core; quadratic time would be minutes"


@given(st.text())
def test_never_raises(url: str) -> None:
    assert RULES.check(url) in ("", "url_denied_domain", "url_denied_word")
    assert RULES.check(f"http://{url}") in ("", "url_denied_domain", "url_denied_word")


@given(st.from_regex(r"([a-z0-9]{1,10}\.){0,3}[a-z][a-z0-9]{0,9}", fullmatch=True), st.integers(0, 65535))
def test_host_of_plain_addresses(host: str, port: int) -> None:
    assert host_of(f"https://u@{host}:{port}/a?b#c") == host
    assert UrlRules(UrlOptions(deny_domains=(host,))).check(f"http://sub.{host}.") == "url_denied_domain"


def slowly(url: str, options: UrlOptions) -> str:
    """The rules again, in plain Python, for one URL."""
    host, page = host_of(url), page_of(url)
    is_number = host.rpartition(".")[2].isdigit() and host.isascii()
    above = {host} if is_number else {".".join(host.split(".")[k:]) for k in range(host.count(".") + 1)} - {""}
    text = decoded(url).casefold()
    words = re.findall(r"[^\W_]+", text)
    joined = "".join(words)
    if above & set(options.allow_domains) or page in map(page_of, options.allow_urls):
        return ""
    if above & set(options.deny_domains):
        return "url_denied_domain"
    if page in map(page_of, options.deny_urls):
        return "url_denied_url"
    if set(words) & set(options.deny_words):
        return "url_denied_word"
    if len(set(words) & set(options.deny_soft_words)) >= options.soft_word_threshold:
        return "url_denied_soft_words"
    return "url_denied_subword" if any(part in joined for part in options.deny_subwords) else ""


OPTIONS = UrlOptions(
    allow_domains=("good.bad.org",),
    allow_urls=("bad.org/fine",),
    deny_domains=("bad.org", "1.2.3.4"),
    deny_urls=("http://page.org/x?q=1", "page.org:81/é"),
    deny_words=("ab", "é"),
    deny_soft_words=("s1", "s2", "s3"),
    deny_subwords=("aab", "abc", "bcd", "cé"),
)
PIECES = (
    *("http://", "https://", "//", "HTTP://", "u@", "www.", "good.", "bad.org", "BAD.org", ".", ":80", ":81", ":443"),
    *("1.2.3.4", "page.org", "/", "/fine", "/x?q=1", "/%78?q=1", "#f", "?", "ab", "a", "b", "c", "d", "é", "%C3%A9"),
    *("-", "_", "s1", "s2", "S3", "%73", "%2e", "[", "]", "[::1]", "\\", " ", "%", "É", "\u3002", "x" * 300),
)


@example(["1.2.3.4\u3002", "http://bad.org\uff0e/", "x.bad\uff61org\u3002\u3002"])
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), max_size=5))
def test_a_column_is_judged_as_each_url_alone(urls: list[str]) -> None:
    rules = UrlRules(OPTIONS)
    found = rules.check_all(pa.array(["", *urls], pa.large_string())[1:]).to_pylist()
    assert found == [slowly(url, OPTIONS) for url in urls]


@pytest.mark.parametrize("same", [
    "http://example.org/a", "https://www.example.org/a/", "example.org:443/a", "//u:p@EXAMPLE.org./a#b", "http://example.org/%61"
])  # fmt: skip
def test_spellings_of_one_page(same: str) -> None:
    assert page_of(same) == "example.org/a"
    assert page_of(same.partition("#")[0] + "?b") != page_of(same)


def test_soft_words_count_once_and_allowed_words_do_not() -> None:
    options = {"deny_soft_words": ("one", "two", "three"), "deny_words": ("bad",), "deny_subwords": ("evil deed",)}
    rules = UrlRules(UrlOptions(**options))
    assert rules.check("http://a.org/one-one-one") == ""
    assert rules.check("http://a.org/one-TWO") == "url_denied_soft_words"
    assert rules.check("http://a.org/the-evil.deeds") == "url_denied_subword"
    rules = UrlRules(UrlOptions(**options, allow_words=("two", "bad", "Evil Deed")))
    assert rules.check("http://a.org/one-two-bad-evil-deed") == ""
    assert UrlRules(UrlOptions(**options, soft_word_threshold=3)).check("http://a.org/one-two") == ""


def test_files_of_entries(tmp_path: Path) -> None:
    (tmp_path / "domains.txt").write_text("# remark\n\nevil.example\n")
    (tmp_path / "wrong.txt").write_text("fine.example\nhttp://no.example/\n")
    rules = UrlRules(UrlOptions(files={"deny_domains": (str(tmp_path / "domains.txt"),)}))
    assert rules.check("http://www.evil.example/") == "url_denied_domain"
    with pytest.raises(ConfigError, match=r"deny_domains\.0: .*wrong\.txt:2: 'http://no.example/' is no host"):
        UrlRules(UrlOptions(files={"deny_domains": (str(tmp_path / "wrong.txt"),)}))
    changed = {"deny_domains.0": {"path": str(tmp_path / "domains.txt"), "sha256": "0" * 64}}
    with pytest.raises(ConfigError, match="changed"):
        UrlRules(UrlOptions(), changed)
