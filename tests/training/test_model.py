"""The transformer against an independent reference in numpy, and what it may see."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from training.config import ModelOptions
from training.model import (
    IGNORED,
    Places,
    Transformer,
    attend,
    document_mask,
    flops_per_token,
    padded,
    summed_loss,
)

OPTIONS = ModelOptions(architecture="modern", n_layers=2, n_heads=2, d_model=16, context=12)
VOCAB = 70


def random_model() -> Transformer:
    """A model whose branches do something: at the start they are zero."""
    model = Transformer(OPTIONS, VOCAB, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.4, generator=generator)
    return model


def rms(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + np.finfo(np.float32).eps)


def reference(model: Transformer, tokens: list[int]) -> np.ndarray:
    """Logits of one document alone, in float64: loops over heads and places, rotary by complex numbers."""
    w = {name: p.detach().double().numpy() for name, p in model.named_parameters()}
    n, d, k = len(tokens), OPTIONS.d_model, OPTIONS.d_model // OPTIONS.n_heads
    turns = np.exp(1j * np.outer(np.arange(n), 10_000.0 ** -(np.arange(k // 2) / (k // 2))))
    x = rms(w["embedding.weight"][tokens])
    for layer in range(OPTIONS.n_layers):
        q, keys, v = np.split(rms(x) @ w[f"blocks.{layer}.attention.qkv.weight"].T, 3, axis=1)
        seen = np.zeros((n, d))
        for head in range(OPTIONS.n_heads):
            part = slice(head * k, (head + 1) * k)
            turned = []
            for raw in (q, keys):
                y = rms(raw[:, part])
                turned.append((y[:, : k // 2] + 1j * y[:, k // 2 :]) * turns)
            for i in range(n):
                score = (turned[0][i] * turned[1][: i + 1].conj()).real.sum(axis=1) / np.sqrt(k)
                weight = np.exp(score - score.max())
                seen[i, part] = (weight / weight.sum()) @ v[: i + 1, part]
        x = x + seen @ w[f"blocks.{layer}.attention.output.weight"].T
        hidden = np.maximum(rms(x) @ w[f"blocks.{layer}.feed_forward.up.weight"].T, 0) ** 2
        x = x + hidden @ w[f"blocks.{layer}.feed_forward.down.weight"].T
    return rms(x) @ w["embedding.weight"][:VOCAB].T


def packed(lengths: list[int], pad: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randint(0, VOCAB, (1, sum(lengths) + pad), generator=generator)
    positions = torch.cat([torch.arange(n) for n in (*lengths, pad)])[None]
    documents = torch.cat([torch.full((n,), i) for i, n in enumerate(lengths)] + [torch.full((pad,), -1)])[None]
    return tokens, positions, documents


def test_logits_of_packed_documents_equal_the_reference_of_each_alone() -> None:
    model = random_model()
    lengths = [5, 1, 4]
    tokens, positions, documents = packed(lengths, pad=2)
    logits = model(tokens, positions, documents)[0].detach().numpy()
    start = 0
    for length in lengths:
        expected = reference(model, tokens[0, start : start + length].tolist())
        np.testing.assert_allclose(logits[start : start + length], expected, rtol=2e-4, atol=2e-4)
        start += length
    assert np.isfinite(logits).all()  # padding too


def test_nothing_leaks_across_documents_or_from_the_future() -> None:
    model = random_model()
    tokens, positions, documents = packed([4, 5, 3], pad=0)
    before = model(tokens, positions, documents)
    changed = tokens.clone()
    changed[0, 4:7] = (changed[0, 4:7] + 1) % VOCAB
    after = model(changed, positions, documents)
    assert torch.equal(before[0, :4], after[0, :4]) and torch.equal(before[0, 9:], after[0, 9:])
    assert (before[0, 4:9] != after[0, 4:9]).any(dim=-1).all()
    changed = tokens.clone()
    changed[0, 8] = (changed[0, 8] + 1) % VOCAB
    assert torch.equal(before[0, :8], model(changed, positions, documents)[0, :8])


def test_document_mask() -> None:
    mask = document_mask(torch.tensor([[0, 0, 1, -1]]))[0, 0]
    assert mask.int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def test_the_first_loss_is_near_uniform() -> None:
    model = Transformer(OPTIONS, VOCAB, seed=0)
    tokens, positions, documents = packed([12], pad=0)
    logits = model(tokens, positions, documents)
    assert logits.shape == (1, 12, VOCAB) and logits.dtype == torch.float32
    targets = tokens.roll(-1).clone()
    targets[0, -3:] = IGNORED
    assert float(summed_loss(logits.detach(), targets)) / 9 == pytest.approx(np.log(VOCAB), abs=0.1)


def test_equal_seeds_give_equal_weights() -> None:
    a, b, c = (Transformer(OPTIONS, VOCAB, seed).state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["embedding.weight"], c["embedding.weight"])


def test_padded_vocabulary_and_flops() -> None:
    assert [padded(n) for n in (1, 64, 65, 50_257)] == [64, 64, 128, 50_304]
    assert flops_per_token(1000, OPTIONS) == 6 * 1000 + 12 * 2 * 16 * 12
    model = Transformer(OPTIONS, VOCAB, seed=0)
    assert model.n_parameters() == 128 * 16 + 2 * 12 * 16 * 16


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "modern"])
def test_recomputed_activations_give_the_same_gradients(architecture: Any) -> None:
    options = OPTIONS.model_copy(update={"architecture": architecture})
    gradients = []
    for recompute in (False, True):
        model = Transformer(options, VOCAB, seed=1, recompute=recompute)
        inputs = packed([5, 7], pad=0)
        summed_loss(model(*inputs), inputs[0].roll(-1)).backward()  # type: ignore[no-untyped-call]
        gradients.append([p.grad for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True) if a is not None and b is not None)


def test_attention_by_begins_of_documents_is_attention_by_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel needs a GPU: one that does what its documentation says stands in for it."""
    lengths, generator = [5, 1, 4, 2, 12], torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(2, 2, 12, 8, generator=generator) for _ in range(3))
    documents = torch.tensor([[0] * 5 + [1] + [2] * 4 + [-1] * 2, [0] * 12])

    def kernel(
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        begins: torch.Tensor,
        _: Any,
        max_q: int,
        *__: Any,
        **how: Any,
    ) -> torch.Tensor:
        assert how in ({"window_size": (-1, 0)}, {"is_causal": True}) and begins.dtype == torch.int32 and max_q == 12
        parts = [t.tensor_split(begins[1:-1].long()) for t in (q, k, v)]
        seen = [
            F.scaled_dot_product_attention(*(t.transpose(0, 1) for t in part), is_causal=True).transpose(0, 1)
            for part in zip(*parts, strict=True)
        ]
        return torch.cat(seen)

    monkeypatch.setattr("training.model.varlen_attn", kernel)
    begins = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)
    by_begins = attend(q, k, v, Places(None, None, begins))
    by_mask = attend(q, k, v, Places(None, document_mask(documents), None))
    torch.testing.assert_close(by_begins, by_mask)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the kernel for attention inside documents needs a GPU")
@pytest.mark.parametrize("architecture", ["gpt2", "llama", "modern"])
def test_bf16_on_a_gpu_is_near_fp32(architecture: Any) -> None:
    options = ModelOptions(architecture=architecture, n_layers=2, n_heads=2, d_model=128, context=12)
    model = Transformer(options, VOCAB, seed=1).cuda()
    inputs = [t.cuda() for t in packed([5, 1, 4], pad=2)]
    begins = torch.tensor([0, 5, 6, 10, 12], dtype=torch.int32, device="cuda")
    expected = model(*inputs)
    with torch.autocast("cuda", torch.bfloat16):
        found = model(*inputs, begins)
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()
