"""Benchmarks in local JSONL files: is the right choice the likeliest, would the model write the right word?

The fields of a file's first line tell its shape, one of `SHAPES`. A space joins context and continuation; no examples
stand in front. Prompts are those of lm-evaluation-harness (lm_eval/tasks: hellaswag/utils.py, arc/arc_easy.yaml,
piqa/piqa.yaml, lambada/lambada_openai.yaml) and of llm-foundry, whose files the last three shapes are
(`continuation_delimiter` in scripts/eval/yamls/tasks.yaml): "Answer:" follows a query that is a "Question:".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import from_json

from pipeline.tokenizer.vocab import Ids, Vocab
from training.config import EvaluateOptions, TrainingError
from training.data import Batch, Rows, make_batch
from training.model import IGNORED, Transformer
from training.world import World

MAX_FILE_BYTES = 64 << 20
"""Of a file of examples: HellaSwag's largest, hellaswag_train.jsonl of rowanz/hellaswag, has 48 MB."""
HELLASWAG = ("activity_label", "ctx_a", "ctx_b", "endings", "label")
CHOICES = ("query", "choices", "gold")
SCHEMA = ("context_options", "continuation", "gold")
CLOZE = ("context", "continuation")
SHAPES: Sequence[tuple[str, ...]] = (HELLASWAG, CHOICES, SCHEMA, CLOZE)
"""HellaSwag as published (Zellers et al. 2019, arXiv 1905.07830); choices; contexts told apart by what follows, as in
Winograd schemas (Trinh & Le 2018, arXiv 1806.02847); one continuation, as in LAMBADA (Paperno et al. 2016, arXiv
1606.06031)."""

Pairs = list[tuple[str, str]]
Number = Annotated[int, Field(ge=0, lt=1000)]
Texts = Annotated[tuple[str, ...], Field(min_length=2)]
Floats = NDArray[np.float64]


class _Line(BaseModel):
    """The fields of all shapes."""

    activity_label: str = ""
    ctx_a: str = ""
    ctx_b: str = ""
    endings: Texts = ()
    label: Number = 0
    query: str = ""
    choices: Texts = ()
    gold: Number = 0
    context_options: Texts = ()
    context: str = ""
    continuation: str = ""

    def pairs(self, shape: tuple[str, ...]) -> Pairs:
        """Context and continuation, of each choice."""
        if shape == HELLASWAG:
            context = _unmarked(f"{self.activity_label}: {self.ctx_a} {self.ctx_b.capitalize()}")
            return [(context, _unmarked(ending)) for ending in self.endings]
        if shape == CHOICES:
            query = self.query.strip()
            is_question = any(line.startswith("Question:") for line in query.splitlines())
            context = f"{query}\nAnswer:" if is_question and not query.endswith("Answer:") else query
            return [(context, choice.strip()) for choice in self.choices]
        contexts = self.context_options if shape == SCHEMA else (self.context,)
        return [(context.strip(), self.continuation.strip()) for context in contexts]


def _unmarked(text: str) -> str:
    """HellaSwag's text without WikiHow's marks, "[title]" and the like, as by `preprocess` in hellaswag/utils.py."""
    *marked, rest = text.strip().replace(" [title]", ". ").split("]")
    kept = (part.partition("[")[0] if "[" in part else f"{part}]" for part in marked)
    return "".join((*kept, rest)).replace("  ", " ")


class Row(NamedTuple):
    """Tokens of a context and its continuation, which is the last `n_targets` of them."""

    tokens: Ids
    n_targets: int


@dataclass(frozen=True, slots=True)
class Task:
    """The n examples of one file, with r choices in all.

    `rows` and `n_bytes` (r,) are the choices, example after example, and the UTF-8 bytes of their continuations; `ends`
    (n,) is where an example's choices end, `gold` (n,) which is right. `n_truncated` rows lost tokens on the left.
    """

    name: str
    is_cloze: bool
    rows: list[Row]
    n_bytes: Floats
    ends: list[int]
    gold: list[int]
    n_truncated: int


def load_tasks(options: EvaluateOptions, vocab: Vocab, context: int) -> list[Task]:
    """The tasks of `options`, named after their files, for a model that sees `context` places.

    Raises:
        TrainingError: for a file that cannot be read or is too large, or a line that is no example.
    """
    names = [path.stem for path in options.tasks]
    if len(set(names)) < len(names):
        raise TrainingError(f"evaluate.tasks: results go by names of files; two are alike in {', '.join(names)}")
    return [_load(path, options.examples_per_task, vocab, context) for path in options.tasks]


def _load(path: Path, limit: int | None, vocab: Vocab, context: int) -> Task:
    shapes, pairs, ends, gold = SHAPES, Pairs(), list[int](), list[int]()
    for number, content in _lines(path):
        line, *shapes = _read(content, shapes, f"{path}:{number}")  # all lines have the shape of the first
        found, right = line.pairs(shapes[0]), line.label + line.gold
        if right >= len(found) or not all(text.strip() for _, text in found):
            raise TrainingError(f"{path}:{number}: the right one is {right} of 0 to {len(found) - 1}, or one is empty")
        gold.append(len(pairs) + right)
        pairs += found
        ends.append(len(pairs))
        if len(ends) == limit:
            break
    if len(ends) < 2:
        raise TrainingError(f"{path}: {len(ends)} examples; a standard error needs two at least")
    rows = _encode(pairs, vocab)
    if min(row.n_targets for row in rows) < 1:
        raise TrainingError(f"{path}: the tokenizer has a continuation that adds no token to its context")
    cut = [Row(tokens[-context - 1 :], min(n, context)) for tokens, n in rows]
    n_truncated = sum(len(row.tokens) > context + 1 for row in rows)
    n_bytes = np.array([len(text.encode()) for _, text in pairs], np.float64)
    return Task(path.stem, shapes[0] == CLOZE, cut, n_bytes, ends, gold, n_truncated)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, numbered from 1."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise TrainingError(f"evaluate.tasks: {path}: {error.strerror or error}") from None
    if len(content) > MAX_FILE_BYTES:
        raise TrainingError(f"{path}: larger than {MAX_FILE_BYTES:,} bytes, as no benchmark is; name a part of it")
    return ((n, line) for n, line in enumerate(content.split(b"\n"), start=1) if line.strip())


def _read(content: bytes, shapes: Sequence[tuple[str, ...]], where: str) -> tuple[_Line, tuple[str, ...]]:
    """One line, and which of `shapes` it has."""
    try:
        value: Any = from_json(content)
        keys = list(value) if isinstance(value, dict) else []
        shape = next((shape for shape in shapes if set(shape) <= set(keys)), None)
        if shape:
            return _Line.model_validate({key: value[key] for key in shape}), shape
        wrong = f"has the fields {keys!a:.200}"
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
    except ValueError as error:
        wrong = f"no JSON, {error}"
    known = " or ".join(f"{{{', '.join(shape)}}}" for shape in shapes)
    raise TrainingError(f"{where}: no example: {wrong}; expected the fields {known}")


def _encode(pairs: Pairs, vocab: Vocab) -> list[Row]:
    """bos, then context, space and continuation, cut as lm-evaluation-harness does (`_encode_pair` in
    lm_eval/api/model.py): white space before the continuation is its own, and its tokens are what the whole has behind
    as many as the context alone."""
    contexts = vocab.encode([context.rstrip() for context, _ in pairs])
    wholes = vocab.encode([f"{context} {text}" for context, text in pairs])
    bos = np.array([vocab.bos_id], np.uint32)
    return [
        Row(np.concatenate([bos, context, whole[len(context) :]]), len(whole) - len(context))
        for context, whole in zip(contexts, wholes, strict=True)
    ]


@torch.no_grad()
def score(
    model: Transformer,
    task: Task,
    autocast: Callable[[], AbstractContextManager[object]],
    say: Callable[[str], None],
    world: World,
    n_at_once: int,
) -> tuple[Floats, Floats]:
    """-ln p of each continuation in nats (r,), and 1 where each of its tokens is the likeliest, else 0 (r,); 0 for the
    rows of other processes of `world`.

    The longest rows come first, so that memory runs out early or not at all. One forward pass has at most the places of
    `n_at_once` rows of the model's context. `say` is told how far it is.
    """
    rows, device = task.rows, next(model.parameters()).device
    nats, is_likeliest = np.zeros(len(rows)), np.zeros(len(rows))
    order, done = sorted(range(len(rows)), key=lambda row: -len(rows[row].tokens))[world.rank :: world.size], 0
    while done < len(order):
        length = len(rows[order[done]].tokens) - 1
        chosen = order[done : done + max(1, n_at_once * model.options.context // length)]
        batch = _batch([rows[row] for row in chosen], length).to(device)
        is_target = batch.targets != IGNORED
        with autocast():
            logits, targets = model(*batch.inputs)[is_target], batch.targets[is_target]
        lost = torch.nn.functional.cross_entropy(logits, targets, reduction="none").cpu()
        hits = (logits.argmax(dim=-1) == targets).cpu()
        ends = np.cumsum([rows[row].n_targets for row in chosen])[:-1].tolist()
        nats[chosen] = [float(of_row.sum()) for of_row in torch.tensor_split(lost, ends)]
        is_likeliest[chosen] = [bool(of_row.all()) for of_row in torch.tensor_split(hits, ends)]
        done += len(chosen)
        say(f"{task.name}: {done:,} of {len(order):,} texts")
    return nats, is_likeliest


def _batch(rows: Sequence[Row], length: int) -> Batch:
    """Rows of at most length + 1 tokens as a Batch of `length` places that has only their continuations as targets."""
    tokens = np.stack([np.pad(row.tokens, (0, length + 1 - len(row.tokens))) for row in rows])
    lengths, ones = np.array([len(row.tokens) for row in rows], np.int32), np.ones(len(rows), np.int64)
    batch = make_batch(Rows(tokens, ones, lengths, 0 * ones), length)
    for targets, row in zip(batch.targets, rows, strict=True):
        targets[: len(row.tokens) - 1 - row.n_targets] = IGNORED
    return batch


def of_all(scores: tuple[Floats, Floats] | None, task: Task, world: World) -> tuple[Floats, Floats] | None:
    """Scores of all processes, which must call it together; None if one of them has None."""
    mine = np.concatenate(scores).tolist() if scores else None
    summed = world.sum_if_all(mine, 2 * len(task.rows))
    if summed is None:
        return None
    nats, is_likeliest = np.split(np.array(summed), 2)
    return nats, is_likeliest


def results(task: Task, nats: Floats, is_likeliest: Floats) -> dict[str, float]:
    """What `metrics.jsonl` holds of a task, from what `score` gives; each figure with its standard error.

    Of choices, `accuracy` is the share of examples whose right choice has the fewest nats, `normalised_accuracy` the
    fewest a byte: `acc` and `acc_bytes` of lm-evaluation-harness, whose `acc_norm` counts characters. Of equals the
    first is taken, as there. Of a cloze, `accuracy` is the share of continuations that the model would write itself,
    `perplexity` exp(mean nats of a continuation), again as there. `chance` is the accuracy of guessing.
    """
    begins, n = [0, *task.ends[:-1]], np.ones(len(task.ends))
    found: dict[str, float] = {"n": len(task.ends), "n_truncated": task.n_truncated}
    if task.is_cloze:
        found |= {"chance": 0.0} | _figure("accuracy", "", is_likeliest, n)
        mean = _figure("nats", "", nats, n)
        perplexity = float(np.exp(min(mean["nats"], 700.0)))  # above, float64 has no number for it
        found |= {"perplexity": perplexity, "perplexity_standard_error": perplexity * mean["standard_error"]}
        return found | _figure("nats_per_byte", "nats_per_byte_", nats, task.n_bytes)
    for prefix, values in (("", nats), ("normalised_", nats / task.n_bytes)):
        chosen = [begin + int(values[begin:end].argmin()) for begin, end in zip(begins, task.ends, strict=True)]
        found |= _figure(f"{prefix}accuracy", prefix, np.equal(chosen, task.gold).astype(np.float64), n)
    return found | {"chance": float((1 / np.subtract(task.ends, begins)).mean())}


def _figure(name: str, prefix: str, over: Floats, under: Floats) -> dict[str, float]:
    """sum(over) / sum(under) with its standard error (Cochran 1977, Sampling Techniques, equation 2.46).

    If `under` is 1, these are the mean and lm-evaluation-harness' `mean_stderr` (lm_eval/api/metrics.py); of a share p,
    sqrt(p (1 - p) / (n - 1)).
    """
    ratio, n = over.sum() / under.sum(), over.size
    error = np.sqrt(n / (n - 1) * ((over - ratio * under) ** 2).sum()) / under.sum()
    return {name: float(ratio), f"{prefix}standard_error": float(error)}


def summary(name: str, found: Mapping[str, float]) -> str:
    """One line for a person."""
    text = f"{name}: accuracy {found['accuracy']:.1%} +- {found['standard_error']:.1%} (chance {found['chance']:.1%}), "
    if "perplexity" in found:
        text += f"perplexity {found['perplexity']:.4g}, {found['nats_per_byte']:.3f} nats per byte"
    else:
        text += f"normalised {found['normalised_accuracy']:.1%} +- {found['normalised_standard_error']:.1%}"
    cut = f", {found['n_truncated']:,} texts cut to the model's context" if found["n_truncated"] else ""
    return f"{text}, {found['n']:,} examples{cut}"
