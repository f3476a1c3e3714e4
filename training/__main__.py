"""`python -m training CONFIG`: train a model on a dataset version."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.config import TrainConfig

NEEDED = {"torch", "safetensors", "matplotlib"}
"""Packages of the extra `train`."""
USUAL_MFU = 0.4
"""Just below what llm.c reports for 124M on H100 (41 %) and llm-foundry for 1.3B (42 %)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 2 for what a person can put right."""
    parser = argparse.ArgumentParser(
        prog="pipeline train", description="Train a model on the shards of a dataset version."
    )
    parser.add_argument("config", type=Path, help="YAML file, such as recipes/train/tiny.yaml")
    parser.add_argument("--data", type=Path, help="dataset folder or version folder, instead of the file's `data`")
    parser.add_argument("--output", type=Path, help="where checkpoints go, instead of the file's `output`")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="such as optim.lr=0.001")
    parser.add_argument("--gpus", type=_count, default=1, metavar="N", help="processes, each with a GPU of its own")
    parser.add_argument(
        "--nodes", type=_count, default=0, metavar="M", help="write a Slurm script for M machines of N GPUs each"
    )
    parser.add_argument(
        "--plan", action="store_true", help="show parameters, memory, data, hours and cost; train nothing"
    )
    parser.add_argument("--evaluate", action="store_true", help="evaluate the newest checkpoint; train nothing")
    parser.add_argument(
        "--on", default="", metavar="DEVICE", help="of the plan: such as H200; all that are known without"
    )
    parser.add_argument(
        "--mfu", type=_share, default=USUAL_MFU, help=f"of the plan: share of the peak reached; {USUAL_MFU}"
    )
    parser.add_argument("--price", type=float, help="of the plan: what a device costs an hour, in any currency")
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in NEEDED:
            raise
        print(f"error: {error.name} is not installed; run `pip install 'gristmill[train]'`", file=sys.stderr)
    except KeyboardInterrupt:
        print("Interrupted; the last checkpoint is whole. Run the same command again to go on.", file=sys.stderr)
        return 130
    return 2


def _share(text: str) -> float:
    with suppress(ValueError):
        if 0 < float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no share above 0 and up to 1")


def _count(text: str) -> int:
    with suppress(ValueError):
        if int(text) > 0:
            return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")


def _run(options: argparse.Namespace) -> int:
    from pipeline.config import ConfigError, load, locate
    from pipeline.manifest import ManifestError
    from pipeline.shards import ShardError
    from pipeline.tokenizer.vocab import VocabError
    from training.config import CommonError, TrainConfig, TrainingError

    try:
        config = load(locate(options.config)[0], TrainConfig, options.set)
        paths = {name: getattr(options, name) for name in ("data", "output") if getattr(options, name)}
        config = config.model_copy(update=paths)
        if options.plan:
            from training.plan import show_plan

            show_plan(config, options.on, options.mfu, options.price)
            return 0
        if options.nodes or options.gpus > 1:
            return _spread(config, options)
        from training.train import train

        return train(config, options.evaluate)
    except (ConfigError, ManifestError, ShardError, TrainingError, VocabError) as error:
        if not (isinstance(error, CommonError) and os.environ.get("RANK", "0") != "0"):
            print(f"error: {error}", file=sys.stderr)
        return 2


def _spread(config: "TrainConfig", options: argparse.Namespace) -> int:
    """Start several processes, or write the script that does. What is wrong is said once, by this one."""
    from training import launch
    from training.data import Dataset, find_version

    Dataset(find_version(config.data))
    arguments = [str(options.config), "--data", str(config.data), "--output", str(config.output)]
    arguments += [part for value in options.set for part in ("--set", value)]
    arguments += ["--evaluate"] * options.evaluate
    if not options.nodes:
        return launch.run_here(arguments, options.gpus)
    path = launch.write_script(config, arguments, options.nodes, options.gpus)
    print(f"Wrote {path} for {options.nodes} nodes of {options.gpus} processes. Nothing was started.")
    print(
        f"Next: look at its first lines, add what your cluster asks for (partition, account, time), then: sbatch {path}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
