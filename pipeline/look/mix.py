"""What there is of each Cell to mix, from the newest stage that has all its Parts; nothing is run.

- After Pack: what was packed, exact.
- After Tokenizer: a source's word counts times the ids of each word, and two marks for each document. That is the
  number of its tokens, since no piece of a tokenizer that was trained on these words reaches over a cut between two
  (`pipeline.text.words`); only around words beyond `MAX_WORD_CHARS` it may differ by a few ids. A tokenizer that was
  brought along may have longer pieces. How much of a source is held out for validation, and how it is divided among its
  Cells, is not in word counts: the first is expected, the second goes by bytes or characters.
- After Select: bytes of clean text, at `BYTES_PER_TOKEN`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.assembly import cell_totals
from pipeline.files import PartStore
from pipeline.manifest import CellTotals
from pipeline.mixture.plan import TRAIN
from pipeline.packing.cells import assign
from pipeline.plan import Plan
from pipeline.recipe import Recipe
from pipeline.state import pending
from pipeline.tokenizer.encode import encode_documents
from pipeline.tokenizer.stored import stored_vocab
from pipeline.versions import VersionError

BYTES_PER_TOKEN = 4
"""Bytes of text a token stands for before there is a tokenizer: a rule of thumb for English and some 32,000 pieces. It
cancels out of shares and epochs; a budget in tokens needs it."""
MARKS = 2
"""Tokens of a document besides its text: its begin and its end."""

Stage = Literal["pack", "tokenizer", "select"]


@dataclass(frozen=True, slots=True)
class Available:
    """Training rows and tokens of each Cell, as `stage` tells; `utf8_bytes` of the Cells are of training text, too."""

    stage: Stage
    cells: tuple[CellTotals, ...]
    is_exact: bool
    how: str


def available(recipe: Recipe, plan: Plan, store: PartStore) -> Available:
    """What there is to mix.

    Raises:
        VersionError: if Select has not done all of its Parts, with how many it has.
    """
    todo = pending(store, plan)
    if _is_done(plan, store, "pack"):
        cells = tuple(c for c in cell_totals(plan.stages["describe"][0], store) if c.split == TRAIN)
        return Available("pack", cells, True, "packed Sequences (Pack): exact")
    if not _is_done(plan, store, "select"):
        n, left = len(plan.stages["select"]), len(todo["select"])
        raise VersionError(
            f"nothing to mix yet: Select has done {n - left} of {n} Parts of this recipe, and the sizes of its sources "
            "are read from there. `pipeline run` makes them"
        )
    has_tokenizer = _is_done(plan, store, "tokenizer")
    found: list[CellTotals] = []
    is_cut = False
    for source in recipe.sources:
        keys = [
            p.key for p in plan.stages["select"] if p.label.split(":")[0] == source and "dropped_text" not in p.work
        ]
        markers = [store.marker("select", key) for key in keys]
        documents, n_bytes = (
            sum(marker.counts.get(name, {}).get(source, 0) for marker in markers)
            for name in ("documents", "utf8_bytes")
        )
        tokens = _tokens(plan, store, keys) + MARKS * documents if has_tokenizer else n_bytes // BYTES_PER_TOKEN
        cut = dict(_cut(recipe, plan, store, source, keys)) or {source: 1}
        is_cut |= len(cut) > 1
        for cell, size in cut.items():
            part = size / sum(cut.values()) * (1 - recipe.packing.validation_share)
            numbers = (round(tokens * part), round(documents * part), round(n_bytes * part))
            rows = -(-numbers[0] // (recipe.packing.seq_len + 1))
            found.append(CellTotals(cell, TRAIN, rows, *numbers))
    if not has_tokenizer:
        how = f"an estimate from bytes of clean text (Select), at {BYTES_PER_TOKEN} bytes a token"
        return Available("select", tuple(found), False, how)
    return Available("tokenizer", tuple(found), *_from_words(recipe, is_cut))


def _from_words(recipe: Recipe, is_cut: bool) -> tuple[bool, str]:
    """Whether tokens by word counts are exact, and how they are come by."""
    held_out = recipe.packing.validation_share
    near = recipe.tokenizer.type == "file"
    notes = [f"{'nearly exact' if near else 'exact'} for a whole source"]
    notes += [f"expected for the {1 - held_out:.4g} of it that is not held out"] * bool(held_out)
    notes += ["by their text for Cells of a source"] * is_cut
    notes += ["without the copies of dedup.repeat_by_cluster_size"] * bool(recipe.dedup.repeat_by_cluster_size)
    return len(notes) == 1 and not near, f"word counts times the ids of each word (Tokenizer): {', '.join(notes)}"


def _is_done(plan: Plan, store: PartStore, stage: str) -> bool:
    return all(store.is_done(stage, part.key) for part in plan.stages[stage])


def _tokens(plan: Plan, store: PartStore, keys: list[str]) -> int:
    """Ids of all words of some Select Parts, as often as the words occur."""
    words = stored_vocab(store, plan.stages["tokenizer"][0].key)
    n_tokens = 0
    for key in keys:
        for counts in store.row_groups("select", key, "words.parquet"):
            _, offsets = encode_documents(counts["word"], words)
            n_tokens += int((np.diff(offsets) - MARKS) @ counts["count"].to_numpy())
    return n_tokens


def _cut(recipe: Recipe, plan: Plan, store: PartStore, source: str, keys: list[str]) -> Iterator[tuple[str, int]]:
    """Cell -> how much text of a source it has: bytes if it is cut by language, characters if by a measure."""
    cut = recipe.packing.cells.get(source)
    sizes: dict[str, int] = {}
    if cut is None:
        return
    measures = {part.key: part.work["measure"] for part in plan.stages["select"]}
    for key in keys:
        if cut.measure is None:
            by_language: Mapping[str, int] = (
                store.marker("select", key).counts.get("language_bytes", {}).get(source, {})
            )
            languages = pa.array(list(by_language), pa.string())
            weights = np.array(list(by_language.values()), np.int64)
            values = None
        else:
            documents = store.table("select", key, "documents.parquet", ["id", "language"])
            columns = ["id", cut.measure, "kept_n_chars"]
            measured = store.table("measure", measures[key], "measures.parquet", list(dict.fromkeys(columns)))
            measured = measured.take(pc.index_in(documents["id"], measured["id"]))
            languages = documents["language"]
            weights, values = (
                measured[name].cast(kind).to_numpy()
                for name, kind in (("kept_n_chars", pa.int64()), (cut.measure, pa.float64()))
            )
        for cell, own in assign(source, cut, languages, values):
            sizes[cell] = sizes.get(cell, 0) + int(weights[own].sum())
    yield from sizes.items()
