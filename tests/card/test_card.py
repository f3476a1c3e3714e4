"""The card shows the manifest's figures, and nothing that stands in the data can act as Markdown, HTML or YAML."""

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipeline.card.escape import code, escape, fenced, prose
from pipeline.card.front_matter import licences, size_category
from pipeline.card.markdown import render
from pipeline.manifest import CellTotals, DataFile, Manifest, MixtureRow

VERSION = "0123456789abcdef"
READER = MarkdownIt("commonmark").enable("table").enable("strikethrough")
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
            DataFile("documents/00000.parquet", "documents", "ab", 5_000_000, 1600),
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
            "utf8_bytes": {"cc": 1_234_567, "books": 7_654_321},
            "languages": {"cc": {"en": 1290, "no": 10}, "books": {"en": 300, "de": 200}},
            "pii": {"cc": {"email": 17, "ip": 3}},
            "licences": {"cc": {"": 1300}, "books": {"CC-BY-SA-4.0": 499, "Gutenberg": 1}},
            "domains": {"cc": {f"site{i:02}.example": 100 - i for i in range(12)}},
            "cluster_sizes": {"2": 10, "3": 5, "4": 1, "5": 2},
        },
        histograms={},
        tokenizer={"type": "bpe", "vocab_size": 16384, "fingerprint": "f00d", "share_left_out": 0.25},
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
    assert data.license == ["cc-by-sa-4.0", "other", "unknown"]
    assert data.size_categories == ["1K<n<10K"]
    assert "gristmill" in data.tags


def test_norwegian_stays_a_language_in_yaml() -> None:
    counts = {**manifest().counts, "languages": {"cc": {"no": 5}}}
    assert DatasetCard(render(manifest(counts=counts), VERSION)).data.language == ["no"]


@pytest.mark.parametrize(
    ("n", "name"), [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**12 - 1, "100B<n<1T"), (10**12, "n>1T")]
)
def test_size_category(n: int, name: str) -> None:
    assert size_category(n) == name


def test_licence_identifiers() -> None:
    assert licences({"MIT": 1, "none of them": 2, "": 3, "Apache-2.0": 0}) == ["mit", "other", "unknown"]
    assert licences({}) == ["unknown"]


def test_mixture_shows_plan_and_result() -> None:
    rows = {row[0]: row[1:] for row in cells(section(render(manifest(), VERSION), "## Mixture"))}
    assert rows["cc"] == ["50.0 %", "49.6 %", "1,300", "1,234,567", "7,100", "21,000", "3.00"]
    assert rows["books"] == ["50.0 %", "50.4 %", "500", "7,654,321", "20,400", "20,400", "1.00"]


def test_totals() -> None:
    rows = dict(cells(render(manifest(), VERSION).split("## Intended")[0])[1:8])
    assert rows["documents"] == "1,800"
    assert rows["tokens for training"] == "27,400"
    assert rows["tokens held out for validation"] == "100"
    assert rows["documents files"] == "1 (5.0 MB)"


def test_funnel_of_a_source_in_recipe_order() -> None:
    text = section(render(manifest(), VERSION), "### `cc`")
    rows = cells(text)
    assert ["not_a_page", "400", "16.0 %"] in rows
    decisions = rows[[row[0] for row in rows].index("reason") + 1 :]
    assert decisions == [
        ["extracted", "", "", "", "", "2,000"],
        ["too_short", "50 ≤ n_words ≤ 100,000", "300", "300", "123", "1,700"],
        ["not_english", "language is en", "200", "333", "200", "1,500"],
        ["noisy", "symbol_share < 0.1", "0", "44", "0", "1,500"],
        ["no_text_left", "", "0", "", "", "1,500"],
        ["exact_duplicate", "", "50", "", "", "1,450"],
        ["near_duplicate", "", "150", "", "", "1,300"],
        ["kept", "", "", "", "", "1,300"],
    ]
    assert "do not add up" not in text


def test_a_limit_for_another_source_is_not_shown() -> None:
    assert "not_english" not in section(render(manifest(), VERSION), "### `books`")


def test_a_reason_that_the_recipe_does_not_spell_out_is_shown() -> None:
    counts = {**manifest().counts, "dropped": {"cc": {"of_a_preset": 700}, "books": {"too_short": 200}}}
    assert ["of_a_preset", "", "700", "0", "0", "1,300"] in cells(render(manifest(counts=counts), VERSION))


def test_counts_that_do_not_add_up_are_called_out() -> None:
    counts = {**manifest().counts, "records": {"cc": 2501, "books": 700}}
    card = render(manifest(counts=counts), VERSION)
    assert "do not add up" in section(card, "### `cc`")
    assert "do not add up" not in section(card, "### `books`")


def test_cluster_sizes_in_doubling_bins() -> None:
    rows = cells(section(render(manifest(), VERSION), "## Duplicates"))[1:]
    assert rows == [["2", "10", "20"], ["3 to 4", "6", "19"], ["5 to 8", "2", "10"]]


def test_personal_data_tokenizer_domains_licences() -> None:
    card = render(manifest(), VERSION)
    assert cells(section(card, "## Personal data")) == [
        ["source", "email", "ip"],
        ["books", "0", "0"],
        ["cc", "17", "3"],
    ]
    assert ["share_left_out", "0.25"] in cells(section(card, "## Tokenizer"))
    assert ["cc", "1,300", "7,100", "173.88"] in cells(section(card, "## Tokenizer"))
    assert [row[0] for row in cells(section(card, "## Domains"))[1:]] == [f"site{i:02}.example" for i in range(10)]
    assert ["cc", "not stated", "1,300"] in cells(section(card, "## Licences"))


def test_inputs_are_counted_and_the_first_shown() -> None:
    text = section(render(manifest(), VERSION), "### Inputs")
    assert "25.3 kB were read, as stored; slices: 25, files: 25." in text
    assert cells(text)[1] == ["cc", "cc-00.warc.gz", "0 to 1,000", "0" * 64]
    assert len(cells(text)) == 1 + 20


def test_recipe_block_reads_back() -> None:
    recipe = manifest().recipe | {"card": {"summary": "```\nend ````\n\u202e ü", "limits": "x"}}
    tokens = READER.parse(render(manifest(recipe=recipe), VERSION))
    (block,) = [t for t in tokens if t.type == "fence" and t.info == "yaml"]
    assert yaml.safe_load(block.content) == recipe
    assert block.content.isascii()


def test_python_examples_compile() -> None:
    blocks = [t.content for t in READER.parse(render(manifest(), VERSION)) if t.type == "fence" and t.info == "python"]
    assert len(blocks) == 3
    for block in blocks:
        compile(block, "card", "exec")
    assert f"'datasets/tiny/{VERSION}/shards/train/cc-00000.arrow'" in blocks[2]


def test_what_the_recipe_leaves_out_is_a_warning() -> None:
    text = section(render(manifest(), VERSION), "## Intended use and limits")
    assert re.findall(r"`card\.(\w+)` is empty", text) == ["limits", "contact"]
    assert "[!WARNING]" in text and "Tests." in text


def test_a_card_depends_on_the_manifest_only() -> None:
    """Insertion order and the round trip through JSON change nothing."""

    def turned(value: Any) -> Any:
        return {k: turned(v) for k, v in reversed(value.items())} if isinstance(value, dict) else value

    plain = manifest()
    other = manifest(counts=turned(plain.counts), recipe=turned(plain.recipe), libraries=turned(plain.libraries))
    assert render(plain, VERSION) == render(other, VERSION)
    lists = manifest(recipe={**plain.recipe, "steps": tuple(plain.recipe["steps"])})
    assert render(lists, VERSION) == render(plain, VERSION)


def test_an_empty_version_has_a_card() -> None:
    empty = Manifest("none", [], {}, {}, {}, [], [], {}, {}, {}, {}, [], [])
    assert DatasetCard(render(empty, VERSION)).data.size_categories == ["n<1K"]


def visible(text: str) -> str:
    """`text` with the characters that a card spells out spelled out."""
    return "".join(f"(U+{ord(c):04X})" if c in "\n\x00\u2028\u202e" else c for c in text)


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_stay_text(value: str) -> None:
    plain = manifest()
    counts = plain.counts | {
        "domains": {"cc": {value: 3}},
        "licences": {"cc": {value: 1300}},
        "languages": {"cc": {value: 1300}},
        "pii": {"cc": {value: 2}},
        "fates": {"cc": {value: 500}},
        "records": {"cc": 2500, "books": 700, value: 0},
    }
    inputs = [{"source": value, "path": value, "start": 0, "end": 1, "sha256": value}]
    assets, cards = {value: value}, dict.fromkeys(("summary", "intended_use", "limits", "contact"), value)
    card = render(manifest(counts=counts, inputs=inputs, assets=assets, recipe=plain.recipe | {"card": cards}), VERSION)
    body = DatasetCard(card).text
    tokens = READER.parse(body)
    kinds = {t.type for t in tokens} | {c.type for t in tokens for c in t.children or []}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "s_open"}
    clean = READER.parse(DatasetCard(render(plain, VERSION)).text)
    titles = {t.map[0] for t in tokens if t.type == "heading_open" and t.map and t.tag in ("h1", "h2")}
    assert len(titles) == len([t for t in clean if t.type == "heading_open" and t.tag in ("h1", "h2")])
    rows = cells(body)
    assert [visible(value), "3"] in rows
    assert ["cc", visible(value), "1,300"] in rows
    assert [visible(value), visible(value), "0 to 1", visible(value)] in rows
    assert "\u202e" not in card and "\x00" not in card


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_value_is_one_table_cell(value: str) -> None:
    (_, row) = cells(f"| a | b |\n|---|---|\n| x{escape(value)}x | {code(value)} |")
    assert len(row) == 2
    assert "\n" not in escape(value)
    shown = "".join(re.sub(r"\(U\+[0-9A-F]+\)", "", row[0])[1:-1].split())
    assert set(shown) <= set(value) | set("(U+0123456789ABCDEF)")


def test_long_values_are_cut() -> None:
    assert escape("a" * 500) == "a" * 120 + "…"
    assert code("a" * 500) == "a" * 120 + "…"


def test_prose_keeps_paragraphs_and_lists() -> None:
    html = READER.render(prose("One.\n\n- two\n- <b>three</b>"))
    assert html.count("<li>") == 2 and "<b>" not in html


def test_a_fence_outlasts_what_it_holds() -> None:
    (block,) = READER.parse(fenced("a\n`````\nb", "text"))
    assert block.content == "a\n`````\nb\n"
