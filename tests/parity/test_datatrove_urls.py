"""datatrove's URLFilter and UrlRules with the same lists: equal but for what docs/urls.md says."""

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from publicsuffixlist import PublicSuffixList

from pipeline.steps.options import UrlOptions
from pipeline.steps.url import UrlRules
from pipeline.text.url_parts import host_of

GOLDEN = [tuple(pair) for pair in json.loads(Path(__file__).with_name("datatrove_urls.json").read_text("utf-8"))]
DOMAIN = "url_denied_domain"


@pytest.fixture(scope="module")
def rules() -> UrlRules:
    return UrlRules(UrlOptions(lists=("ut1", "words")))


def test_reasons_are_those_of_datatrove(rules: UrlRules) -> None:
    suffixes = PublicSuffixList(only_icann=True)
    mine = rules.check_all(pa.array([url for url, _ in GOLDEN], pa.large_string())).to_pylist()
    equal: Counter[str] = Counter()
    for (url, theirs), found in zip(GOLDEN, mine, strict=True):
        host = host_of(url)
        if found == theirs:
            equal[found] += 1
        elif found == "url_denied_url":  # the list has no schemes, so datatrove never finds a page of it
            assert theirs != DOMAIN
        elif found == DOMAIN and url.isascii() and "%" not in url and url == url.lower():
            registered = suffixes.privatesuffix(host)
            is_between = registered is not None and host.count(".") - registered.count(".") > 1
            assert is_between or host.replace(".", "").isdigit(), url
            assert registered is None or rules.check(f"http://{registered}/") != DOMAIN, url
        else:  # spelled otherwise than the words of the lists
            assert url != url.lower() or "%" in url or not url.isascii(), (url, theirs, found)
    assert min(equal[reason] for reason in ("", DOMAIN, "url_denied_word", "url_denied_subword")) > 90, equal
    assert equal["url_denied_soft_words"] > 5


def test_top_level_domains_are_no_entries(rules: UrlRules) -> None:
    """UT1 lists some; datatrove compares registered domains, so they are without effect there."""
    assert rules.check("https://a-site.adult/") == ""
    assert rules.check("https://adult/") == ""


def test_rules_are_ready_at_once_from_the_cache(rules: UrlRules) -> None:
    import time

    begun = time.process_time()
    UrlRules(UrlOptions(lists=("ut1", "words")))
    assert time.process_time() - begun < 1, "20 ms on an idle core; the table is mapped, not read"
