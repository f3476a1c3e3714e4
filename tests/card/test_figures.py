"""Every figure of a card, counted again by other means: polars, sentencepiece and hashlib over the files of the version
and over the raw input. A table that is added to the card must be added here."""

import hashlib
import importlib.util
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import sentencepiece
from markdown_it import MarkdownIt

from pipeline.manifest import Manifest, load_manifest
from tests.small_dataset import article, run_pipeline

WORDS = {
    "de": "der Fluss trägt das alte Boot über die lange Brücke und niemand weiß warum das Wetter sich heute ändert",
    "fr": "la rivière porte le vieux bateau sous le pont et personne ne sait pourquoi le temps change aujourd'hui",
}
LICENCES = ("CC-BY-4.0", "MIT", "")
SHORT, HASHES = 100, 10


def foreign(language: str, seed: int) -> str:
    random_ = random.Random(seed)
    lines = (" ".join(random_.choice(WORDS[language].split()) for _ in range(12)).capitalize() for _ in range(20))
    return ".\n".join(f"{line} {random_.randrange(10**6)}" for line in lines)


def rows() -> list[dict[str, str]]:
    """Documents in three languages; some are copies, short, full of hashes, or both."""
    texts = [(article(seed), f"https://host{seed % 7}.example/{seed}") for seed in range(90)]
    texts += [(foreign("de", seed), f"https://de{seed % 3}.example/{seed}") for seed in range(30)]
    texts += [(foreign("fr", seed), f"https://fr.example/{seed}") for seed in range(12)]
    texts += [(article(seed), f"https://copy.example/{seed}") for seed in range(6)]
    texts += [(article(3) + "!", "https://copy.example/near")]
    texts += [(f"Too short, number {n}.", f"https://short.example/{n}") for n in range(5)]
    texts += [("#" * 20 + str(n), f"https://hashes.example/{n}") for n in range(3)]
    texts += [(article(700 + n) + " #" * 30, f"https://hashes.example/long{n}") for n in range(4)]
    texts += [(article(800) + "\nWrite to some.body@mailhost.net or to 9.9.9.9.", "https://mail.example/")]
    return [
        {"text": text, "url": url, "date": f"{2019 + n % 4}-05-01" if n % 5 else "", "licence": LICENCES[n % 3]}
        for n, (text, url) in enumerate(texts)
    ]


@dataclass
class Made:
    """A version and its card, and the raw rows by source."""

    folder: Path
    manifest: Manifest
    card: str
    raw: dict[str, pl.DataFrame]

    def tables(self, kind: str) -> pl.DataFrame:
        return pl.concat([pl.read_parquet(self.folder / f.path) for f in self.manifest.files if f.kind == kind])

    def rows(self, title: str, table: int = 0) -> list[list[str]]:
        """The body of a table in the section under the heading `title`."""
        level = title.split(" ")[0]
        text = re.split(rf"\n#{{1,{len(level)}}} ", self.card.split(f"\n{title}\n", 1)[1], maxsplit=1)[0]
        return tables_in(text)[table][1:]


def tables_in(text: str) -> list[list[list[str]]]:
    found: list[list[list[str]]] = []
    in_table = False
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            found.append([])
        if token.type == "tr_open":
            found[-1].append([])
        in_table = token.type == "table_open" or (in_table and token.type != "table_close")
        if token.type == "inline" and in_table:
            found[-1][-1].append("".join(child.content for child in token.children or []))
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("figures")
    raw = {"web": rows(), "notes": [{"text": article(seed, 40)} for seed in range(2000, 2040)]}
    raw["notes"].append({"text": article(50)})  # a copy of a document of `web`, which comes first
    for name, lines in raw.items():
        path = folder / f"{name}.jsonl"
        path.write_text("\n".join(json.dumps(line) for line in lines) + ("\nnot json\n" if name == "notes" else "\n"))
    (folder / "recipe.yaml").write_text(
        f"""\
name: figures
seed: 4
sources:
  web:
    {{type: tables, path: "{folder}/web.jsonl", url_column: url, date_column: date, licence_column: licence}}
  notes: {{type: tables, path: "{folder}/notes.jsonl", licence: CC0-1.0}}
steps:
  - {{type: limit, name: not_french, measure: language, one_of: [en, de], where: {{source: [web]}}}}
  - {{type: limit, name: short, measure: n_chars, min: {SHORT}}}
  - {{type: limit, name: hashes, measure: n_hashes, max: {HASHES}}}
mixture: {{weights: {{web: 3, notes: 1}}, max_epochs: 3, tolerance: 0.03}}
tokenizer: {{vocab_size: 700}}
packing: {{seq_len: 64, validation_share: 0.1}}
card: {{summary: Planted., limits: Small.}}
"""
    )
    done = run_pipeline("run", folder / "recipe.yaml", "--output", folder / "datasets")
    assert done.returncode == 0, done.stderr
    version = folder / "datasets" / "figures" / (folder / "datasets" / "figures" / "latest").read_text().strip()
    frames = {name: pl.DataFrame(lines) for name, lines in raw.items()}
    return Made(version, load_manifest(version), (version / "card.md").read_text(), frames)


@pytest.fixture(scope="module")
def documents(made: Made) -> pl.DataFrame:
    """The documents with their bytes and tokens, and the split in whose shards they are."""
    model = sentencepiece.SentencePieceProcessor(model_file=str(made.folder / "tokenizer" / "tokenizer.model"))
    found = made.tables("documents").with_columns(n_bytes=pl.col("text").str.len_bytes())
    encoded: list[list[int]] = model.encode(found["text"].to_list())
    splits: dict[bytes, str] = {}
    for file in made.manifest.files:
        if file.kind == "shard":
            batches = pa.ipc.open_file(made.folder / file.path).read_all()
            splits |= {key: file.split for ids in batches["ids"].to_pylist() for key in ids}
    return found.with_columns(
        tokens=pl.Series([2 + len(ids) for ids in encoded]),  # with the marks of begin and end
        single_bytes=pl.Series([sum(map(model.is_byte, ids)) for ids in encoded]),
        split=pl.Series([splits[key] for key in found["id"]]),
    )


@pytest.fixture(scope="module")
def read(made: Made) -> dict[str, tuple[int, int]]:
    """Source -> (rows read, rows there are), of one run over the mixture as the trainer orders it."""
    import numpy as np

    from training.data import Dataset
    from training.order import RowOrder

    order = RowOrder(made.manifest.mixture, seed=5)
    cells, _ = order.at(np.arange(order.n_rows))
    n_read = Counter(order.plan[cell].cell for cell in cells.tolist())
    return {name: (n_read[name], len(found)) for name, found in Dataset(made.folder).train.items()}


def per_cent(part: float, whole: float) -> str:
    text = f"{100 * part / whole:.1f} %"
    if text == "0.0 %" and part:
        return "under 0.1 %"
    return "over 99.9 %" if text == "100.0 %" and part < whole else text


def test_no_table_is_left_out_of_these_tests(made: Made) -> None:
    sections = [part for part in re.split(r"^#{1,3} ", made.card, flags=re.M) if tables_in(part)]
    assert [part.split("\n", 1)[0] for part in sections] == [
        *("figures", "Sources", "Mixture", "By source and language", "Languages", "Document lengths"),
        *("From records to documents", "Source `web`", "Source `notes`", "Duplicates", "Personal data", "Tokenizer"),
        *("Hosts of `web`", "Dates", "Licences", "Libraries", "Assets", "Inputs", "What it cost"),
    ]


def test_totals(made: Made, documents: pl.DataFrame, read: dict[str, tuple[int, int]]) -> None:
    found = dict(tables_in(made.card.split("## ")[0])[0][1:])
    n_bytes = documents["n_bytes"].sum()
    by_split = dict(documents.group_by("split").agg(pl.col("tokens").sum()).iter_rows())
    assert found.pop("documents") == f"{len(documents):,}"
    assert found.pop("text, bytes of UTF-8").startswith(f"{n_bytes:,} (")
    assert found.pop("tokens for training") == f"{by_split['train']:,}"
    assert found.pop("tokens held out for validation") == f"{by_split['validation']:,}"
    assert found.pop("tokens read by one run over the mixture") == f"{sum(tokens_read(documents, read).values()):,}"
    assert found.pop("records read") == f"{len(made.tables('decisions')):,}"
    assert found.pop("sources") == "2"
    for name, text in found.items():
        kind = {
            "documents": "documents/*",
            "shard": "shards/*/*",
            "tokenizer": "tokenizer/*",
            "decisions": "decisions/*",
            "signatures": "signatures/*",
        }
        files = list(made.folder.glob(kind[name.removesuffix(" files")]))
        assert text == f"{len(files)} ({sum(f.stat().st_size for f in files) / 1000:.1f} kB)"


def tokens_read(documents: pl.DataFrame, read: dict[str, tuple[int, int]]) -> dict[str, int]:
    train = documents.filter(split="train")
    tokens = dict(train.group_by("source").agg(pl.col("tokens").sum()).iter_rows())
    return {name: round(tokens[name] * rows / available) for name, (rows, available) in read.items()}


def test_mixture(made: Made, documents: pl.DataFrame, read: dict[str, tuple[int, int]]) -> None:
    n_read = tokens_read(documents, read)
    expected = []
    for name, weight in (("web", 0.75), ("notes", 0.25)):
        own = documents.filter(source=name)
        realised = n_read[name] / sum(n_read.values())
        epochs = read[name][0] / read[name][1]
        numbers = (len(own), own["n_bytes"].sum(), own["tokens"].sum(), n_read[name])
        expected.append(
            [name, per_cent(weight, 1), per_cent(realised, 1), *(f"{n:,}" for n in numbers), f"{epochs:.2f}"]
        )
    numbers = (len(documents), documents["n_bytes"].sum(), documents["tokens"].sum(), sum(n_read.values()))
    assert made.rows("## Mixture") == [*expected, ["all", "", "", *(f"{n:,}" for n in numbers), ""]]


def test_the_realised_mix_is_what_a_trainer_reads(made: Made, read: dict[str, tuple[int, int]]) -> None:
    """Tokens of all rows of one pass, counted batch by batch."""
    from training.data import Batches, Dataset

    batches = Batches(Dataset(made.folder), seed=5, context=64)
    _, n_tokens = batches.at(0, sum(rows for rows, _ in read.values()))
    for row in made.manifest.mixture:
        assert n_tokens[row.cell] / sum(n_tokens.values()) == pytest.approx(row.share, abs=0.01)
        assert n_tokens[row.cell] == pytest.approx(row.tokens, rel=0.05)


def test_by_source_and_language(made: Made, documents: pl.DataFrame, read: dict[str, tuple[int, int]]) -> None:
    n_read, weights = tokens_read(documents, read), {"web": 0.75, "notes": 0.25}
    expected = []
    for (name, language), own in documents.group_by("source", "language"):
        train = documents.filter(source=name, split="train")
        part = own.filter(split="train")["tokens"].sum() / train["tokens"].sum()
        share = n_read[name] / sum(n_read.values())
        numbers = (len(own), own["n_bytes"].sum(), own["tokens"].sum(), round(n_read[name] * part))
        shares = (per_cent(weights[name] * part, 1), per_cent(share * part, 1))
        epochs = read[name][0] / read[name][1]
        expected.append([name, language, *shares, *(f"{n:,}" for n in numbers), f"{epochs:.2f}"])
    expected.sort(key=lambda row: -int(row[-2].replace(",", "")))
    assert made.rows("### By source and language") == expected
    assert {row[1] for row in expected} >= {"en", "de"}


def test_languages(made: Made, documents: pl.DataFrame) -> None:
    sums = documents.group_by("language").agg(pl.len(), pl.col("n_bytes").sum(), pl.col("tokens").sum())
    n, tokens = len(documents), documents["tokens"].sum()
    assert made.rows("## Languages") == [
        [language, f"{k:,}", per_cent(k, n), f"{size:,}", f"{t:,}", per_cent(t, tokens)]
        for language, k, size, t in sums.sort("len", descending=True).iter_rows()
    ]


def test_lengths(made: Made, documents: pl.DataFrame) -> None:
    expected = []
    for name in ("web", "notes"):
        own = documents.filter(source=name)
        middle, longest = own["tokens"].quantile(0.5, "lower"), own["tokens"].max()
        spans = [f"{1 << k:,} to {(2 << k) - 1:,}" for k in (int(n).bit_length() - 1 for n in (middle, longest))]
        expected.append([name, f"{own['n_bytes'].mean():,.2f}", f"{own['tokens'].mean():,.2f}", *spans])
    assert made.rows("## Document lengths") == expected


def failures(made: Made, source: str) -> pl.DataFrame:
    """The Limits that each raw row fails. Language is what the recipe's author wrote the text in."""
    french = pl.col("text").str.contains("rivière|personne") if source == "web" else pl.lit(False)
    return made.raw[source].select(
        n_bytes=pl.col("text").str.len_bytes(),
        not_french=french,
        short=pl.col("text").str.len_chars() < SHORT,
        hashes=pl.col("text").str.count_matches("#") > HASHES,
    )


def test_funnel_of_each_limit(made: Made) -> None:
    for source, n_fates in (("web", 0), ("notes", 1)):
        failed = failures(made, source)
        names = ["not_french", "short", "hashes"] if source == "web" else ["short", "hashes"]
        decisions = made.tables("decisions").filter(source=source)
        reasons = Counter(decisions["reason"].to_list())
        left = len(failed)
        expected = []
        for place, name in enumerate(names):
            others = [pl.col(n) for n in names if n != name]
            first = failed.filter(pl.col(name) & ~pl.any_horizontal(*map(pl.col, names[:place]), pl.lit(False)))
            alone = failed.filter(pl.col(name) & ~pl.any_horizontal(*others))
            together = failed.filter(pl.col(name) & pl.any_horizontal(*others))
            left -= len(first)
            assert len(first) == reasons[name]
            numbers = (len(first), len(alone), len(together), first["n_bytes"].sum(), left)
            expected.append([name, *(f"{n:,}" for n in numbers)])
        found = made.rows(f"### Source `{source}`", table=1)
        assert [[row[0], *row[2:]] for row in found[1 : 1 + len(names)]] == expected
        assert found[0][-2:] == [f"{failed['n_bytes'].sum():,}", f"{len(failed):,}"]
        copies = [row for row in found if row[0].endswith("duplicate")]
        assert [row[2] for row in copies] == [str(reasons["exact_duplicate"]), str(reasons["near_duplicate"])]
        assert found[-1][-1] == str(reasons[""])
        fates = made.rows(f"### Source `{source}`", table=0)
        assert [row[1] for row in fates] == [
            str(len(decisions)), *(["1"] if n_fates else []), str(len(decisions) - n_fates)
        ]  # fmt: skip


def test_summary_of_the_funnel(made: Made) -> None:
    decisions = made.tables("decisions")
    expected = []
    for sources in (["web"], ["notes"], ["web", "notes"]):
        reasons = decisions.filter(pl.col("source").is_in(sources))["reason"].to_list()
        copies = sum(reason.endswith("_duplicate") for reason in reasons)
        fates = sum(reason == "bad_json" for reason in reasons)
        kept = reasons.count("")
        numbers = (len(reasons), fates, len(reasons) - fates, len(reasons) - fates - copies - kept, copies, kept)
        expected.append([*(f"{n:,}" for n in numbers), per_cent(kept, len(reasons))])
    assert [row[1:] for row in made.rows("## From records to documents")] == expected


def test_duplicates(made: Made) -> None:
    decisions = made.tables("decisions")
    web = made.raw["web"].with_columns(n_bytes=pl.col("text").str.len_bytes())
    in_web = decisions.filter(source="web").join(web, on="url")
    passed = in_web.filter(~pl.col("reason").is_in(["not_french", "short", "hashes"]))
    copies = passed.filter(pl.col("reason").str.ends_with("_duplicate"))
    exact, near = (copies["reason"].to_list().count(f"{kind}_duplicate") for kind in ("exact", "near"))
    assert exact + near == 7
    n_bytes, whole = copies["n_bytes"].sum(), passed["n_bytes"].sum()
    removed = (per_cent(len(copies), len(passed)), f"{n_bytes:,}", per_cent(n_bytes, whole))
    assert made.rows("## Duplicates")[0] == ["web", str(len(passed)), str(exact), str(near), *removed]
    clusters = decisions.filter(pl.col("reason").is_in(["", "exact_duplicate", "near_duplicate"]))
    sizes = Counter(n for (n,) in clusters.group_by("survivor").len().select("len").iter_rows() if n > 1)
    bins = {"2": sizes[2], "3 to 4": sizes[3] + sizes[4]}
    held = {"2": 2 * sizes[2], "3 to 4": 3 * sizes[3] + 4 * sizes[4]}
    assert sum(sizes.values()) == sum(bins.values())
    assert made.rows("## Duplicates", table=1) == [[k, str(n), str(held[k])] for k, n in bins.items() if n]


def test_personal_data(made: Made, documents: pl.DataFrame) -> None:
    (mail,) = documents.filter(pl.col("text").str.contains("Write to"))["text"].to_list()
    assert "mailhost" not in mail and "9.9.9.9" not in mail
    assert made.rows("## Personal data") == [["web", "1", "1"], ["notes", "0", "0"], ["all", "1", "1"]]


def test_tokenizer(made: Made, documents: pl.DataFrame) -> None:
    model = sentencepiece.SentencePieceProcessor(model_file=str(made.folder / "tokenizer" / "tokenizer.model"))
    facts = dict(made.rows("## Tokenizer"))
    assert facts["vocabulary, ids"] == str(model.get_piece_size())
    marks = {"unk": model.unk_id(), "bos": model.bos_id(), "eos": model.eos_id(), "pad": model.pad_id()}
    assert facts["ids of marks"] == ", ".join(f"{name} {n}" for name, n in marks.items())
    pieces = [model.id_to_piece(n) for n in range(len(model)) if not model.is_byte(n) and not model.is_control(n)]
    own = [piece for piece in pieces if piece not in ("<unk>", "\n", "\t")]
    assert facts["of them pieces of one character"] == str(sum(len(piece) == 1 for piece in own))
    assert facts["of them pieces of several characters"] == str(sum(len(piece) > 1 for piece in own))
    assert f"The kept documents are {documents['tokens'].sum():,} tokens" in made.card
    expected = {}
    for (name, language), group in documents.group_by("source", "language"):
        tokens, single = group["tokens"].sum(), group["single_bytes"].sum()
        rates = (f"{group['n_bytes'].sum() / tokens:.2f}", f"{tokens / len(group):,.2f}", per_cent(single, tokens))
        expected[name, language] = list(rates)
    found = made.rows("## Tokenizer", table=1)
    assert {(row[0], row[1]): row[2:] for row in found[:-1]} == expected
    tokens = documents["tokens"].sum()
    rates = (documents["n_bytes"].sum() / tokens, tokens / len(documents))
    assert found[-1][2:4] == [f"{rate:.2f}" for rate in rates]


def test_domains(made: Made, documents: pl.DataFrame) -> None:
    web = documents.filter(source="web").with_columns(host=pl.col("url").str.extract("//([^/]+)"))
    hosts = web.group_by("host").len().sort(["len", "host"], descending=[True, False])
    largest = hosts.head(10)
    assert made.rows("### Hosts of `web`") == [[h, str(n), per_cent(n, len(web))] for h, n in largest.iter_rows()]
    top = per_cent(largest["len"].sum(), len(web))
    assert f"Different hosts: {len(hosts)}. The 10 largest hold {top} of the documents." in made.card


def test_dates_and_licences(made: Made, documents: pl.DataFrame) -> None:
    years = documents.filter(source="web")["date"].str.head(4).to_list()
    dated = Counter(year for year in years if year)
    most = min(dated, key=lambda year: (-dated[year], year))
    assert made.rows("## Dates") == [
        ["web", min(dated), max(dated), most, str(sum(dated.values())), str(years.count(""))],
        ["notes", "–", "–", "–", "0", str(len(documents.filter(source="notes")))],
    ]
    n, size = len(documents), documents["n_bytes"].sum()
    sums = documents.group_by("source", "licence").agg(pl.len(), pl.col("n_bytes").sum())
    ordered = sums.sort(["len", "source", "licence"], descending=[True, False, False])
    assert made.rows("## Licences") == [
        [source, licence or "not stated", str(k), per_cent(k, n), f"{b:,}", per_cent(b, size)]
        for source, licence, k, b in ordered.iter_rows()
    ]


def test_inputs_and_sources(made: Made) -> None:
    expected = []
    for name in ("web", "notes"):
        data = (made.folder.parents[2] / f"{name}.jsonl").read_bytes()
        expected.append([name, f"{name}.jsonl", f"0 to {len(data):,}", hashlib.sha256(data).hexdigest()])
    assert made.rows("### Inputs", table=1) == expected
    assert [row[1:3] for row in made.rows("### Inputs")] == [["1", "1"], ["1", "1"]]
    assert [row[-2:] for row in made.rows("## Sources")] == [["by record", "1"], ["CC0-1.0", "1"]]


def test_plots_lie_in_the_version(made: Made) -> None:
    for path in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", made.card):
        assert (made.folder / path).read_bytes().startswith(b"<svg ")


def snippets(card: str, language: str) -> list[str]:
    return [t.content for t in MarkdownIt("commonmark").parse(card) if t.type == "fence" and t.info == language]


@pytest.mark.parametrize("library", ["datasets", "polars", "pyarrow", "pipeline", "training"])
def test_the_lines_that_load_it_run(made: Made, library: str, tmp_path: Path) -> None:
    """From the folder that holds `datasets`, as the card says."""
    (code,) = [
        s for s in snippets(made.card, "python") if re.search(rf"^(?:from|import) {library}\b(?!\.tok)", s, re.M)
    ]
    found = importlib.util.find_spec(library)
    if found is None or found.origin is None:  # a folder called `datasets` would do for a namespace
        pytest.skip(f"{library} is not installed")
    places = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=made.folder.parents[2],
        env={**os.environ, **places},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_command_that_verifies_it_runs(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made.folder.parents[2])
    (lines,) = snippets(made.card, "sh")
    train, verify = (line.split()[1:] for line in lines.splitlines())
    assert train[0] == "train" and Path(train[-1]).is_dir()
    assert run_pipeline(*verify).returncode == 0


def test_the_same_card_from_the_manifest_on_disk(made: Made) -> None:
    from pipeline.card.markdown import renderings

    spent = json.loads((made.folder / "cost.json").read_bytes())
    files: dict[str, Any] = renderings(made.manifest, made.folder.name, spent)
    assert {name: (made.folder / name).read_bytes() for name in files} == files
