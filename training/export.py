"""Weights to and from Hugging Face's form: `python -m training.export CHECKPOINT --data VERSION --to FOLDER`.

`pipeline export-model` runs it and adds the tokenizer's files.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.manifest import Manifest, ManifestError, load_manifest
from training.checkpoint import MODEL, CheckpointError, read_state, read_tensors
from training.config import ModelOptions, TrainingError
from training.data import find_version
from training.model import ROTARY_BASE, Transformer

CONFIG, GENERATION = "config.json", "generation_config.json"
GPT2_NAMES = {
    "embedding": "transformer.wte",
    "positions": "transformer.wpe",
    "norm": "transformer.ln_f",
    "attention_norm": "ln_1",
    "attention.qkv": "attn.c_attn",
    "attention.output": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "feed_forward.up": "mlp.c_fc",
    "feed_forward.down": "mlp.c_proj",
}
LLAMA_NAMES = {
    "embedding": "model.embed_tokens",
    "norm": "model.norm",
    "head": "lm_head",
    "attention_norm": "input_layernorm",
    "attention.output": "self_attn.o_proj",
    "feed_forward_norm": "post_attention_layernorm",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.up": "mlp.up_proj",
    "feed_forward.down": "mlp.down_proj",
}
"""Our names and those of GPT2LMHeadModel and LlamaForCausalLM, without "blocks.N." and the like, and ".weight"."""
_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")


def to_hugging_face(weights: Mapping[str, Tensor], options: ModelOptions, vocab_size: int) -> dict[str, Tensor]:
    """A model's weights by the names and in the shapes of `transformers`, without the padding of the vocabulary.

    Raises:
        TrainingError: for `modern`.
    """
    if options.architecture == "modern":
        raise TrainingError(
            "`transformers` has no model like architecture: modern (squared ReLU and normalised queries and keys "
            "without weights), so it is not exported. Its model.safetensors is read by training.model.Transformer; to "
            "publish for `transformers`, train architecture: llama or gpt2"
        )
    made = {}
    for name, tensor in weights.items():
        for theirs, part in _theirs(name, tensor, options):
            whole = part[:vocab_size] if name in ("embedding.weight", "head.weight") else part
            made[theirs] = whole.clone(memory_format=torch.contiguous_format)
    return made


def _theirs(name: str, tensor: Tensor, options: ModelOptions) -> Iterator[tuple[str, Tensor]]:
    within = _BLOCK.match(name)
    module, _, kind = (within[2] if within else name).rpartition(".")
    if options.architecture == "gpt2":
        prefix = f"transformer.h.{within[1]}." if within else ""
        # GPT-2's `Conv1D` keeps (in, out) where a Linear keeps (out, in).
        yield f"{prefix}{GPT2_NAMES[module]}.{kind}", tensor.T if within and tensor.ndim == 2 else tensor
        return
    prefix = f"model.layers.{within[1]}." if within else ""
    if module == "attention.qkv":
        sizes = [n * options.d_head for n in (options.n_heads, options.kv_heads, options.kv_heads)]
        for letter, part in zip("qkv", torch.split(tensor, sizes), strict=True):
            yield f"{prefix}self_attn.{letter}_proj.{kind}", part
    else:
        yield f"{prefix}{LLAMA_NAMES[module]}.{kind}", tensor


def described(options: ModelOptions, vocab_size: int, special: Mapping[str, int]) -> dict[str, Any]:
    """`config.json` of the model; `special` holds bos_token_id and the like."""
    shared = {"vocab_size": vocab_size, "dtype": "float32", "tie_word_embeddings": options.kind.is_tied, **special}
    if options.architecture == "gpt2":
        return {
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
            "n_layer": options.n_layers,
            "n_head": options.n_heads,
            "n_embd": options.d_model,
            "n_positions": options.context,
            "activation_function": "gelu_new",
            "layer_norm_epsilon": 1e-5,
            "attn_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "resid_pdrop": 0.0,
            **shared,
        }
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "num_hidden_layers": options.n_layers,
        "num_attention_heads": options.n_heads,
        "num_key_value_heads": options.kv_heads,
        "head_dim": options.d_head,
        "hidden_size": options.d_model,
        "intermediate_size": options.hidden,
        "max_position_embeddings": options.context,
        "hidden_act": "silu",
        "rms_norm_eps": options.kind.rms_epsilon,
        "rope_theta": ROTARY_BASE,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROTARY_BASE},
        "attention_bias": False,
        "mlp_bias": False,
        **shared,
    }


def export(checkpoint: Path, version: Path, to: Path) -> None:
    """Write config.json, generation_config.json and model.safetensors of `checkpoint` into the new folder `to`.

    Raises:
        CheckpointError: if the checkpoint is damaged.
        ManifestError, TrainingError: if `version` is no dataset version, or not one with the checkpoint's tokenizer; if
            the model has no class in `transformers`, or `to` is there already.
    """
    state = read_state(checkpoint)
    manifest = load_manifest(version)
    _check_tokenizer(state, manifest, version)
    options = ModelOptions.model_validate(state["config"]["model"])
    ids = {f"{mark}_token_id": manifest.tokenizer[f"{mark}_id"] for mark in ("bos", "eos", "pad")}
    vocab_size = int(manifest.tokenizer["vocab_size"])
    tensors = to_hugging_face(read_tensors(checkpoint, MODEL, state), options, vocab_size)
    if to.exists():
        raise TrainingError(f"{to}: is there already and stays as it is; name a new folder")
    aside = to.with_name(f".aside-{to.name}")
    aside.mkdir(parents=True, exist_ok=True)
    for name, value in ((CONFIG, described(options, vocab_size, ids)), (GENERATION, ids)):
        (aside / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    save_file(tensors, aside / MODEL, metadata={"format": "pt"})
    aside.rename(to)


def _check_tokenizer(state: Mapping[str, Any], manifest: Manifest, version: Path) -> None:
    found, wanted = manifest.tokenizer["fingerprint"], state["tokenizer"]
    if found != wanted:
        raise TrainingError(
            f"{version}: its tokenizer has the fingerprint {found[:16]}..., the checkpoint was trained with "
            f"{wanted[:16]}...; name the dataset it was trained on (version {state['version']}) with `--data`"
        )


@torch.no_grad()
def load_gpt2(model: Transformer, folder: Path) -> None:
    """Give `model` the weights of a GPT-2 that lies in `folder` as `transformers` saves it.

    `model.context` may be shorter than that GPT-2's.

    Raises:
        TrainingError: if a file is missing or damaged, or that model is not of this shape; the text lists what differs.
    """
    options = model.options
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        found = load_file(folder / MODEL)
    except (OSError, ValueError, SafetensorError) as error:
        raise TrainingError(
            f"start_from: {folder} holds no GPT-2 that can be read ({error}); expected are {CONFIG} and {MODEL}, as "
            "`GPT2LMHeadModel.save_pretrained` of transformers writes them"
        ) from None
    wanted = described(options, model.vocab_size, {})
    names = ("model_type", "n_layer", "n_head", "n_embd", "vocab_size", "activation_function", "layer_norm_epsilon")
    differing = [f"{name}: {config.get(name)!r} there, {wanted.get(name)!r} here" for name in names]
    differing = [text for text, name in zip(differing, names, strict=True) if config.get(name) != wanted.get(name)]
    if config.get("n_positions", 0) < options.context:
        differing.append(f"n_positions: {config.get('n_positions')!r} there, model.context {options.context} here")
    if differing:
        raise TrainingError(
            f"start_from: the model in {folder} is not the one of this configuration:\n  "
            + "\n  ".join(differing)
            + "\n"
            "Set model, and take a dataset whose tokenizer has as many pieces, as that model needs."
        )
    for name, parameter in model.named_parameters():
        ((theirs, target),) = _theirs(name, parameter, options)
        tensor = found.get(theirs, found.get(theirs.removeprefix("transformer.")))  # some files leave the prefix out
        rows = {"embedding.weight": model.vocab_size, "positions.weight": options.context}.get(name, target.size(0))
        if tensor is None or tensor[:rows].shape != target[:rows].shape:
            what = "is missing" if tensor is None else f"has the shape {list(tensor.shape)}"
            raise TrainingError(f"start_from: {folder / MODEL}: {theirs} {what}, not {list(target[:rows].shape)}")
        target[:rows].copy_(tensor[:rows])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 2 for what a person can put right."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description="A checkpoint for transformers.")
    parser.add_argument("checkpoint", type=Path, help="a folder such as models/x/checkpoints/step-00001000")
    parser.add_argument("--data", type=Path, required=True, help="the dataset or version it was trained on")
    parser.add_argument("--to", type=Path, required=True, help="a new folder")
    options = parser.parse_args(arguments)
    try:
        export(options.checkpoint, find_version(options.data), options.to)
    except (CheckpointError, ManifestError, TrainingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
