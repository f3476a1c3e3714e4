"""The card shows the manifest's figures, and nothing that stands in the data can act as Markdown, HTML or YAML."""

import hashlib
import inspect
import json
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from huggingface_hub import DatasetCard, DatasetCardData
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipeline.card.escape import code, escape, fenced, prose, share, visible
from pipeline.card.front_matter import languages, licence, size_category
from pipeline.card.markdown import renderings as all_renderings
from pipeline.manifest import CellTotals, DataFile, Manifest, MixtureRow

VERSION = "0123456789abcdef"
READER = MarkdownIt("commonmark").enable("table").enable("strikethrough")  # with HTML, as on GitHub and the Hub
HOSTILE = [
    "a|b",
    "x\n\n# heading",
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "`code` *bold* _it_ ~~gone~~",
    "\u202egnp.exe",
    "---",
    "<!-- never closed",
    "<pre x",
    "&lt;&#60;",
    "![i](http://tracker.example/p.png)",
    "http://user@evil.example/",
    "back\\|slash",
    "nul\x00\u2028line",
]


def manifest(**changes: Any) -> Manifest:
    """A version of two sources whose counts add up."""
    value = Manifest(
        name="tiny",
        sources=["books", "cc"],
        recipe={
            "name": "tiny",
            "sources": {"cc": {"type": "warc"}, "books": {"type": "tables"}},
            "steps": [
                {"type": "lines", "rule": "c4"},
                {"type": "limit", "name": "too_short", "measure": "n_words", "min": 50.0, "max": 100000.0},
                {
                    "type": "limit",
                    "name": "not_english",
                    "measure": "language",
                    "one_of": ["en"],
                    "where": {"source": ["cc"], "language": []},
                },
                {"type": "limit", "name": "noisy", "measure": "symbol_share", "max": 0.1, "exclusive": True},
            ],
            "mixture": {"weights": {"cc": 1, "books": 1}, "tolerance": 0.01},
            "pii": {"kinds": ["email", "ip"]},
            "card": {"summary": "", "intended_use": "Tests.\n\n- only", "limits": "", "contact": ""},
        },
        libraries={"trafilatura": "2.3.1", "numpy": "2.4.0"},
        assets={"lid.176.ftz": "8f3472cf"},
        inputs=[
            {"source": "cc", "path": f"cc-{i:02}.warc.gz", "start": 0, "end": 1000 + i, "sha256": f"{i:064x}"}
            for i in range(25)
        ],
        files=[
            DataFile("documents/cc-00000.parquet", "documents", "ab", 5_000_000, 1600),
            DataFile("shards/train/cc-00000.arrow", "shard", "cd", 2048, 7, cell="cc", split="train"),
        ],
        counts={
            "records": {"cc": 2500, "books": 700},
            "fates": {"cc": {"not_a_page": 400, "extract_timeout": 100}},
            "extracted": {"cc": 2000, "books": 700},
            "dropped": {
                "cc": {"too_short": 300, "not_english": 200, "exact_duplicate": 50, "near_duplicate": 150},
                "books": {"too_short": 200},
            },
            "failed": {"cc": {"too_short": 300, "not_english": 333, "noisy": 44}, "books": {"too_short": 200}},
            "failed_alone": {"cc": {"too_short": 123, "not_english": 200}, "books": {"too_short": 200}},
            "documents": {"cc": 1300, "books": 500},
            "passed": {"cc": 1500, "books": 500},
            "extracted_bytes": {"cc": 2_000_000, "books": 7_700_000},
            "dropped_bytes": {
                "cc": {"too_short": 1000, "not_english": 499_000, "exact_duplicate": 60_000, "near_duplicate": 140_000},
                "books": {"too_short": 100},
            },
            "utf8_bytes": {"cc": 1_234_567, "books": 7_654_321},
            "languages": {"cc": {"en": 1290, "no": 10}, "books": {"en": 300, "de": 200}},
            "language_bytes": {"cc": {"en": 1_234_000, "no": 567}, "books": {"en": 7_000_000, "de": 654_321}},
            "train_tokens": {"cc": {"en": 6860, "no": 140}, "books": {"en": 15_300, "de": 5100}},
            "validation_tokens": {"cc": {"en": 100}},
            "byte_tokens": {"cc": {"en": 10, "no": 70}, "books": {"en": 0, "de": 0}},
            "unknown_tokens": {"cc": 0, "books": 0},
            "document_tokens": {"cc": [0, 0, 1000, 200, 100], "books": [0, 0, 0, 0, 500]},
            "pii": {"cc": {"email": 17, "ip": 3}},
            "licences": {"cc": {"": 1300}, "books": {"CC-BY-SA-4.0": 499, "Gutenberg": 1}},
            "licence_bytes": {"cc": {"": 1_234_567}, "books": {"CC-BY-SA-4.0": 7_654_000, "Gutenberg": 321}},
            "domains": {"cc": {f"site{i:02}.example": 100 - i for i in range(12)}},
            "distinct_domains": {"cc": 350},
            "years": {"cc": {"2024": 900, "2019": 100, "": 300}, "books": {"": 500}},
            "cluster_sizes": {"2": 10, "3": 5, "4": 1, "5": 2},
        },
        histograms={},
        tokenizer={
            "type": "bpe",
            "vocab_size": 16384,
            "fingerprint": "f00d",
            "word_occurrences": 4000,
            "left_out": {"below_min_count": 1000, "beyond_max_words": 0},
        },
        packing={"seq_len": 1024, "dtype": "uint16"},
        cells=[
            CellTotals("cc", "train", 7, 7000, 1290, 1_200_000),
            CellTotals("cc", "validation", 1, 100, 10, 34_567),
            CellTotals("books", "train", 20, 20_400, 500, 7_654_321),
        ],
        mixture=[
            MixtureRow("cc", 0.5, 0.4961, 21, 7, 21_000, 3.0),
            MixtureRow("books", 0.5, 0.5039, 20, 20, 20_400, 1.0),
        ],
    )
    return replace(value, **changes)


def renderings(manifest: Manifest, version: str) -> dict[str, bytes]:
    return all_renderings(manifest, version, [])


def render(manifest: Manifest, version: str) -> str:
    return renderings(manifest, version)["card.md"].decode()


def section(card: str, title: str) -> str:
    """The part of a card under the heading `title`, up to the next heading of its level or above."""
    level = title.split(" ")[0]
    after = card.split(f"\n{title}\n", 1)[1]
    return re.split(rf"\n#{{1,{len(level)}}} ", after, maxsplit=1)[0]


def cells(text: str) -> list[list[str]]:
    """Rows of the tables in `text`, as a CommonMark reader sees their text."""
    rows: list[list[str]] = []
    inside = False
    for token in READER.parse(text):
        if token.type == "tr_open":
            rows.append([])
        inside = token.type == "tr_open" or (inside and token.type != "tr_close")
        if token.type == "inline" and inside:
            rows[-1].append("".join(child.content for child in token.children or []))
    return rows


def test_front_matter_is_read_by_the_hub_library() -> None:
    data = DatasetCard(render(manifest(), VERSION)).data
    assert data.pretty_name == "tiny"
    assert data.language == ["en", "de"]  # Norwegian, ten documents of 1,800, is below 1 %
    assert (data.license, data.license_name) == ("other", "see-card")  # some pages state none
    assert data.size_categories == ["1K<n<10K"]
    assert "gristmill" in data.tags
    assert data.task_categories == ["text-generation"]
    (documents,) = data.configs
    assert documents["data_files"] == [{"split": "train", "path": "documents/*.parquet"}]
    known = set(inspect.signature(DatasetCardData).parameters) | {"tags", "configs", "license_name", "license_details"}
    assert set(data.to_dict()) <= known


def test_front_matter_names_a_config_for_each_table_there_is() -> None:
    files = [DataFile(f"{kind}/cc-00000.parquet", kind, "ab", 1, 1) for kind in ("decisions", "documents", "dropped")]
    configs = DatasetCard(render(manifest(files=files), VERSION)).data.configs
    assert [(c["config_name"], c.get("default")) for c in configs] == [
        ("documents", True),
        ("decisions", None),
        ("dropped", None),
    ]


def test_norwegian_stays_a_language_in_yaml() -> None:
    counts = {**manifest().counts, "languages": {"cc": {"no": 5}}}
    assert DatasetCard(render(manifest(counts=counts), VERSION)).data.language == ["no"]


def test_languages_are_those_of_iso_639() -> None:
    """fastText's `als` is Alemannic, as in Wikipedia; ISO 639-3 gives that code to an Albanian language."""
    assert languages({"en": 5, "als": 4, "sh": 3, "eml": 2, "": 1}) == ["en", "gsw", "hbs"]


@pytest.mark.parametrize(
    ("n", "name"), [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**12 - 1, "100B<n<1T"), (10**12, "n>1T")]
)
def test_size_category(n: int, name: str) -> None:
    assert size_category(n) == name


@pytest.mark.parametrize(
    ("counts", "n_documents", "expected"),
    [
        ({"MIT": 3, "Apache-2.0": 0}, 3, "mit"),
        ({"MIT": 2, " mit ": 1}, 3, "mit"),
        ({"MIT": 2, "": 1}, 3, "other"),
        ({"MIT": 2, "Apache-2.0": 1}, 3, "other"),
        ({"MIT": 2}, 3, "other"),  # more than the manifest lists
        ({"Gutenberg": 3}, 3, "other"),
        ({"": 3}, 3, "unknown"),
        ({}, 0, "unknown"),
    ],
)
def test_a_licence_is_named_if_it_covers_everything(counts: dict[str, int], n_documents: int, expected: str) -> None:
    fields = licence(counts, n_documents)
    assert fields["license"] == expected
    assert ("license_name" in fields) == (expected == "other")


def test_mixture_shows_plan_and_result() -> None:
    by_source, by_language = section(render(manifest(), VERSION), "## Mixture").split("### By source and language")
    assert cells(by_source)[1:] == [
        ["books", "50.0 %", "50.4 %", "500", "7,654,321", "20,400", "20,400", "1.00"],
        ["cc", "50.0 %", "49.6 %", "1,300", "1,234,567", "7,100", "21,000", "3.00"],
        ["all", "", "", "1,800", "8,888,888", "27,500", "41,400", ""],
    ]
    assert "0.39 percentage points; the build fails beyond 1." in by_source
    assert cells(by_language)[1:] == [
        ["cc", "en", "49.0 %", "48.6 %", "1,290", "1,234,000", "6,960", "20,580", "3.00"],
        ["books", "en", "37.5 %", "37.8 %", "300", "7,000,000", "15,300", "15,300", "1.00"],
        ["books", "de", "12.5 %", "12.6 %", "200", "654,321", "5,100", "5,100", "1.00"],
        ["cc", "no", "1.0 %", "1.0 %", "10", "567", "140", "420", "3.00"],
    ]


def test_phases_spread_shares_and_often_read_cells_are_shown() -> None:
    mixture = [
        MixtureRow("books", 0.36, 0.33, 13, 20, 13_260, 0.65, spread=-0.03),
        MixtureRow("cc", 0.54, 0.57, 23, 7, 23_000, 23 / 7, spread=0.03),
        MixtureRow("books", 0.05, 0.05, 2, 20, 2_040, 0.1, phase=1),
        MixtureRow("cc", 0.025, 0.025, 1, 7, 1_000, 1 / 7, phase=1, stretch=0),
        MixtureRow("cc", 0.025, 0.025, 1, 7, 1_000, 1 / 7, phase=1, stretch=1),
    ]
    made = manifest(mixture=mixture)
    phases = [{"share": 9}, {"share": 1, "order": {"measure": "n_words", "first": "low"}}]
    made.recipe["mixture"] |= {"phases": phases}
    text = section(render(made, VERSION), "## Mixture")
    whole, rest = text.split("### By phase")
    assert cells(whole)[1] == ["cc", "62.0 %", "62.0 %", "1,300", "1,234,567", "7,100", "25,000", "3.57"]
    assert cells(whole)[2][:3] == ["books", "38.0 %", "38.0 %"]
    assert "The recipe asks for more than there is of `books` (41.0 %); the rest is spread over the others." in whole
    assert "> [!WARNING]\n> Read more than 2 times: `cc` 3.57 times; " in whole
    assert cells(rest.split("### By source")[0])[1:] == [
        ["1: 90.0 % of the tokens", "cc", "63.3 %", "63.3 %", "23,000", "3.29"],
        ["", "books", "36.7 %", "36.7 %", "13,260", "0.65"],
        ["2: 10.0 % of the tokens, n_words from low values on", "books", "50.0 %", "50.0 %", "2,040", "0.10"],
        ["", "cc", "50.0 %", "50.0 %", "2,000", "0.29"],
    ]
    assert "### By phase" not in render(manifest(), VERSION)


def test_a_source_of_several_cells_is_shown_by_cell_and_language() -> None:
    totals = [
        CellTotals("cc.en", "train", 7, 7000, 1200, 1_000_000),
        CellTotals("cc.other", "train", 7, 1000, 100, 234_567),
        CellTotals("books", "train", 20, 20_400, 500, 7_654_321),
    ]
    mixture = [
        MixtureRow("cc.en", 0.1, 0.1, 7, 7, 2500, 1.0),
        MixtureRow("cc.other", 0.4, 0.4, 70, 7, 10_000, 10.0),
        MixtureRow("books", 0.5, 0.5, 20, 20, 12_500, 1.0),
    ]
    counts = {"train_tokens": {"cc.en": {"en": 7000}, "cc.other": {"no": 1000}, "books": {"en": 20_400}}}
    made = manifest(cells=totals, mixture=mixture)
    made = replace(made, counts=made.counts | counts | {"validation_tokens": {}})
    by_cell, by_language = section(render(made, VERSION), "## Mixture").split("### By source and language")
    assert [row[0] for row in cells(by_cell)] == ["Cell", "books", "cc.other", "cc.en", "all"]
    assert {tuple(row[:2]): (row[2], row[-2], row[-1]) for row in cells(by_language)[1:3]} == {
        ("books", "en"): ("50.0 %", "12,500", "1.00"),
        ("cc", "no"): ("40.0 %", "10,000", "10.00"),
    }


def test_languages_of_all_sources() -> None:
    assert cells(section(render(manifest(), VERSION), "## Languages"))[1:] == [
        ["en", "1,590", "88.3 %", "8,234,000", "22,260", "80.9 %"],
        ["de", "200", "11.1 %", "654,321", "5,100", "18.5 %"],
        ["no", "10", "0.6 %", "567", "140", "0.5 %"],
    ]


def test_a_table_of_many_languages_ends_with_the_rest() -> None:
    many = {f"q{i:02}": 100 - i for i in range(60)}
    counts = {**manifest().counts, "languages": {"cc": many}, "language_bytes": {"cc": many}}
    counts |= {"train_tokens": {"cc": many}, "validation_tokens": {}}
    card = render(manifest(counts=counts), VERSION)
    rest = sum(n for i, n in enumerate(many.values()) if i >= 40)
    assert cells(section(card, "## Languages"))[-1][:2] == ["20 others", f"{rest:,}"]
    assert cells(section(card, "### By source and language"))[-1][0] == "20 more rows"
    assert cells(section(card, "### By source and language"))[-1][4] == f"{rest:,}"


def test_totals() -> None:
    rows = dict(cells(render(manifest(), VERSION).split("## Intended")[0])[1:])
    assert "Of 3,200 records read 1,800 (56.2 %) became documents of it" in render(manifest(), VERSION)
    assert rows == {
        "documents": "1,800",
        "text, bytes of UTF-8": "8,888,888 (8.9 MB)",
        "tokens for training": "27,400",
        "tokens held out for validation": "100",
        "tokens read by one run over the mixture": "41,400",
        "records read": "3,200",
        "sources": "2",
        "documents files": "1 (5.0 MB)",
        "shard files": "1 (2.0 kB)",
    }


def test_lengths_are_means_and_ranges() -> None:
    assert cells(section(render(manifest(), VERSION), "## Document lengths"))[1:] == [
        ["books", "15,308.64", "40.80", "16 to 31", "16 to 31"],
        ["cc", "949.67", "5.46", "4 to 7", "16 to 31"],
    ]


def test_the_summary_of_the_funnel_adds_up() -> None:
    text = section(render(manifest(), VERSION), "## From records to documents").split("### ")[0]
    assert cells(text)[1:] == [
        ["books", "700", "0", "700", "200", "0", "500", "71.4 %"],
        ["cc", "2,500", "500", "2,000", "500", "200", "1,300", "52.0 %"],
        ["all", "3,200", "500", "2,700", "700", "200", "1,800", "56.2 %"],
    ]


def test_funnel_of_a_source_in_recipe_order() -> None:
    text = section(render(manifest(), VERSION), "### Source `cc`")
    rows = cells(text)
    assert ["not_a_page", "400", "16.0 %"] in rows
    decisions = rows[[row[0] for row in rows].index("reason") + 1 :]
    assert decisions == [
        ["extracted", "", "", "", "", "2,000,000", "2,000"],
        ["too_short", "50 ≤ n_words ≤ 100,000", "300", "123", "177", "1,000", "1,700"],
        ["not_english", "language is en", "200", "200", "133", "499,000", "1,500"],
        ["noisy", "symbol_share < 0.1", "0", "0", "44", "0", "1,500"],
        ["no_text_left", "", "0", "", "", "0", "1,500"],
        ["exact_duplicate", "", "50", "", "", "60,000", "1,450"],
        ["near_duplicate", "", "150", "", "", "140,000", "1,300"],
        ["kept", "", "", "", "", "1,300,000", "1,300"],
    ]
    assert "1,300,000 bytes as extracted, and 1,234,567 after line rules" in text
    assert "do not add up" not in text


def test_kinds_of_records_that_are_no_page() -> None:
    kinds = {"http_status: 404": 200, "not_html: image/<png>|": 300}
    counts = manifest().counts | {"fate_kinds": {"cc": kinds}, "distinct_fate_kinds": {"cc": 7}}
    text = section(render(manifest(counts=counts), VERSION), "### Source `cc`")
    assert ["http_status", "404", "200"] in cells(text)
    assert ["not_html", shown("image/<png>|"), "300"] in cells(text)
    assert "5 more are not shown." in text


def test_a_limit_for_another_source_is_not_shown() -> None:
    assert "not_english" not in section(render(manifest(), VERSION), "### Source `books`")


def test_limits_of_one_name_for_two_languages_are_one_row() -> None:
    steps = [
        {"type": "limit", "name": "short", "measure": "n_words", "min": n, "where": {"language": [language]}}
        for n, language in ((50, "en"), (20, "de"))
    ]
    counts = {**manifest().counts, "dropped": {"cc": {"short": 700}, "books": {"short": 200}}}
    card = render(manifest(counts=counts, recipe={"steps": steps}), VERSION)
    keeps = "50 ≤ n_words, only for language en; 20 ≤ n_words, only for language de"
    found = [row for row in cells(section(card, "### Source `cc`")) if row[0] == "short"]
    assert [(row[1], row[2], row[-1]) for row in found] == [(keeps, "700", "1,300")]


def test_a_reason_that_the_recipe_does_not_spell_out_is_shown() -> None:
    counts = {**manifest().counts, "dropped": {"cc": {"of_a_preset": 700}, "books": {"too_short": 200}}}
    rows = cells(render(manifest(counts=counts), VERSION))
    assert ["of_a_preset", "", "700", "0", "0", "0", "1,300"] in rows


def test_counts_that_do_not_add_up_are_called_out() -> None:
    counts = {**manifest().counts, "records": {"cc": 2501, "books": 700}}
    card = render(manifest(counts=counts), VERSION)
    assert "do not add up" in section(card, "### Source `cc`")
    assert "do not add up" not in section(card, "### Source `books`")


def test_duplicates_removed_and_cluster_sizes_in_doubling_bins() -> None:
    text = section(render(manifest(), VERSION), "## Duplicates")
    rows = cells(text)
    assert rows[1:4] == [
        ["books", "500", "0", "0", "0.0 %", "0", "0.0 %"],
        ["cc", "1,500", "50", "150", "13.3 %", "200,000", "13.3 %"],
        ["all", "2,000", "50", "150", "10.0 %", "200,000", "2.2 %"],
    ]
    assert rows[5:] == [["2", "10", "20"], ["3 to 4", "6", "19"], ["5 to 8", "2", "10"]]
    assert "18 clusters hold 49 documents; the largest holds 5." in text
    assert "Looked for across all sources: nothing." in text


def test_how_duplicates_were_looked_for() -> None:
    dedup = {"exact": True, "near": True, "scope": "source", "ngram_words": 5, "bands": 14, "rows": 8}
    text = section(render(manifest(recipe={"dedup": dedup}), VERSION), "## Duplicates")
    assert "within each source: equal text, similar text (MinHash of word 5-grams, 14 bands of 8 rows)." in text


def test_other_ways_to_look_for_duplicates_are_told() -> None:
    dedup = {"exact": True, "url": "canonical", "near": True, "scope": "language", "scheme": "affine64"}
    dedup |= {"ngram_words": 3, "bands": 9, "rows": 13, "verify": {"jaccard": 0.8, "by": "shingles"}}
    dedup |= {
        "against": ["data/<b>/0123"],
        "repeat_by_cluster_size": [{"min_size": 2, "times": 3}, {"min_size": 1000, "times": 1}],
    }
    dropped = {"cc": {"url_duplicate": 40, "earlier_duplicate": 10}}
    changed = {"dropped": dropped, "verified": {"compared": 400, "rejected": 100}, "repeats": {"cc": 20}}
    made = manifest(recipe={"dedup": dedup}, counts=manifest().counts | changed)
    text = section(render(made, VERSION), "## Duplicates")
    ways = "equal text, the same canonical address, similar text (64-bit MinHash of word 3-grams, 9 bands of 13 rows)"
    assert f"Looked for within each language: {ways}." in text
    assert cells(text)[0][2:6] == ["equal", "same page", "similar", "in an earlier version"]
    assert cells(text)[2][1:6] == ["1,500", "0", "40", "0", "10"]
    assert "`data/<b>/0123`" in text
    assert "counted over the shingles, is 0.8 or more: of 400 comparisons 100 (25.0 %) were below" in text
    assert "3 times from 2 documents on, 1 times from 1,000 documents on. 20 more copies" in text
    assert "](plots/matching.svg)" in text


def test_personal_data() -> None:
    assert cells(section(render(manifest(), VERSION), "## Personal data")) == [
        ["source", "email", "ip"],
        ["books", "0", "0"],
        ["cc", "17", "3"],
        ["all", "17", "3"],
    ]


def test_tokenizer() -> None:
    rows = cells(section(render(manifest(), VERSION), "## Tokenizer"))
    assert ["vocabulary, ids", "16,384"] in rows
    assert ["words left out of training: below_min_count", "1,000 (25.0 %)"] in rows
    assert rows[[row[0] for row in rows].index("source") + 1 :] == [
        ["cc", "en", "177.30", "5.40", "0.1 %"],
        ["books", "en", "457.52", "51.00", "0.0 %"],
        ["books", "de", "128.30", "25.50", "0.0 %"],
        ["cc", "no", "4.05", "14.00", "50.0 %"],
        ["all", "", "323.23", "15.28", "0.3 %"],
    ]


def test_what_a_tokenizer_leaves_unused_and_loses() -> None:
    facts = {**manifest().tokenizer, "unused_pieces": 1234, "unused_byte_pieces": 56, "least_count": 3, "unk_id": -1}
    text = section(render(manifest(tokenizer={**facts, "lossless": True}), VERSION), "## Tokenizer")
    rows = cells(text)
    assert ["pieces that no training token is", "1,234"] in rows and ["of them single bytes", "56"] in rows
    assert ["occurrences of the rarest of them", "3"] in rows and ["ids of marks", "unk none"] in rows
    assert "loses text" not in text
    counts = {**manifest().counts, "changed_documents": {"cc": 1000, "books": 1}}
    text = section(render(manifest(tokenizer={**facts, "lossless": False}, counts=counts), VERSION), "## Tokenizer")
    assert "This tokenizer loses text, which the recipe allows: decoded again, 1,001 of 1,800 documents" in text


def test_domains_and_how_few_hold_how_much() -> None:
    text = section(render(manifest(), VERSION), "## Domains")
    assert cells(text)[1:] == [[f"site{i:02}.example", str(100 - i), f"{(100 - i) / 13:.1f} %"] for i in range(10)]
    assert "Different hosts: 350. The 10 largest hold 73.5 % of the documents." in text
    assert "2 more of the 350 hosts" in text
    assert "No document has a URL with a host: `books`." in text


def test_dates_and_licences() -> None:
    card = render(manifest(), VERSION)
    assert cells(section(card, "## Dates"))[1:] == [
        ["books", "–", "–", "–", "0", "500"],
        ["cc", "2019", "2024", "2024", "1,000", "300"],
    ]
    assert cells(section(card, "## Licences"))[1:] == [
        ["cc", "not stated", "1,300", "72.2 %", "1,234,567", "13.9 %"],
        ["books", "CC-BY-SA-4.0", "499", "27.7 %", "7,654,000", "86.1 %"],
        ["books", "Gutenberg", "1", "0.1 %", "321", "under 0.1 %"],
    ]


def test_licences_that_the_manifest_cut_are_counted() -> None:
    counts = {**manifest().counts, "distinct_licences": {"cc": 1, "books": 500}}
    counts["licences"] = {"cc": {"": 1300}, "books": {"CC-BY-SA-4.0": 300}}
    counts["licence_bytes"] = {"cc": {"": 1_234_567}, "books": {"CC-BY-SA-4.0": 7_654_000}}
    rows = cells(section(render(manifest(counts=counts), VERSION), "## Licences"))
    assert rows[-1] == ["499 more rows", "", "200", "11.1 %", "321", "under 0.1 %"]


def test_inputs_are_counted_and_the_first_shown() -> None:
    text = section(render(manifest(), VERSION), "### Inputs")
    listed = hashlib.sha256(json.dumps(manifest().inputs, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    assert cells(text)[1:3] == [
        ["books", "0", "0", "0 B", hashlib.sha256(b"[]").hexdigest()],
        ["cc", "25", "25", "25.3 kB", listed],
    ]
    assert cells(text)[4:] == [["cc", f"cc-{i:02}.warc.gz", f"0 to {1000 + i:,}", f"{i:064x}"] for i in range(5)]
    assert "20 more slices are in `manifest.json`." in text


def test_recipe_block_reads_back() -> None:
    recipe = manifest().recipe | {"card": {"summary": "```\nend ````\n\u202e ü\n</details>", "limits": "x"}}
    tokens = READER.parse(render(manifest(recipe=recipe), VERSION))
    (block,) = [t for t in tokens if t.type == "fence" and t.info == "yaml"]
    assert yaml.safe_load(block.content) == recipe
    assert block.content.isascii()


def test_what_the_recipe_leaves_out_is_a_warning() -> None:
    card = render(manifest(), VERSION)
    text = section(card, "## Intended use and limits")
    assert re.findall(r"> \[!WARNING\]\n> .*`card\.(\w+)` is empty", text) == ["limits", "contact"]
    assert "Tests." in text
    assert "`card.summary` is empty" in card.split("## ")[0]


def test_a_card_depends_on_the_manifest_only() -> None:
    """Insertion order and the round trip through JSON change nothing."""

    def turned(value: Any) -> Any:
        return {k: turned(v) for k, v in reversed(value.items())} if isinstance(value, dict) else value

    plain = manifest()
    other = manifest(counts=turned(plain.counts), recipe=turned(plain.recipe), libraries=turned(plain.libraries))
    assert renderings(plain, VERSION) == renderings(other, VERSION)
    lists = manifest(recipe={**plain.recipe, "steps": tuple(plain.recipe["steps"])})
    assert render(lists, VERSION) == render(plain, VERSION)


def test_plots_lie_beside_the_card_and_are_linked() -> None:
    files = renderings(manifest(), VERSION)
    linked = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", files["card.md"].decode())
    assert sorted(files) == sorted(["card.md", "card.html", "croissant.json", "cost.json", *linked])
    assert len(linked) == 6


def test_an_empty_version_has_a_card_and_no_plots() -> None:
    empty = Manifest("none", [], {}, {}, {}, [], [], {}, {}, {}, {}, [], [])
    files = renderings(empty, VERSION)
    assert sorted(files) == ["card.html", "card.md", "cost.json", "croissant.json"]
    card = DatasetCard(files["card.md"].decode())
    assert card.data.size_categories == ["n<1K"]
    assert "](plots/" not in card.text


def test_shares_do_not_round_to_nothing_or_all() -> None:
    assert [share(n, 10_000) for n in (0, 1, 5, 9_994, 9_996, 10_000)] == [
        "0.0 %",
        "under 0.1 %",
        "0.1 %",
        "99.9 %",
        "over 99.9 %",
        "100.0 %",
    ]
    assert share(0, 0) == "–"


def shown(text: str) -> str:
    """`text` with the characters that a card spells out spelled out."""
    return visible(text).replace("|", "(U+007C)")


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_stay_text(value: str) -> None:
    plain = manifest()
    counts = plain.counts | {
        "domains": {"cc": {value: 3}},
        "licences": {"cc": {value: 1300}},
        "languages": {"cc": {value: 1300}},
        "years": {"cc": {value: 1300}},
        "pii": {"cc": {value: 2}},
        "fates": {"cc": {value: 500}},
        "dropped": {"cc": {value: 700}, "books": {"too_short": 200}},
        "records": {"cc": 2500, "books": 700, value: 9},
    }
    inputs = [{"source": value, "path": value, "start": 0, "end": 1, "sha256": value}]
    prose = dict.fromkeys(("summary", "intended_use", "limits", "contact"), value)
    changed = manifest(
        sources=[*plain.sources, value],
        counts=counts,
        inputs=inputs,
        assets={value: value},
        libraries={value: value},
        tokenizer={**plain.tokenizer, "fingerprint": value},
        recipe={**plain.recipe, "card": prose, "sources": {value: {"type": value, "path": value, "licence": value}}},
        mixture=[*plain.mixture, MixtureRow(value, 0.1, 0.1, 1, 1, 1, 1.0)],
    )
    files = renderings(changed, VERSION)
    card = files.pop("card.md").decode()
    body = DatasetCard(card).text
    assert inert(body) == inert(DatasetCard(render(plain, VERSION)).text)
    rows = cells(body)
    for row in ([shown(value), "3", "0.2 %"], [shown(value), shown(value)], ["cc", shown(value), "1,300", "72.2 %"]):
        assert row in [found[: len(row)] for found in rows]
    assert [shown(value), shown(value), "0 to 1", shown(value)] in rows
    assert [shown(value), shown(value), shown(value), shown(value), "1"] in rows
    assert not re.search("[\u202e\x00\u2028]", card)
    for path, drawn in files.items():
        if path.endswith(".svg"):
            ElementTree.fromstring(drawn)


def inert(body: str) -> list[str]:
    """What in a card is more than text: HTML, links, images, headings of sections."""
    tokens = READER.parse(body)
    found = [t.content for t in tokens if t.type == "html_block"]
    found += [t.tag for t in tokens if t.type == "heading_open" and t.tag in ("h1", "h2")]
    inline = [child for t in tokens for child in t.children or []]
    found += [str(c.attrs) for c in inline if c.type in ("html_inline", "link_open", "image", "s_open")]
    return found


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_value_is_one_table_cell(value: str) -> None:
    """What a reader sees is the value, with hidden characters and the pipe spelled out."""
    (_, row) = cells(f"| a | b |\n|---|---|\n| x{escape(value)}x | {code(value)} |")
    assert row == ["x" + visible(value) + "x", shown(value)]
    (paragraph,) = [t for t in READER.parse(f"a {code(value)} b") if t.type == "inline"]
    assert [c.type for c in paragraph.children or []] == ["text", "code_inline", "text"][: 3 if value else 1]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="`|\\ a.<&@", min_size=1, max_size=12))
def test_backticks_pipes_and_backslashes_stay_in_their_cell(value: str) -> None:
    (_, row) = cells(f"| a | b |\n|---|---|\n| {code(value)} | y |")
    assert row == [shown(value), "y"]


def test_addresses_are_not_turned_into_links() -> None:
    """GitHub and the Hub make links of these in text, whether or not they are written as character references."""
    for value in ("www.evil.example", "http://evil.example/", "someone@evil.example"):
        assert code(value) == f"`{value}`"


def test_long_values_are_cut() -> None:
    assert escape("a" * 500) == "a" * 120 + "…"
    assert code("a" * 500) == "`" + "a" * 120 + "…`"


def test_prose_keeps_paragraphs_and_lists_and_makes_no_heading() -> None:
    html = READER.render(prose("One.\n\n- two\n- <b>three</b>\n\nTitle\n---\nor\n==="))
    assert html.count("<li>") == 2 and "<b>" not in html and "<h" not in html


def test_a_fence_outlasts_what_it_holds() -> None:
    (block,) = READER.parse(fenced("a\n`````\nb", "text"))
    assert block.content == "a\n`````\nb\n"
