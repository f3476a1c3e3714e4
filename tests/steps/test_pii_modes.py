"""Placeholders, pseudonyms and datatrove's replacements; texts, titles and URLs of one document."""

from collections import defaultdict
from urllib.parse import urlsplit

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline import stages
from pipeline.document import RAW_DOCUMENT
from pipeline.steps.options import PiiOptions
from pipeline.steps.pii.scrubber import _MAYBE, Ordinals, Scrubber

ALL = tuple(_MAYBE)


def scrubber(replace: str, kinds: tuple[str, ...] = ALL) -> Scrubber:
    return Scrubber(PiiOptions.model_validate({"kinds": kinds, "replace": replace}))


def test_pseudonyms_number_the_values_of_a_document() -> None:
    texts = ["a@b.de, c@d.de, A@B.de, 8.8.8.8", "c@d.de", "call 202-555-0143 or +1 (202) 555-0143 or 202-555-0144"]
    assert scrubber("pseudonym").scrub(texts)[0].to_pylist() == [
        "<EMAIL_1>, <EMAIL_2>, <EMAIL_1>, <IP_1>",
        "<EMAIL_1>",
        "call <PHONE_1> or <PHONE_1> or <PHONE_2>",
    ]


def test_pseudonyms_hold_across_the_columns_of_a_document() -> None:
    ours = scrubber("pseudonym")
    ordinals: Ordinals = defaultdict(dict)
    urls = ours.scrub_urls(["https://x.example/?to=a@b.de", "https://x.example/"], ordinals)[0]
    titles = ours.scrub(["c@d.de", None], ordinals)[0]
    texts = ours.scrub(["c@d.de a@b.de e@f.de", "e@f.de"], ordinals)[0]
    assert urls.to_pylist() == ["https://x.example/?to=EMAIL_1", "https://x.example/"]
    assert titles.to_pylist() == ["<EMAIL_2>", None]
    assert texts.to_pylist() == ["<EMAIL_2> <EMAIL_1> <EMAIL_3>", "<EMAIL_1>"]


def test_kinds_without_datatroves_replacement_get_a_placeholder() -> None:
    assert scrubber("datatrove").scrub(["a@b.de 8.8.8.8 +1 202 555 0143"])[0].to_pylist() == [
        "email@example.com 22.214.171.124 <PHONE>"
    ]


VALUES = st.sampled_from(
    ["a@b.de", "c@d.de", "8.8.8.8", "9.9.9.9", "202-555-0143", "DE89370400440532013000", "text", "é"]
)
TEXTS = st.lists(st.lists(VALUES, max_size=6).map(" ".join), min_size=1, max_size=5)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.randoms(use_true_random=False), st.sampled_from(["placeholder", "pseudonym", "datatrove"]))
def test_a_document_alone_decides(texts: list[str], random, replace: str) -> None:  # type: ignore[no-untyped-def]
    ours, order = scrubber(replace), list(range(len(texts)))
    random.shuffle(order)
    together = ours.scrub(texts)[0].to_pylist()
    assert ours.scrub([texts[i] for i in order])[0].to_pylist() == [together[i] for i in order]
    assert [ours.scrub([text])[0][0].as_py() for text in texts] == together


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_pseudonyms_are_equal_where_values_are(texts: list[str]) -> None:
    for text, clean in zip(texts, scrubber("pseudonym").scrub(texts)[0].to_pylist(), strict=True):
        pairs = set(zip(text.split(), clean.split(), strict=True))
        assert len(pairs) == len({value for value, _ in pairs}) == len({name for _, name in pairs})


@pytest.mark.parametrize("replace", ["placeholder", "pseudonym", "datatrove"])
@pytest.mark.parametrize(
    "rest",
    [
        "?to=a.b%40c.net&x=1",
        "p?tel=%2B1%20202%20555%200143#a@b.de",
        "a%2Fb%40c.net/x",
        "4111111111111111/8.8.8.8",
        "%ff%fe@a.de",
        "é/%C3%A9 a@b.de",
        "-----BEGIN PRIVATE KEY-----",
    ],
)
def test_a_url_stays_a_url_and_holds_nothing(replace: str, rest: str) -> None:
    url = f"https://host.example/{rest}"
    ours = scrubber(replace)
    clean = ours.scrub_urls([url])[0][0].as_py()
    before, after = urlsplit(url), urlsplit(clean)
    assert (before.scheme, before.netloc) == (after.scheme, after.netloc)
    assert before.path.count("/") == after.path.count("/")
    assert before.query.count("&") == after.query.count("&")
    assert not set("<>") & set(clean)
    if replace != "datatrove":
        assert ours.scrub_urls([clean])[0][0].as_py() == clean
        assert all(value not in clean for value in ("c.net", "555", "a@b", "4111", "8.8.8"))


def test_a_coded_url_without_personal_data_keeps_its_bytes() -> None:
    urls = ["https://h.example/%7euser/a%2fb?q=%C3%A9+%41", "https://h.example/100%"]
    assert scrubber("placeholder").scrub_urls(urls)[0].to_pylist() == urls


def test_nulls_and_types() -> None:
    texts, counts = scrubber("pseudonym").scrub(pa.array([None, "a@b.de"], pa.string()))
    assert texts.to_pylist() == [None, "<EMAIL_1>"] and texts.type == pa.large_string()
    assert sorted(counts) == sorted(ALL) and counts["email"].tolist() == [0, 1]


def test_an_unknown_region_is_named() -> None:
    with pytest.raises(ValidationError, match="'UK' is no region of libphonenumber; write its ISO 3166-1 code"):
        PiiOptions.model_validate({"phone_regions": ["UK"]})


def test_select_counts_kinds_over_all_columns_and_names_values_alike() -> None:
    row = dict.fromkeys(RAW_DOCUMENT.names, "") | {
        "id": bytes(16),
        "source": "web",
        "path": "a",
        "offset": 0,
        "url": "https://x.example/?to=ann%40firm.example.net",
        "title": "ann@firm.example.net and +1 202 555 0143",
        "text": "(202) 555-0143, bob@firm.example.net, ann@firm.example.net, DE89 3704 0044 0532 0130 00",
    }
    documents = pa.table({field.name: pa.array([row[field.name]], field.type) for field in RAW_DOCUMENT})
    for column in ("language", "cluster"):
        value = pa.array(["en"], pa.string()) if column == "language" else documents["id"]
        documents = documents.append_column(column, value)
    documents = documents.append_column("cluster_size", pa.array([1], pa.int32()))
    clean, replaced = stages._clean(documents, None, scrubber("pseudonym"))
    assert clean["url"].to_pylist() == ["https://x.example/?to=EMAIL_1"]
    assert clean["title"].to_pylist() == ["<EMAIL_1> and <PHONE_1>"]
    assert clean["text"].to_pylist() == ["<PHONE_1>, <EMAIL_2>, <EMAIL_1>, <IBAN_1>"]
    assert {kind: n for kind, n in replaced.items() if n} == {"email": 4, "phone": 2, "iban": 1}
