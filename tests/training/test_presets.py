"""Shipped presets are whole, and together reach every value of every field."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import torch
import yaml
from pydantic import BaseModel

from pipeline.config import load
from training.config import TrainConfig
from training.model import Transformer

PRESETS = sorted((Path(__file__).parents[2] / "recipes" / "train").glob("*.yaml"))


def choices(model: Any, path: str = "") -> Iterator[tuple[str, object]]:
    """(path, value) for all values of words and switches; for what may be left out, whether it is given."""
    for name, field in model.model_fields.items():
        kinds = [kind for kind in (get_args(field.annotation) or (field.annotation,)) if kind is not Ellipsis]
        if get_origin(field.annotation) is Literal:
            yield from ((path + name, value) for value in kinds)
        elif field.annotation is bool:
            yield from ((path + name, value) for value in (False, True))
        elif type(None) in kinds:
            yield from ((path + name, f"given: {value}") for value in (False, True))
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from choices(kind, f"{path}{name}.")


def chosen(value: BaseModel, path: str = "") -> Iterator[tuple[str, object]]:
    for name, field in type(value).model_fields.items():
        found = getattr(value, name)
        if isinstance(found, BaseModel):
            yield from chosen(found, f"{path}{name}.")
        elif type(None) in get_args(field.annotation):
            yield path + name, f"given: {found is not None}"
        elif isinstance(found, (str, bool)):
            yield path + name, found


def test_presets_reach_every_value_of_every_field() -> None:
    reached = {pair for path in PRESETS for pair in chosen(load(path, TrainConfig))}
    asked = set(choices(TrainConfig))
    assert len(asked) > 25 and not asked - reached


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_preset_shows_every_choice(path: Path) -> None:
    config = load(path, TrainConfig)
    written = yaml.safe_load(path.read_text())
    assert json.loads(config.model_dump_json(exclude_none=True)).keys() == written.keys()
    assert json.loads(config.model.model_dump_json(exclude_none=True)) == written["model"]


@pytest.mark.parametrize(
    ("name", "n_parameters", "vocab_size"),
    [
        ("gpt2-124m", 124_439_808, 50_257),  # as GPT2LMHeadModel counts gpt2, gpt2-medium, gpt2-large and gpt2-xl
        ("gpt2-350m", 354_823_168, 50_257),
        ("gpt2-774m", 774_030_080, 50_257),
        ("gpt2-1.5b", 1_557_611_200, 50_257),
        ("llama-1.1b", 1_100_048_384, 32_000),  # TinyLlama 1.1B
    ],
)
def test_sizes_are_those_of_the_models_they_are_named_after(name: str, n_parameters: int, vocab_size: int) -> None:
    options = load(PRESETS[0].with_name(f"{name}.yaml"), TrainConfig).model
    with torch.device("meta"):
        model = Transformer(options, vocab_size, seed=0)
    padding = (model.embedding.num_embeddings - vocab_size) * options.d_model
    assert model.n_parameters() - padding == n_parameters
