"""A decoder-only transformer with attention inside documents: GPT-2, Llama, and what the speedruns made of them.

Shapes: B rows, T positions, D d_model, L layers, H heads, G heads of keys and values, K = D / H dimensions of a head, F
hidden width of the feed-forward, V vocabulary (its tables are padded to a multiple of 64, the logits are not).

| `architecture` | positions | normalised | feed-forward | biases | output matrix |
|---|---|---|---|---|---|
| gpt2 | learned | LayerNorm before each branch and the output | GELU by tanh, F = 4 D | yes | the embedding |
| llama | rotary | RMSNorm there | SwiGLU, F about 8/3 D, G may be below H | no | its own |
| modern | rotary | there, embedding, queries, keys: RMSNorm, no weights | squared ReLU, F = 4 D | no | the embedding |

Pre-norm (Radford et al. 2019, section 2.3), GELU (Hendrycks & Gimpel 2016, arXiv 1606.08415), RMSNorm (Zhang & Sennrich
2019, arXiv 1910.07467), rotary embeddings (Su et al. 2021, arXiv 2104.09864), SwiGLU (Shazeer 2020, arXiv 2002.05202),
normalised queries and keys (Henry et al. 2020, arXiv 2010.04245; here by RMSNorm as in Dehghani et al. 2023, arXiv
2302.05442), squared ReLU (So et al. 2021, arXiv 2109.08668), tied embeddings (Press & Wolf 2017, arXiv 1608.05859), and
residual branches that start at zero (Zhang et al. 2019, arXiv 1901.09321).
"""

from inspect import signature
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from torch.utils.checkpoint import checkpoint

from training.config import ModelOptions

ROTARY_BASE = 10_000.0
"""Su et al. 2021, section 3.2.2."""
VOCAB_MULTIPLE = 64
"""Matrix kernels are fastest when sizes are multiples of 64."""
INITIAL_STD = 0.02
"""GPT-2's initial standard deviation (openai/gpt-2: src/model.py), Llama's too; an embedding of it starts near uniform
as output matrix."""
IGNORED = -100
"""The target of a place that has none; torch's default `ignore_index`."""
CAUSAL: dict[str, Any] = (
    {"window_size": (-1, 0)} if "window_size" in signature(varlen_attn).parameters else {"is_causal": True}
)
"""How `varlen_attn` is told that no place sees a later one: later versions of torch have another name for it."""


def padded(vocab_size: int) -> int:
    """`vocab_size` rounded up to a multiple of `VOCAB_MULTIPLE`."""
    return -(-vocab_size // VOCAB_MULTIPLE) * VOCAB_MULTIPLE


def rms_norm(x: Tensor) -> Tensor:
    """RMSNorm over the last dimension, without weights."""
    return F.rms_norm(x, (x.size(-1),))


def rotation(positions: Tensor, d_head: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine of position x ROTARY_BASE^(-2k / K): positions (B, T) -> two float32 (B, 1, T, K / 2)."""
    power = torch.arange(0, d_head, 2, device=positions.device, dtype=torch.float32) / d_head
    angle = positions[:, None, :, None].float() * (ROTARY_BASE**-power)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (k, k + K / 2) of x (B, H, T, K) by the angles of cos and sin (B, 1, T, K / 2); float32."""
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def document_mask(documents: Tensor) -> Tensor:
    """(B, T) document numbers -> (B, 1, T, T) bool: true where a query may see a key, that is an earlier place (or the
    same) of the same document."""
    t = documents.size(1)
    causal = torch.ones(t, t, dtype=torch.bool, device=documents.device).tril()
    return (documents[:, None, :, None] == documents[:, None, None, :]) & causal


class Places(NamedTuple):
    """What the blocks know of a batch. `turns`: cosine and sine (B, 1, T, K / 2), if positions are rotary. Attention is
    by `begins` (n + 1,) int32, the first places of documents in the batch laid out flat and B x T, else by `mask`
    (B, 1, T, T), else along the row."""

    turns: tuple[Tensor, Tensor] | None
    mask: Tensor | None
    begins: Tensor | None


def attend(q: Tensor, k: Tensor, v: Tensor, places: Places) -> Tensor:
    """Causal attention: q, k, v (B, H, T, K) -> (B, T, H, K)."""
    if places.begins is None:
        is_causal = places.mask is None
        return F.scaled_dot_product_attention(q, k, v, attn_mask=places.mask, is_causal=is_causal).transpose(1, 2)
    b, _, t, _ = q.shape
    q, k, v = (x.transpose(1, 2).flatten(0, 1) for x in (q, k, v))
    seen: Any = varlen_attn(q, k, v, places.begins, places.begins, t, t, **CAUSAL)
    out: Tensor = seen.view(b, t, *seen.shape[1:])
    return out


def make_norm(options: ModelOptions) -> nn.Module:
    """The norm over D in front of a branch or of the output."""
    if options.kind.norm == "layer":
        return nn.LayerNorm(options.d_model)
    epsilon = options.kind.rms_epsilon
    return nn.RMSNorm(options.d_model, epsilon, elementwise_affine=epsilon is not None)


class Attention(nn.Module):
    """Causal self-attention."""

    def __init__(self, options: ModelOptions) -> None:
        super().__init__()
        self.kind, self.d_head = options.kind, options.d_head
        self.n_queries_per_key = options.n_heads // options.kv_heads
        self.sizes = [n * options.d_head for n in (options.n_heads, options.kv_heads, options.kv_heads)]
        self.qkv = nn.Linear(options.d_model, sum(self.sizes), bias=self.kind.has_bias)
        self.output = nn.Linear(options.d_model, options.d_model, bias=self.kind.has_bias)

    def forward(self, x: Tensor, places: Places) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        heads = (part.unflatten(-1, (-1, self.d_head)).transpose(1, 2) for part in self.qkv(x).split(self.sizes, -1))
        q, k, v = heads  # (B, H, T, K), (B, G, T, K), (B, G, T, K)
        if self.kind.has_qk_norm:
            q, k = rms_norm(q), rms_norm(k)
        if places.turns:
            q, k = rotate(q, *places.turns).to(v.dtype), rotate(k, *places.turns).to(v.dtype)
        if self.n_queries_per_key > 1:
            k, v = (part.repeat_interleave(self.n_queries_per_key, dim=1) for part in (k, v))
        out: Tensor = self.output(attend(q, k, v, places).flatten(2))
        return out


class FeedForward(nn.Module):
    """Each place by itself through F dimensions."""

    def __init__(self, options: ModelOptions) -> None:
        super().__init__()
        self.activation = options.kind.activation
        self.up = nn.Linear(options.d_model, options.hidden, bias=options.kind.has_bias)
        if self.activation == "swiglu":
            self.gate = nn.Linear(options.d_model, options.hidden, bias=options.kind.has_bias)
        self.down = nn.Linear(options.hidden, options.d_model, bias=options.kind.has_bias)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        if self.activation == "swiglu":
            hidden = F.silu(self.gate(x)) * self.up(x)
        elif self.activation == "gelu":
            hidden = F.gelu(self.up(x), approximate="tanh")
        else:
            hidden = F.relu(self.up(x)).square()
        out: Tensor = self.down(hidden)
        return out


class Block(nn.Module):
    """Attention, then a feed-forward, each with a norm before it and added to the residual stream."""

    def __init__(self, options: ModelOptions) -> None:
        super().__init__()
        self.attention_norm, self.attention = make_norm(options), Attention(options)
        self.feed_forward_norm, self.feed_forward = make_norm(options), FeedForward(options)

    def forward(self, x: Tensor, places: Places) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        x = x + self.attention(self.attention_norm(x), places)
        out: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return out


class Transformer(nn.Module):
    """Tokens, positions and document numbers -> logits.

    `recompute`: keep only what goes into each block, and compute the rest again on the way back.
    """

    def __init__(self, options: ModelOptions, vocab_size: int, seed: int, recompute: bool = False) -> None:
        super().__init__()
        self.options, self.vocab_size, self.recompute = options, vocab_size, recompute
        self.embedding = nn.Embedding(padded(vocab_size), options.d_model)
        if options.kind.positions == "learned":
            self.positions = nn.Embedding(options.context, options.d_model)
        self.blocks = nn.ModuleList(Block(options) for _ in range(options.n_layers))
        self.norm = make_norm(options)
        if not options.kind.is_tied:
            self.head = nn.Linear(options.d_model, padded(vocab_size), bias=False)
        self._initialise(torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        """Matrices N(0, INITIAL_STD), norms 1, biases 0.

        In `gpt2`, matrices that write to the residual stream are smaller by sqrt(2 L), which is how many do (Radford et
        al. 2019, section 2.3). In `modern` they are 0, and those that read from it N(0, 1 / D).
        """
        initial = self.options.kind.initial
        for name, parameter in self.named_parameters():
            writes = name.endswith(("output.weight", "down.weight"))
            if parameter.ndim == 1:
                parameter.fill_(1.0 if name.endswith("norm.weight") else 0.0)
            elif initial == "zero" and writes:
                parameter.zero_()
            else:
                std = INITIAL_STD
                if initial == "gpt2" and writes:
                    std /= (2 * self.options.n_layers) ** 0.5
                elif initial == "zero" and name.startswith("blocks."):
                    std = parameter.size(1) ** -0.5
                parameter.normal_(0.0, std, generator=generator)

    def forward(self, tokens: Tensor, positions: Tensor, documents: Tensor, begins: Tensor | None = None) -> Tensor:
        """tokens, positions, documents (B, T), begins (n + 1,) -> float32 logits (B, T, V).

        With `attention: documents`, `positions` restart with each document, and a place sees the earlier places with
        the same number in `documents`; under bf16 on a GPU, whose kernel wants them so, by `begins` (see Places). With
        `row` neither counts: places are numbered along the row and see all before them.
        """
        options, mask = self.options, None
        if options.attention == "row":
            positions, begins = torch.arange(tokens.size(1), device=tokens.device).expand_as(tokens), None
        elif begins is None or not (tokens.is_cuda and torch.is_autocast_enabled("cuda")):
            mask, begins = document_mask(documents), None
        x = self.embedding(tokens)
        if options.kind.positions == "learned":
            x = x + self.positions(positions)
        if options.kind.has_embedding_norm:
            x = rms_norm(x)
        places = Places(
            rotation(positions, options.d_head) if options.kind.positions == "rotary" else None, mask, begins
        )
        for block in self.blocks:
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(block, x, places, use_reentrant=False)
            else:
                x = block(x, places)
        head = self.embedding if options.kind.is_tied else self.head
        # A GPU wants the padded table. Elsewhere its rows are cut: to cut the logits copies them, there and back.
        weight = head.weight if x.is_cuda else head.weight[: self.vocab_size]
        return F.linear(self.norm(x), weight)[..., : self.vocab_size].float()

    def n_parameters(self) -> int:
        """All weights, padding of the vocabulary included; an embedding that is the output matrix counts once."""
        return sum(p.numel() for p in self.parameters())

    def n_multiplied(self) -> int:
        """Weights that each token is multiplied with: all but tables that are only looked up."""
        looked_up = [] if self.options.kind.is_tied else [self.embedding]
        looked_up += [self.positions] if self.options.kind.positions == "learned" else []
        return self.n_parameters() - sum(table.weight.numel() for table in looked_up)


def summed_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy in nats summed over the places whose target is not `IGNORED`: (B, T, V), (B, T) -> scalar."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")


def losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy in nats of each place, 0 where the target is `IGNORED`: (B, T, V), (B, T) -> (B, T)."""
    each = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return each.view_as(targets)


def flops_per_token(n_multiplied: int, options: ModelOptions) -> int:
    """Floating-point operations of one trained token: 6N + 12LdT, with N weights that are multiplied, L layers, d
    width, T context (Chowdhery et al. 2022, arXiv 2204.02311, appendix B)."""
    return 6 * n_multiplied + 12 * options.n_layers * options.d_model * options.context
