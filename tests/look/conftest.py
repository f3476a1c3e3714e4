"""A version made once for all tests of readers of versions."""

import json
from pathlib import Path

import pytest

from tests.small_dataset import article, run_pipeline, write_small_recipe


@pytest.fixture(scope="session")
def small_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a version of the small recipe; `recipe.yaml` lies three folders up."""
    folder = tmp_path_factory.mktemp("small")
    done = run_pipeline("run", write_small_recipe(folder), "--output", folder / "out", "--workers", "2")
    assert done.returncode == 0, done.stderr
    dataset = folder / "out" / "small"
    return dataset / (dataset / "latest").read_text().strip()


WEB = """\
name: web
seed: 1
sources:
  web: {type: commoncrawl, snapshot: sample}
  rows: {type: tables, path: "FOLDER/rows.jsonl", url_column: url, title_column: title}
url: {deny_words: [casino]}
extract:
  looks:
    - {measure: language, one_of: [en]}
    - {measure: language_score, min: 0.4}
    - {measure: n_words, min: 50}
steps:
  - {type: preset, name: datatrove-0.10, where: {source: [web]}}
mixture: {weights: {web: 0.8, rows: 0.2}, max_epochs: 50, tolerance: 0.5}
tokenizer: {vocab_size: 700}
packing: {seq_len: 128, validation_share: 0.05}
"""
HOSTILE = "\x1b[31mred\x1b]0;title\x07 \u202egnp.exe\u202c \u2066x\u2069 \x9b2J \u200b\u2028 <b> é"
"""Colours, a window's title, bidirectional overrides, a C1 control, an invisible space, a line separator."""


@pytest.fixture(scope="session")
def web_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version of the sample crawl, with looks, FineWeb's Limits and a source of hostile strings."""
    folder = tmp_path_factory.mktemp("web")
    rows = [
        {"text": f"{HOSTILE} {article(n)}", "url": f"https://evil.example/{n}?q={HOSTILE}", "title": HOSTILE}
        for n in range(12)
    ]
    rows += [{"text": f"{article(99)}\nsomeone.real@mailhost.net", "url": "", "title": ""}] * 2
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (folder / "recipe.yaml").write_text(WEB.replace("FOLDER", str(folder)))
    done = run_pipeline("run", folder / "recipe.yaml", "--output", folder / "out", "--workers", "2")
    assert done.returncode == 0, done.stderr
    dataset = folder / "out" / "web"
    return dataset / (dataset / "latest").read_text().strip()
