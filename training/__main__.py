"""`python -m training CONFIG`: train a model on a dataset version."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

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
    parser.add_argument(
        "--plan", action="store_true", help="show parameters, memory, data, hours and cost; train nothing"
    )
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


def _run(options: argparse.Namespace) -> int:
    from pipeline.config import ConfigError, load, locate
    from pipeline.manifest import ManifestError
    from pipeline.shards import ShardError
    from pipeline.tokenizer.vocab import VocabError
    from training.config import TrainConfig, TrainingError

    try:
        config = load(locate(options.config)[0], TrainConfig, options.set)
        paths = {name: getattr(options, name) for name in ("data", "output") if getattr(options, name)}
        config = config.model_copy(update=paths)
        if options.plan:
            from training.plan import show_plan

            show_plan(config, options.on, options.mfu, options.price)
            return 0
        from training.train import train

        return train(config)
    except (ConfigError, ManifestError, ShardError, TrainingError, VocabError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
