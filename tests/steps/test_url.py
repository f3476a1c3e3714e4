"""URL rules: which addresses they deny, and that no address costs more than its length."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.steps.options import UrlOptions
from pipeline.steps.url import UrlRules
from pipeline.text.url_parts import host_of

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
    started = time.perf_counter()
    RULES.check(url)
    assert time.perf_counter() - started < 2, "about .1 s on an idle core; quadratic time would be minutes"


@given(st.text())
def test_never_raises(url: str) -> None:
    assert RULES.check(url) in ("", "url_denied_domain", "url_denied_word")
    assert RULES.check(f"http://{url}") in ("", "url_denied_domain", "url_denied_word")


@given(st.from_regex(r"[a-z0-9]{1,10}(\.[a-z0-9]{1,10}){0,3}", fullmatch=True), st.integers(0, 65535))
def test_host_of_plain_addresses(host: str, port: int) -> None:
    assert host_of(f"https://u@{host}:{port}/a?b#c") == host
    assert UrlRules(UrlOptions(deny_domains=(host,))).check(f"http://sub.{host}.") == "url_denied_domain"
