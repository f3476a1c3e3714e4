"""The trainer on a processor: what a step costs beside transformers', what waiting for data costs, what a kill costs.

Both sides train the same GPT-2 in fp32 on the same batches, a step of one after a step of the other. The peer is the
loop that a user of transformers writes: `GPT2LMHeadModel` with SDPA attention, `labels`, torch's fused AdamW, clipping;
its batches lie ready in memory, ours come from shards, which is charged to us. It sees along the row; so does our
`attention: row`, which is what is compared. `attention: documents`, the default, is shown beside it.

For exactness, a run is killed with SIGKILL at random moments and gone on with, and its last checkpoint is compared with
that of a run that was left alone, byte for byte.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
import yaml
from common import ROOT, arguments, finish, show
from random_version import SEQ_LEN, VOCAB_SIZE, write_version
from transformers import GPT2Config, GPT2LMHeadModel

from pipeline.tokenizer import vocab
from pipeline.tokenizer.options import TokenizerOptions
from pipeline.tokenizer.train import train as train_tokenizer
from training import checkpoint
from training.config import TrainConfig
from training.data import Batches, Dataset
from training.trainer import Trainer
from training.world import alone

CONTEXT, N_LAYERS, N_HEADS, WIDTH = 512, 4, 4, 256
CONFIG: Mapping[str, Any] = {
    "data": "version",
    "output": "output",
    "model": {
        "architecture": "gpt2",
        "n_layers": N_LAYERS,
        "n_heads": N_HEADS,
        "d_model": WIDTH,
        "context": CONTEXT,
        "attention": "documents",
    },
    "batch": {"sequences": 1, "sequences_at_once": 1},
    "optim": {"type": "adamw", "lr": 3e-4, "betas": [0.9, 0.95], "weight_decay": 0.1, "clip": 1.0},
    "schedule": {"type": "cosine", "warmup_steps": 2, "min_lr_ratio": 0.1},
    "n_steps": 1000,
    "precision": "fp32",
    "device": "cpu",
    "compile": False,
    "spikes": {"policy": "skip", "sigma": 6},
    "evaluate": {"every": 1000},
    "checkpoint": {"every": 2, "keep": 2},
    "sample": {"n_tokens": 1, "temperature": 0},
    "seed": 0,
}
SMALL = {"n_layers": 2, "n_heads": 2, "d_model": 32}
"""Of the run that is killed: what is saved is the same, only smaller."""
N_DOCUMENTS, QUICK_DOCUMENTS, SMALL_VOCAB = 4_000, 1_000, 600
STEPS, QUICK_STEPS, WARM = 40, 3, 1
KILLS, QUICK_KILLS = 20, 1
RUN_STEPS, QUICK_RUN_STEPS = 40, 16


def made_tokenizer(folder: Path) -> dict[str, Any]:
    """A tokenizer of `SMALL_VOCAB` pieces in `folder`, and what a manifest says of it."""
    path = folder / "tokenizer" / "tokenizer.model"
    path.parent.mkdir(parents=True)
    syllables = [a + b for a in "bcdfghjklmnpqrstvwxz" for b in "aeiou"]
    words = [" " + "".join(pair) for pair in product(syllables, repeat=2)]
    table = pa.table({"word": words, "count": pa.array(range(len(words), 0, -1), pa.int64())})
    options = TokenizerOptions(vocab_size=SMALL_VOCAB)
    path.write_bytes(train_tokenizer(table, options, 0).model)
    words_of = vocab.load(path)
    facts = {name: getattr(words_of, name) for name in ("fingerprint", "bos_id", "eos_id", "pad_id", "unk_id")}
    return {"type": "bpe", "path": "tokenizer/tokenizer.model", **facts}


def configured(folder: Path, output: str, **changes: Any) -> TrainConfig:
    model = {**CONFIG["model"], **changes.pop("model", {})}
    return TrainConfig.model_validate({**CONFIG, "data": folder, "output": folder / output, "model": model, **changes})


def our_step(config: TrainConfig, waited: list[float]) -> Callable[[], None]:
    """A step of ours; the share of it that was spent waiting for data goes to `waited`."""
    trainer = Trainer(config, Dataset(config.data), alone("cpu"))

    def step() -> None:
        started = time.perf_counter()
        made = trainer.step()
        waited.append(made.waiting_s / (time.perf_counter() - started))

    return step


def peer_step(config: TrainConfig) -> Callable[[], None]:
    """A step of the peer, on the batches that ours reads."""
    shape = GPT2Config(
        vocab_size=VOCAB_SIZE,
        n_positions=CONTEXT,
        n_embd=WIDTH,
        n_layer=N_LAYERS,
        n_head=N_HEADS,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        attn_implementation="sdpa",
    )
    model = GPT2LMHeadModel(shape).train()
    options = config.optim
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=options.lr, betas=(0.9, 0.95), weight_decay=options.weight_decay, fused=True
    )
    batches = Batches(Dataset(config.data), config.seed, CONTEXT)
    ready = [batches.at(n, 1)[0].tokens for n in range(STEPS + WARM)]

    def step() -> None:
        tokens = ready.pop()
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()

    return step


def interleaved(sides: Mapping[str, Callable[[], None]], n_steps: int) -> dict[str, list[float]]:
    """Seconds of each step of each side, in turns; the first `WARM` are left out."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(WARM + n_steps):
        for name, step in sides.items():
            started = time.perf_counter()
            step()
            if turn >= WARM:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def killed_runs(folder: Path, n_kills: int, n_steps: int) -> tuple[int, bool]:
    """How often a run of `n_steps` was killed, and whether its last checkpoint is that of a run left alone."""
    whole, killed = (configured(folder, name, model=SMALL, n_steps=n_steps) for name in ("whole", "killed"))
    for config in (whole, killed):
        (folder / f"{config.output.name}.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    command = [sys.executable, "-m", "training"]
    quiet: dict[str, Any] = {
        "stdout": subprocess.DEVNULL,
        "env": os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    }
    started = time.monotonic()
    subprocess.run([*command, folder / "whole.yaml"], check=True, **quiet)
    seconds = time.monotonic() - started
    chance = random.Random(0)
    n_killed = 0
    for _ in range(n_kills):
        process = subprocess.Popen([*command, folder / "killed.yaml"], **quiet)
        try:
            process.wait(timeout=chance.uniform(0.4, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            n_killed += 1
    subprocess.run([*command, folder / "killed.yaml"], check=True, **quiet)
    mine, theirs = (checkpoint.folder_of(config.output, n_steps) for config in (whole, killed))
    return n_killed, all(path.read_bytes() == (theirs / path.name).read_bytes() for path in mine.iterdir())


def main() -> None:
    """Measure, print, keep."""
    options = arguments(__doc__ or "", [])
    n_steps = QUICK_STEPS if options.quick else STEPS
    n_documents = QUICK_DOCUMENTS if options.quick else N_DOCUMENTS
    with tempfile.TemporaryDirectory(dir=options.data) as name:
        folder = Path(name)
        write_version(folder, n_documents)
        row = configured(folder, "row", model={"attention": "row"})
        waited: list[float] = []
        sides = {
            "ours, attention along the row": our_step(row, waited),
            "transformers": peer_step(row),
        }
        if not options.quick:  # shown beside, no claim
            sides["ours, attention in documents"] = our_step(configured(folder, "documents"), waited)
        seconds = interleaved(sides, n_steps)
        small = folder / "small"
        write_version(small, n_documents // 4, SMALL_VOCAB, made_tokenizer(small))
        n_kills, run_steps = (QUICK_KILLS, QUICK_RUN_STEPS) if options.quick else (KILLS, RUN_STEPS)
        n_killed, is_exact = killed_runs(small, n_kills, run_steps)
    peer = statistics.median(seconds["transformers"])
    show(
        f"A step of {SEQ_LEN:,} tokens, GPT-2 of {N_LAYERS} layers of {WIDTH}, {torch.get_num_threads()} threads, "
        f"median of {n_steps}",
        ("what", "seconds", "lowest", "highest", "times as fast as transformers"),
        [(what, statistics.median(s), min(s), max(s), peer / statistics.median(s)) for what, s in seconds.items()],
    )
    share = statistics.median(waited[WARM:])
    print(
        f"Waiting for data: {share:.3%} of a step. Killed {n_killed} times: {'equal' if is_exact else 'OTHER'} bytes."
    )
    speed = peer / statistics.median(seconds["ours, attention along the row"])
    claims = {
        "step_speed_vs_transformers": {"value": round(speed, 3), "goal": 1, "unit": "times as fast"},
        "loader_share": {"value": round(share, 5), "goal": 0.01, "unit": "of a step, at most"},
        "resume_bit_exact": {"value": int(is_exact), "goal": 1, "unit": f"after {n_killed} kills"},
    }
    finish("training_cpu", options.quick, claims, {"seconds": seconds, "waited": waited})


if __name__ == "__main__":
    main()
