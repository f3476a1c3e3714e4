"""Our models against those of `transformers`: same weights, same logits, both ways."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from pipeline.manifest import load_manifest
from training import checkpoint
from training.config import ModelOptions, TrainConfig, TrainingError
from training.data import Dataset
from training.export import described, export, load_gpt2, main, to_hugging_face
from training.model import Transformer
from training.trainer import Trainer
from training.world import alone

Make = Callable[..., TrainConfig]
VOCAB = 70
GPT2 = ModelOptions(architecture="gpt2", n_layers=3, n_heads=4, d_model=32, context=24)
LLAMA = ModelOptions(architecture="llama", n_layers=3, n_heads=4, n_kv_heads=2, d_model=32, d_hidden=88, context=24)


def randomised(model: torch.nn.Module) -> Any:
    """Weights, biases and norms of a size at which every branch counts."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


def row(n: int = 24) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens of one document, and its positions and document numbers."""
    tokens = torch.randint(0, VOCAB, (2, n), generator=torch.Generator().manual_seed(3))
    return tokens, torch.arange(n).expand(2, n), torch.zeros_like(tokens)


def logits_of(theirs: Any, tokens: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = theirs(tokens).logits
    return found


@pytest.mark.parametrize("options", [GPT2, LLAMA], ids=["gpt2", "llama"])
@pytest.mark.parametrize("attention", ["documents", "row"])
def test_logits_equal_those_of_transformers(options: ModelOptions, attention: Any) -> None:
    model = randomised(Transformer(options.model_copy(update={"attention": attention}), VOCAB, seed=1))
    config: Any = described(options, VOCAB, {})
    theirs: Any = GPT2LMHeadModel(GPT2Config(**config)) if options is GPT2 else LlamaForCausalLM(LlamaConfig(**config))
    missing = theirs.load_state_dict(to_hugging_face(model.state_dict(), options, VOCAB), strict=False)
    assert set(missing.missing_keys) <= {"lm_head.weight"} and not missing.unexpected_keys  # tied
    theirs.tie_weights()
    inputs = row()
    found = model(*inputs).detach()
    assert found.shape == (2, 24, VOCAB) and float(found.std()) > 0.5
    torch.testing.assert_close(found, logits_of(theirs.eval(), inputs[0]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("options", [GPT2, LLAMA], ids=["gpt2", "llama"])
def test_documents_of_a_row_have_the_logits_of_each_alone(options: ModelOptions) -> None:
    model = randomised(Transformer(options, VOCAB, seed=1))
    tokens = row()[0][:1]
    positions = torch.cat([torch.arange(n) for n in (9, 11, 4)])[None]
    documents = torch.cat([torch.full((n,), i) for i, n in enumerate((9, 11, 4))])[None]
    packed = model(tokens, positions, documents)
    alone = [model(t, torch.arange(t.size(1))[None], torch.zeros_like(t)) for t in tokens.split([9, 11, 4], dim=1)]
    torch.testing.assert_close(packed, torch.cat(alone, dim=1), rtol=0, atol=1e-4)
    along = Transformer(options.model_copy(update={"attention": "row"}), VOCAB, seed=1)
    along.load_state_dict(model.state_dict())
    whole = model(tokens, torch.arange(24)[None], torch.zeros_like(tokens))
    torch.testing.assert_close(along(tokens, positions, documents), whole, rtol=0, atol=1e-4)
    assert (packed - whole).abs().max() > 0.1


@pytest.mark.parametrize("prefix", ["transformer.", ""])
def test_a_gpt2_of_transformers_is_loaded(tmp_path: Path, prefix: str) -> None:
    config = GPT2Config(vocab_size=VOCAB, n_positions=32, n_embd=32, n_layer=3, n_head=4)
    theirs = randomised(GPT2LMHeadModel(config))
    theirs.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    renamed = {prefix + name.removeprefix("transformer."): t for name, t in tensors.items()}
    save_file(renamed, tmp_path / "model.safetensors")
    model = Transformer(GPT2, VOCAB, seed=1)
    load_gpt2(model, tmp_path)
    inputs = row()
    torch.testing.assert_close(model(*inputs).detach(), logits_of(theirs, inputs[0]), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"n_layers": 2}, "n_layer: 3 there, 2 here"),
        ({"context": 64}, "n_positions: 32 there, model.context 64 here"),
        ({"d_model": 40}, "n_embd: 32 there, 40 here"),
    ],
)
def test_another_shape_is_refused(tmp_path: Path, change: dict[str, int], expected: str) -> None:
    GPT2LMHeadModel(GPT2Config(vocab_size=VOCAB, n_positions=32, n_embd=32, n_layer=3, n_head=4)).save_pretrained(
        tmp_path
    )
    with pytest.raises(TrainingError, match=expected):
        load_gpt2(Transformer(GPT2.model_copy(update=change), VOCAB, seed=1), tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(TrainingError, match="holds no GPT-2 that can be read"):
        load_gpt2(Transformer(GPT2, VOCAB, seed=1), tmp_path)


SHAPES = {
    "gpt2": "model={architecture: gpt2, n_layers: 2, n_heads: 2, d_model: 32, context: 32}",
    "llama": "model={architecture: llama, n_layers: 2, n_heads: 4, n_kv_heads: 2, d_model: 32, context: 32}",
    "modern": "model={architecture: modern, n_layers: 2, n_heads: 2, d_model: 32, context: 32}",
}


def trained(config: TrainConfig) -> tuple[Trainer, Path]:
    trainer = Trainer(config, Dataset(config.data), alone("cpu"))
    for _ in range(2):
        trainer.step()
    return trainer, trainer.save(wait=True)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_an_exported_checkpoint_is_loaded_by_transformers(
    make_config: Make, version: Path, tmp_path: Path, name: str
) -> None:
    trainer, folder = trained(make_config(SHAPES[name]))
    assert main([str(folder), "--data", str(version), "--to", str(tmp_path / "hf")]) == 0
    theirs: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "hf", local_files_only=True).eval()
    batch, _ = trainer.batches.at(0, 1)
    tokens = batch.tokens[:1]
    inputs = (tokens, torch.arange(32)[None], torch.zeros_like(tokens))
    found = trainer.model(*inputs).detach()
    torch.testing.assert_close(found, logits_of(theirs, tokens), rtol=0, atol=1e-4)
    assert theirs.generation_config.eos_token_id == load_manifest(version).tokenizer["eos_id"]
    assert main([str(folder), "--data", str(version), "--to", str(tmp_path / "hf")]) == 2  # is there already


def test_what_cannot_be_exported_says_why(
    make_config: Make, version: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder = trained(make_config(SHAPES["modern"]))
    assert main([str(folder), "--data", str(version), "--to", str(tmp_path / "hf")]) == 2
    assert "`transformers` has no model like architecture: modern" in capsys.readouterr().err
    assert not (tmp_path / "hf").exists()
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps(state | {"tokenizer": "0" * 64}))
    assert main([str(folder), "--data", str(version), "--to", str(tmp_path / "hf")]) == 2
    assert "trained with 0000000000000000..." in capsys.readouterr().err
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(checkpoint.CheckpointError):
        checkpoint.read_tensors(folder, checkpoint.MODEL, state)


def test_training_starts_from_an_export_of_its_own(make_config: Make, version: Path, tmp_path: Path) -> None:
    trainer, folder = trained(make_config(SHAPES["gpt2"]))
    export(folder, version, tmp_path / "hf")
    started = Trainer(
        make_config(SHAPES["gpt2"], f"start_from={tmp_path / 'hf'}", output="next"), Dataset(version), alone("cpu")
    )
    vocab_size = trainer.dataset.vocab_size
    for (name, a), b in zip(trainer.model.named_parameters(), started.model.parameters(), strict=True):
        rows = vocab_size if name == "embedding.weight" else a.size(0)
        assert torch.equal(a[:rows], b[:rows])
