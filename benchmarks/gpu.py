"""The trainer on one GPU: tokens a second and model FLOP utilisation of three sizes, beside the settings of others.

Needs torch, numpy, pyarrow, safetensors, pydantic and PyYAML, no network and no data: rows are of random tokens, since
what a text says does not change what a step costs. Each line is a whole step as `pipeline train` makes it, from shards
to updated weights: reading, attention inside documents, clipping, the check for spikes. The peers' settings run in the
same trainer, so that the lines differ in settings alone: nanoGPT's are GPT-2, AdamW, attention along the row;
nanochat's are `modern` with Muon, attention along the row. MFU is tokens/s x (6N + 12LdT) / peak (`training.model`,
`training.devices`). Sizes are those of the presets; 350M and 1.3B see 2,048 places.

Lines are measured in the order of the table until the time is up; what was not reached is said. Without a GPU a small
model shows that all this works, and nothing is claimed.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from random_version import write_version

from training.config import TrainConfig
from training.data import Dataset
from training.devices import GIB, known
from training.model import flops_per_token
from training.trainer import Trainer
from training.world import alone

ROOT = Path(__file__).parents[1]
PRESETS, RESULTS = ROOT / "recipes" / "train", ROOT / "benchmarks" / "results"
VOCAB_SIZE = 50_257
SECONDS, QUICK_SECONDS = 440, 50
"""In which a line may begin: the whole must end in eight minutes, or in one."""
LINE_SECONDS, QUICK_LINE_SECONDS, WARM, MIN_STEPS = 20, 5, 3, 5


class Line(NamedTuple):
    """One line of the table: a preset, with `changes` to its fields; ours is what is claimed."""

    size: str
    who: str
    preset: str
    context: int
    goal: float
    changes: dict[str, Any]

    @property
    def is_ours(self) -> bool:
        return self.who.startswith("ours")


ROW = {"model": {"attention": "row"}}
LINES = (
    Line("124m", "ours, gpt2-124m", "gpt2-124m", 1024, 0.48, {}),
    Line("350m", "ours, gpt2-350m", "gpt2-350m", 2048, 0.52, {"batch": {"sequences_at_once": 8}}),
    Line("1300m", "ours, modern-1.3b", "modern-1.3b", 2048, 0.56, {}),
    Line("124m", "as nanoGPT", "gpt2-124m", 1024, 0.0, ROW),
    Line("124m", "as nanochat", "modern-124m", 1024, 0.0, ROW),
    Line("350m", "as nanoGPT", "gpt2-350m", 2048, 0.0, {**ROW, "batch": {"sequences_at_once": 8}}),
    Line("1300m", "as nanochat", "modern-1.3b", 2048, 0.0, ROW),
)
SMALL = Line("small", "ours, tiny", "tiny", 256, 0.0, {"batch": {"sequences": 2, "sequences_at_once": 1}})
STEP_TOKENS = 1 << 18
"""Of a measured step: what presets ask for is only more of the same, and would leave time for few steps."""


def configured(line: Line, data: Path, output: Path) -> TrainConfig:
    """The preset of a line as it is measured."""
    found: dict[str, Any] = yaml.safe_load((PRESETS / f"{line.preset}.yaml").read_text())
    for part, fields in line.changes.items():
        found[part] = {**found[part], **fields}
    found["model"]["context"] = line.context
    if line is not SMALL:
        at_once = found["batch"]["sequences_at_once"]
        found["batch"]["sequences"] = at_once * max(1, STEP_TOKENS // (at_once * line.context))
    found |= {"data": data, "output": output, "n_steps": 10**6}
    return TrainConfig.model_validate(found)


def measured(config: TrainConfig, seconds: float) -> Iterator[tuple[str, float]]:
    """Figures of one line: tokens a second, the share spent waiting for data, GiB, MFU where the peak is known."""
    trainer = Trainer(config, Dataset(config.data), alone(config.device))
    began = time.monotonic()
    for _ in range(WARM):
        trainer.step()
    yield "first_steps_s", time.monotonic() - began
    times: list[float] = []
    waited: list[float] = []
    until = time.monotonic() + seconds
    while len(times) < MIN_STEPS or time.monotonic() < until:
        began = time.perf_counter()
        made = trainer.step()  # ends when the GPU has given loss and norm, but for the update
        times.append(time.perf_counter() - began)
        waited.append(made.waiting_s)
    trainer.loader.close()
    tokens_per_s = trainer.places_per_step / statistics.median(times)
    yield "tokens_per_s", tokens_per_s
    yield "waiting_share", statistics.median(w / t for w, t in zip(waited, times, strict=True))
    if trainer.device.type == "cuda":
        yield "gib", torch.cuda.max_memory_allocated() / GIB
        device = known(torch.cuda.get_device_name())
        flops = flops_per_token(trainer.model.n_multiplied(), config.model)
        if device:
            yield "mfu", tokens_per_s * flops / device.peak_flops


def forget() -> None:
    """Leave the GPU to the next line."""
    torch._dynamo.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def measure_all(lines: tuple[Line, ...], folder: Path, quick: bool) -> dict[str, dict[str, float] | str]:
    """Figures by "size, who"; for a line that was not measured, why."""
    seconds, until = (QUICK_SECONDS, QUICK_LINE_SECONDS) if quick else (SECONDS, LINE_SECONDS)
    began, found = time.monotonic(), dict[str, dict[str, float] | str]()
    for line in lines:
        name = f"{line.size}, {line.who}"
        if time.monotonic() - began > seconds:
            found[name] = "not reached, the time was up"
            continue
        data = folder / str(line.context)
        if not data.exists():
            write_version(data, 20_000_000 // line.context, VOCAB_SIZE, seq_len=line.context)
        try:
            found[name] = dict(measured(configured(line, data, folder / "output"), until))
        except torch.OutOfMemoryError as error:
            found[name] = f"out of memory: {str(error).partition('. ')[0]}"
        forget()
        print(f"{name}: {found[name]}", file=sys.stderr, flush=True)
    return found


def show(found: dict[str, dict[str, float] | str]) -> None:
    print(f"{'what':<28}{'tokens/s':>14}{'MFU':>9}{'waiting':>10}{'GiB':>8}{'first steps, s':>16}")
    for name, figures in found.items():
        if isinstance(figures, str):
            print(f"{name:<28}{figures}")
            continue
        mfu = f"{figures['mfu']:.1%}" if "mfu" in figures else "-"
        gib = f"{figures['gib']:.1f}" if "gib" in figures else "-"
        print(
            f"{name:<28}{figures['tokens_per_s']:>14,.0f}{mfu:>9}{figures['waiting_share']:>10.2%}{gib:>8}"
            f"{figures['first_steps_s']:>16.1f}"
        )


def claims_of(lines: tuple[Line, ...], found: dict[str, dict[str, float] | str]) -> dict[str, dict[str, object]]:
    claims: dict[str, dict[str, object]] = {}
    for line in lines:
        figures = found[f"{line.size}, {line.who}"]
        if line.is_ours and not isinstance(figures, str) and "mfu" in figures:
            claims[f"mfu_{line.size}"] = {"value": round(figures["mfu"], 4), "goal": line.goal, "unit": "of the peak"}
            speed = round(figures["tokens_per_s"])
            claims[f"tokens_per_s_{line.size}"] = {"value": speed, "goal": None, "unit": "tokens a second"}
    return claims


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute: only the first lines")
    parser.add_argument("--data", type=Path, help="where the random shards lie meanwhile")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the results are kept")
    options = parser.parse_args()
    has_gpu = torch.cuda.is_available()
    lines = LINES if has_gpu else (SMALL,)
    with tempfile.TemporaryDirectory(dir=options.data) as name:
        found = measure_all(lines, Path(name), options.quick)
    device = torch.cuda.get_device_name() if has_gpu else f"{os.cpu_count()} cores, no GPU: nothing is claimed"
    print(f"{device}, torch {torch.__version__}, bf16, a step of {STEP_TOKENS:,} tokens" if has_gpu else device)
    show(found)
    claims = claims_of(lines, found)
    if has_gpu and not options.quick:
        about = {"made": datetime.now(UTC).isoformat(timespec="seconds"), "device": device, "torch": torch.__version__}
        kept = {**about, "python": platform.python_version(), "claims": claims, "lines": found}
        options.results.mkdir(parents=True, exist_ok=True)
        (options.results / "gpu.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(claims))


if __name__ == "__main__":
    main()
