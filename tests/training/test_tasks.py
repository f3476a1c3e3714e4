"""Benchmarks: prompts, likelihoods against `transformers`, planted truth, figures by hand, and memory that runs out."""

import json
import math
import os
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from pipeline.tokenizer import vocab as tokenizer
from training import checkpoint, report, tasks
from training.__main__ import main
from training.config import EvaluateOptions, ModelOptions, TrainConfig, TrainingError
from training.data import Dataset
from training.evaluate import within_memory
from training.export import export
from training.model import Transformer
from training.train import train
from training.trainer import Trainer
from training.world import World, alone

Make = Callable[..., TrainConfig]
HELLASWAG = {
    "activity_label": "Pole vault",
    "ctx_a": "It is a sport.",
    "ctx_b": "a Few women",
    "endings": ["stop. [step] Run  on.", "run. [title] Rest."],
    "label": 1,
}
CHOICES = {"query": "Question: dresser\n", "choices": ["a drawer", "a é pin", "a bob"], "gold": 1}
SCHEMA = {"context_options": ["The trophy", "The suitcase"], "continuation": "is too large.", "gold": 0}
CLOZE = {"context": 'He said, "the\nend ', "continuation": "Queen"}
BENCH = Path(os.environ.get("GRISTMILL_SHARED_DATA", "nowhere")) / "bench"


@pytest.fixture
def vocab(version: Path) -> tokenizer.Vocab:
    return tokenizer.load(version / "tokenizer" / "tokenizer.model")


def write(path: Path, *lines: Any) -> Path:
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return path


def loaded(path: Path, vocab: tokenizer.Vocab, context: int = 64, limit: int | None = None) -> tasks.Task:
    return tasks.load_tasks(EvaluateOptions(every=1, tasks=(path,), examples_per_task=limit), vocab, context)[0]


def texts(task: tasks.Task, vocab: tokenizer.Vocab) -> list[tuple[str, str]]:
    """Context and continuation of each row, from its tokens; every row begins with bos."""
    assert {int(row.tokens[0]) for row in task.rows} == {vocab.bos_id}
    cut = [(row.tokens[: -row.n_targets], row.tokens[-row.n_targets :]) for row in task.rows]
    return [(vocab.decode(a), vocab.decode(b)) for a, b in cut]


@pytest.mark.parametrize(
    ("line", "expected", "n_bytes"),
    [
        # Worked out by hand from lm-evaluation-harness' hellaswag/utils.py: `capitalize` lowers the rest, "[step]"
        # leaves two spaces of which one goes.
        (
            HELLASWAG,
            [
                ("Pole vault: It is a sport. A few women", " stop. Run on."),
                ("Pole vault: It is a sport. A few women", " run.. Rest."),
            ],
            [13, 11],
        ),
        (CHOICES, [("Question: dresser\nAnswer:", f" {choice}") for choice in CHOICES["choices"]], [8, 8, 5]),
        (
            CHOICES | {"query": "Question: why?\nAnswer:", "choices": ["A", "B"]},
            [("Question: why?\nAnswer:", " A"), ("Question: why?\nAnswer:", " B")],
            [1, 1],
        ),
        (
            CHOICES | {"query": "It rained, so", "choices": ["A", " B"]},
            [("It rained, so", " A"), ("It rained, so", " B")],
            [1, 1],
        ),
        (SCHEMA, [("The trophy", " is too large."), ("The suitcase", " is too large.")], [13, 13]),
        (CLOZE, [('He said, "the\nend', " Queen")], [5]),
    ],
)
def test_prompts(tmp_path: Path, vocab: tokenizer.Vocab, line: Any, expected: Any, n_bytes: list[int]) -> None:
    task = loaded(write(tmp_path / "a.jsonl", line, line), vocab)
    assert texts(task, vocab) == expected * 2
    assert task.n_bytes.tolist() == n_bytes * 2
    right = line.get("gold", line.get("label", 0))
    assert (task.name, task.ends, task.gold) == (
        "a",
        [len(expected), 2 * len(expected)],
        [right, len(expected) + right],
    )
    assert task.n_truncated == 0


@given(pair=st.tuples(st.text(min_size=1), st.text(min_size=1)).filter(lambda pair: bool(pair[1].strip())))
def test_white_space_before_a_continuation_is_its_own(version: Path, pair: tuple[str, str]) -> None:
    vocab = tokenizer.load(version / "tokenizer" / "tokenizer.model")
    (row,) = tasks._encode([pair], vocab)
    context = row.tokens[1 : -row.n_targets]
    assert context.tolist() == vocab.encode([pair[0].rstrip()])[0].tolist()
    assert vocab.decode(row.tokens) == f"{pair[0]} {pair[1]}"


@given(st.text(alphabet="[]ax t", max_size=20))
def test_marks_of_hellaswag(text: str) -> None:
    """A mark is what the shortest match from the first bracket covers, as in lm-evaluation-harness."""
    expected = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". ")).replace("  ", " ")
    assert tasks._unmarked(text) == expected


def test_marks_take_linear_time() -> None:
    started = time.monotonic()
    tasks._unmarked("[" * 4_000_000)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([CHOICES, "{"], r":2: no example: no JSON, "),
        ([CHOICES, '{"query": "\\ud800"}'], r":2: no example: no JSON, "),
        ([CHOICES, "[" * 10_000], r":2: no example: no JSON, recursion limit"),
        (
            ["7"],
            r":1: no example: has the fields \[\]; expected the fields {activity_label, .* or {query, choices, gold}",
        ),
        (
            [{"question": "\x1b[2J?", "answer": "1"}],
            r":1: no example: has the fields \['question', 'answer'\]; expected",
        ),
        ([{"\x1b[2J": 1}], r"\['\\x1b\[2J'\]"),
        ([CHOICES, CLOZE], r":2: .* expected the fields {query, choices, gold}$"),
        ([CHOICES, CHOICES | {"gold": 3}], r":2: the right one is 3 of 0 to 2, or one is empty"),
        ([CHOICES, CHOICES | {"gold": -1}], r":2: no example: gold: Input should be greater than or equal to 0"),
        ([CHOICES, CHOICES | {"choices": ["a", " "]}], r":2: the right one is 1 of 0 to 1, or one is empty"),
        ([CHOICES, CHOICES | {"choices": ["a"]}], r":2: no example: choices: .* at least 2"),
        ([HELLASWAG, HELLASWAG | {"label": ""}], r":2: no example: label: "),
        ([CLOZE | {"context": 1}], r":1: no example: context: Input should be a valid string"),
        ([CHOICES, "", CHOICES, CLOZE], r":4: "),
        ([CHOICES], r": 1 examples; a standard error needs two"),
        ([], r": 0 examples"),
    ],
)
def test_a_line_that_is_no_example_is_named(
    tmp_path: Path, vocab: tokenizer.Vocab, lines: list[Any], expected: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    with pytest.raises(TrainingError, match=expected) as raised:
        loaded(path, vocab)
    assert str(raised.value).startswith(f"{path}:") and "\x1b" not in str(raised.value)


def test_a_file_that_is_none(tmp_path: Path, vocab: tokenizer.Vocab, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainingError, match=r"evaluate\.tasks: .*no\.jsonl: No such file"):
        loaded(tmp_path / "no.jsonl", vocab)
    (tmp_path / "b").mkdir()
    two = (write(tmp_path / "a.jsonl", CLOZE, CLOZE), write(tmp_path / "b" / "a.jsonl", CLOZE, CLOZE))
    with pytest.raises(TrainingError, match="two are alike in a, a"):
        tasks.load_tasks(EvaluateOptions(every=1, tasks=two), vocab, 64)
    monkeypatch.setattr(tasks, "MAX_FILE_BYTES", two[0].stat().st_size - 1)
    with pytest.raises(TrainingError, match="larger than"):
        loaded(two[0], vocab)


def test_a_continuation_must_have_tokens(
    tmp_path: Path, vocab: tokenizer.Vocab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tokenizer that loses text may have none for it, or join it to the context."""
    monkeypatch.setattr(vocab, "encode", lambda texts: [np.arange(3, dtype=np.uint32)] * len(texts))
    with pytest.raises(TrainingError, match="a continuation that adds no token"):
        loaded(write(tmp_path / "a.jsonl", CLOZE, CLOZE), vocab)


def test_the_first_examples_are_used(tmp_path: Path, vocab: tokenizer.Vocab) -> None:
    path = write(tmp_path / "a.jsonl", *(CLOZE | {"continuation": f"word{n}"} for n in range(5)), "not read")
    assert texts(loaded(path, vocab, limit=3), vocab) == [('He said, "the\nend', f" word{n}") for n in range(3)]


def test_long_texts_lose_tokens_on_the_left(tmp_path: Path, vocab: tokenizer.Vocab) -> None:
    line = CLOZE | {"context": "one two three four five six seven eight nine ten"}
    path = write(tmp_path / "a.jsonl", CLOZE, line, CLOZE | {"continuation": "long " * 40})
    whole, cut = loaded(path, vocab, context=500), loaded(path, vocab, context=len(loaded(path, vocab).rows[0].tokens))
    context = len(whole.rows[0].tokens)
    assert (whole.n_truncated, cut.n_truncated) == (0, 2)
    for before, after in zip(whole.rows, cut.rows, strict=True):
        assert after.tokens.tolist() == before.tokens[-context - 1 :].tolist()
        assert after.n_targets == min(before.n_targets, context)
    nats, _ = score(Transformer(tiny(context), vocab.vocab_size, seed=0), cut)
    assert np.isfinite(nats).all()


def tiny(context: int = 64, **changes: Any) -> ModelOptions:
    return ModelOptions(
        **({"architecture": "gpt2", "n_layers": 1, "n_heads": 2, "d_model": 16, "context": context} | changes)
    )


def score(model: Any, task: tasks.Task, n_at_once: int = 2) -> tuple[tasks.Floats, tasks.Floats]:
    return tasks.score(model, task, nullcontext, lambda _: None, alone("cpu"), n_at_once)


class Bigrams(torch.nn.Module):
    """The logits of the next token depend on this one alone."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.options, self.logits = tiny(), torch.nn.Parameter(logits)
        self.n_passes = 0

    def forward(self, tokens: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        self.n_passes += 1
        return self.logits[tokens]


def test_likelihoods_of_a_bigram_model(tmp_path: Path, vocab: tokenizer.Vocab) -> None:
    """Sums of logarithms looked up by hand, whatever stands in one batch."""
    logits = torch.randn(vocab.vocab_size, vocab.vocab_size, generator=torch.Generator().manual_seed(1))
    task = loaded(write(tmp_path / "a.jsonl", *(CHOICES | {"query": "x " * n} for n in range(9))), vocab)
    log_p = logits.double().log_softmax(-1).numpy()
    expected = []
    for row in task.rows:
        places = range(len(row.tokens) - row.n_targets, len(row.tokens))
        expected.append(-sum(log_p[row.tokens[n - 1], row.tokens[n]] for n in places))
    model = Bigrams(logits)
    for n_at_once in (1, 3, 1000):
        model.n_passes = 0
        nats, _ = score(model, task, n_at_once)
        np.testing.assert_allclose(nats, expected, rtol=1e-5)
        assert model.n_passes <= -(-len(task.rows) // n_at_once)
    assert model.n_passes == 1


def test_processes_share_the_rows(tmp_path: Path, vocab: tokenizer.Vocab) -> None:
    lines = [CHOICES | {"query": "x " * n} for n in range(9)]
    task = loaded(write(tmp_path / "a.jsonl", *lines), vocab)
    model = Transformer(tiny(), vocab.vocab_size, seed=0)
    whole = score(model, task)
    device = torch.device("cpu")
    shares = [tasks.score(model, task, nullcontext, lambda _: None, World(n, 4, device), 2) for n in range(4)]
    for one, of_all in zip(whole, zip(*shares, strict=True), strict=True):
        assert (np.count_nonzero(of_all, axis=0) <= 1).all()
        np.testing.assert_allclose(np.sum(of_all, axis=0), one, rtol=1e-5)


def planted(vocab: tokenizer.Vocab, sentences: Sequence[str]) -> Bigrams:
    """A model that is nearly sure of what follows each token in `sentences`."""
    logits = torch.zeros(vocab.vocab_size, vocab.vocab_size)
    for sentence in sentences:
        ids = vocab.encode([sentence])[0].astype(np.int64)
        logits[ids[:-1], ids[1:]] = 20.0
    return Bigrams(logits)


def test_planted_answers_are_found(tmp_path: Path, vocab: tokenizer.Vocab) -> None:
    """Right answers score 1, the same with wrong labels 0, and a mixture its share."""
    lines = [
        {"query": "a b", "choices": ["qqqqq", "c"], "gold": 1},
        {"query": "d e", "choices": ["f", "qqq"], "gold": 0},
    ]
    swapped = [line | {"gold": 1 - int(str(line["gold"]))} for line in lines]
    model = planted(vocab, ["a b c", "d e f"])
    for given_lines, accuracy in ((lines, 1.0), (swapped, 0.0), (lines + swapped, 0.5)):
        task = loaded(write(tmp_path / "a.jsonl", *given_lines), vocab)
        found = tasks.results(task, *score(model, task))
        assert found["accuracy"] == found["normalised_accuracy"] == accuracy and found["chance"] == 0.5
    cloze = [{"context": "a b", "continuation": "c"}, {"context": "d e", "continuation": "c"}]
    task = loaded(write(tmp_path / "b.jsonl", *cloze), vocab)
    nats, is_likeliest = score(model, task)
    assert is_likeliest.tolist() == [1, 0] and nats[0] < 1e-4 < nats[1]
    assert tasks.results(task, nats, is_likeliest)["accuracy"] == 0.5


def test_a_model_that_knows_nothing_is_at_chance(tmp_path: Path, vocab: tokenizer.Vocab) -> None:
    generator = np.random.default_rng(3)
    lines = []
    for _ in range(400):
        n = int(generator.integers(2, 6))
        choices = ["".join(generator.choice(list("abcdefgh"), 6)) for _ in range(n)]
        lines.append({"query": "it is", "choices": choices, "gold": int(generator.integers(n))})
    task = loaded(write(tmp_path / "a.jsonl", *lines), vocab)
    logits = torch.randn(vocab.vocab_size, vocab.vocab_size, generator=torch.Generator().manual_seed(2))
    found = tasks.results(task, *score(Bigrams(logits), task, 100))
    assert found["chance"] == pytest.approx(np.mean([1 / len(line["choices"]) for line in lines]))  # type: ignore[arg-type]
    assert abs(found["accuracy"] - found["chance"]) < 4 * found["standard_error"] < 0.15


def by_hand(ends: list[int], gold: list[int], is_cloze: bool, n_bytes: list[float]) -> tasks.Task:
    return tasks.Task("a", is_cloze, [], np.array(n_bytes), ends, gold, 0)


def test_choices_by_hand() -> None:
    """Nats and nats a byte choose differently; of equals the first is taken."""
    task = by_hand([2, 4, 7, 9], [0, 3, 4, 8], False, [4, 8, 1, 1, 2, 2, 4, 1, 1])
    nats = np.array([4, 5, 2, 1, 3, 3, 5, 7, 7.0])
    found = tasks.results(task, nats, np.zeros(9))
    assert found["accuracy"] == 0.75 and found["normalised_accuracy"] == 0.25
    assert found["standard_error"] == found["normalised_standard_error"] == pytest.approx(math.sqrt(0.75 * 0.25 / 3))
    assert found["chance"] == pytest.approx((0.5 * 3 + 1 / 3) / 4) and found["n"] == 4
    assert json.loads(json.dumps(found)) == found


def test_cloze_by_hand() -> None:
    task = by_hand([1, 2, 3], [0, 1, 2], True, [2, 4, 6])
    found = tasks.results(task, np.array([1.0, 2.0, 6.0]), np.array([1.0, 0.0, 1.0]))
    assert found["accuracy"] == pytest.approx(2 / 3) and found["standard_error"] == pytest.approx(math.sqrt(2 / 9 / 2))
    assert found["perplexity"] == pytest.approx(math.exp(3))
    assert found["perplexity_standard_error"] == pytest.approx(math.exp(3) * np.std([1, 2, 6], ddof=1) / math.sqrt(3))
    assert found["nats_per_byte"] == 0.75  # residuals -0.5, -1, 1.5
    assert found["nats_per_byte_standard_error"] == pytest.approx(math.sqrt(3 / 2 * 3.5) / 12)
    assert math.isfinite(tasks.results(task, np.full(3, 1e6), np.zeros(3))["perplexity"])


def test_standard_errors_are_those_of_repeated_draws() -> None:
    """The spread of 2,000 ratios of 200 draws each, as the mean of their standard errors says."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(2000):
        n_bytes = generator.integers(1, 9, 200).astype(np.float64)
        found.append(tasks._figure("x", "", n_bytes * 1.5 + generator.normal(0, 1, 200), n_bytes))
    errors = [one["standard_error"] for one in found]
    assert np.std([one["x"] for one in found]) == pytest.approx(np.mean(errors), rel=0.05)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("attention", ["documents", "row"])
def test_likelihoods_equal_those_of_transformers(
    make_config: Make, version: Path, tmp_path: Path, name: str, attention: str
) -> None:
    """Each text by itself, tokenised by sentencepiece and read by the exported model."""
    shape = f"model={{architecture: {name}, n_layers: 2, n_heads: 2, d_model: 32, context: 32, attention: {attention}}}"
    lines = [CHOICES, CHOICES | {"query": "a\n b  c", "choices": [SCHEMA["continuation"], "it", "the", "of"]}]
    paths = [
        write(tmp_path / "choices.jsonl", *lines),
        write(tmp_path / "cloze.jsonl", CLOZE, {"context": "of the", "continuation": "of"}),
        write(tmp_path / "schema.jsonl", SCHEMA, SCHEMA),
    ]
    config = make_config(shape, f"evaluate.tasks={json.dumps([str(path) for path in paths])}")
    trainer = Trainer(config, Dataset(version), alone("cpu"))
    for parameter in trainer.model.parameters():
        parameter.data.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5)) * 0.2)
    export(trainer.save(wait=True), version, tmp_path / "hf")
    theirs: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "hf", local_files_only=True).eval()
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(version / "tokenizer" / "tokenizer.model"))
    expected = {
        "choices": [
            *(("Question: dresser\nAnswer:", f" {choice}") for choice in CHOICES["choices"]),  # type: ignore[attr-defined]
            *(("a\n b  c", f" {choice}") for choice in ("is too large.", "it", "the", "of")),
        ],
        "cloze": [('He said, "the\nend', " Queen"), ("of the", " of")],
        "schema": [("The trophy", " is too large."), ("The suitcase", " is too large.")] * 2,
    }
    for task in trainer.tasks:
        nats, is_likeliest = tasks.score(trainer.model, task, trainer.autocast, lambda _: None, trainer.world, 3)
        for (context, text), ours, hit in zip(expected[task.name], nats, is_likeliest, strict=True):
            n = 1 + len(pieces.encode(context))
            ids = torch.tensor([[pieces.bos_id(), *pieces.encode(context + text)]])
            with torch.no_grad():
                log_p = theirs(ids).logits[0, n - 1 : -1].log_softmax(-1)
            likely = log_p.gather(-1, ids[0, n:, None])
            assert ours == pytest.approx(-float(likely.sum()), abs=1e-4)
            assert bool(hit) == bool((log_p.argmax(-1) == ids[0, n:]).all())


def with_tasks(tmp_path: Path) -> str:
    choices, cloze = write(tmp_path / "choices.jsonl", *[CHOICES] * 3), write(tmp_path / "cloze.jsonl", *[CLOZE] * 3)
    return f"evaluate.tasks={json.dumps([str(choices), str(cloze)])}"


def metrics_of(config: TrainConfig, what: str) -> list[dict[str, Any]]:
    return [m for m in report.read_metrics(config.output / "metrics.jsonl") if what in m]


def test_a_run_reports_tasks_and_samples(make_config: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = make_config(with_tasks(tmp_path))
    assert train(config) == 0
    out = capsys.readouterr().out
    found = metrics_of(config, "tasks")
    assert [m["step"] for m in found] == [m["step"] for m in metrics_of(config, "sample")] == [0, 6, 12]
    for m in found:
        assert m.keys() == {"step", "tasks"} and list(m["tasks"]) == ["choices", "cloze"]
        for of_task in m["tasks"].values():
            assert {"accuracy", "standard_error", "chance", "n", "n_truncated"} <= of_task.keys() and of_task["n"] == 3
    assert metrics_of(config, "sample")[-1]["sample"] + "\n" == (config.output / "sample.txt").read_text()
    assert re.search(
        r"^step 6/12  choices: accuracy \S+% \+- \S+% \(chance 33\.3%\), normalised .* 3 examples$", out, re.M
    )
    assert re.search(r"^Task cloze: accuracy .* perplexity \S+, \S+ nats per byte, 3 examples$", out, re.M)


def test_tasks_leave_the_weights_as_they_are(make_config: Make, tmp_path: Path) -> None:
    without, with_them = make_config(output="without"), make_config(with_tasks(tmp_path), output="with")
    assert train(without) == train(with_them) == 0
    weights = [(checkpoint.found(c.output)[0] / checkpoint.MODEL).read_bytes() for c in (without, with_them)]
    assert weights[0] == weights[1]


def test_only_evaluate(
    make_config: Make, config_file: Path, version: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(config_file), "--data", str(version), "--output", str(tmp_path / "out"), "--evaluate"]
    assert main(command) == 2
    assert "no checkpoint below" in capsys.readouterr().err and not (tmp_path / "out").exists()
    config = make_config()
    trainer = Trainer(config, Dataset(version), alone("cpu"))
    trainer.step()
    before = (trainer.save(wait=True) / "state.json").read_bytes()
    assert main([*command, "--set", with_tasks(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "Going on from" in out and "Task choices: accuracy" in out and "Validation: " in out
    (folder,) = checkpoint.found(config.output)
    assert folder.name == "step-00000001" and (folder / "state.json").read_bytes() == before
    assert [m["step"] for m in metrics_of(config, "tasks")] == [1] and not metrics_of(config, "loss")


def short_of_memory(trainer: Trainer, n_places: int) -> None:
    """Evaluations with more than `n_places` places run out of memory, as torch says it."""
    inner = trainer.model.forward

    def forward(tokens: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        if not torch.is_grad_enabled() and tokens.numel() > n_places:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB")
        return inner(tokens, *rest)

    trainer.model.forward = forward  # type: ignore[method-assign]


@pytest.mark.parametrize("n_places", [64, 33, 0])
def test_an_evaluation_without_memory_ends_no_run(
    make_config: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    n_places: int,
) -> None:
    """64 places hold one Sequence of two rows, 33 a row at least; with none, only the training is left."""
    whole, short = make_config(with_tasks(tmp_path), output="whole"), make_config(with_tasks(tmp_path), output="short")
    assert train(whole) == 0
    capsys.readouterr()
    inside = Trainer.__init__

    def init(self: Trainer, *arguments: Any) -> None:
        inside(self, *arguments)
        short_of_memory(self, n_places)

    monkeypatch.setattr(Trainer, "__init__", init)
    assert train(short) == 0
    out = capsys.readouterr().out
    weights = [(checkpoint.found(c.output)[0] / checkpoint.MODEL).read_bytes() for c in (whole, short)]
    assert weights[0] == weights[1]
    assert "validation loss: out of memory, again with 1 at once" in out
    given_up = set(
        re.findall(r"^(.*): given up, out of memory with one row at once \(CUDA out of memory\.\)", out, re.M)
    )
    assert (
        given_up == {64: set(), 33: {"validation loss"}, 0: {"validation loss", "choices", "cloze", "sample"}}[n_places]
    )
    kept = 3 if n_places else 0  # evaluations
    assert [m["sample"] for m in metrics_of(short, "sample")] == [m["sample"] for m in metrics_of(whole, "sample")][
        :kept
    ]
    for one, other in zip(metrics_of(short, "tasks"), metrics_of(whole, "tasks")[:kept], strict=True):
        for name, of_task in other["tasks"].items():
            assert one["tasks"][name] == pytest.approx(of_task)
    losses = [[m["validation"] for m in metrics_of(config, "validation")] for config in (whole, short)]
    if n_places == 64:
        for one, other in zip(*losses, strict=True):
            assert all(one[cell] == pytest.approx(other[cell]) for cell in one)
    else:
        assert losses[1] == [{}] * 3 and "no validation loss; unigram" in out


def test_memory_is_halved_until_it_fits() -> None:
    tried, said = list[int](), list[str]()

    def work(n: int) -> str:
        tried.append(n)
        if n > 3:
            raise torch.OutOfMemoryError("no")
        return "done"

    assert within_memory("x", 20, work, said.append) == "done"
    assert tried == [20, 10, 5, 2] and len(said) == 3
    with pytest.raises(ZeroDivisionError):
        within_memory("x", 20, lambda n: 1 // 0, said.append)


@pytest.mark.long
def test_two_processes_find_what_one_does(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, make_config: Make
) -> None:
    """Of tasks; each says it once."""
    found = []
    for n in ("1", "2"):
        process = start("--set", with_tasks(tmp_path), "--gpus", n, output=n)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert out.count("Task choices: ") == 1
        metrics = [m["tasks"] for m in report.read_metrics(tmp_path / n / "metrics.jsonl") if "tasks" in m]
        assert len(metrics) >= 3
        found.append(metrics[-1])
    for name, of_task in found[0].items():
        assert found[1][name] == pytest.approx(of_task, rel=1e-3)


@pytest.mark.skipif(not BENCH.is_dir(), reason=f"no benchmarks in {BENCH}; set GRISTMILL_SHARED_DATA")
@pytest.mark.parametrize(
    ("name", "n", "chance", "prompt"),
    [
        ("hellaswag_slice", 596, 0.25, ": "),
        ("arc_easy", 700, 0.25, "\nAnswer:"),
        ("arc_challenge", 700, 0.25, "\nAnswer:"),
        ("piqa", 700, 0.5, "\nAnswer:"),
        ("siqa", 700, 0.5, "\nAnswer:"),
        ("winograd_wsc", 168, 0.5, ""),
        ("lambada_openai", 700, 0.0, ""),
    ],
)
def test_published_files(vocab: tokenizer.Vocab, name: str, n: int, chance: float, prompt: str) -> None:
    task = loaded(BENCH / f"{name}.jsonl", vocab, context=4096)
    found = tasks.results(task, np.ones(len(task.rows)), np.zeros(len(task.rows)))
    assert found["n"] == n and found["chance"] == pytest.approx(chance, abs=0.002) and task.n_truncated == 0
    pairs = texts(task, vocab)
    assert all(prompt in context and text[0] == " " and text.strip() for context, text in pairs)
    if prompt == "\nAnswer:":
        assert all(context.endswith(prompt) and context.count("Answer:") == 1 for context, _ in pairs)
