"""A decoder-only transformer with attention inside documents.

Shapes: B rows, T positions, D d_model, H heads, K = D / H dimensions of a head, V padded vocabulary.

Pre-norm RMSNorm without weights (Zhang & Sennrich 2019, arXiv 1910.07467), rotary embeddings (Su et al. 2021, arXiv
2104.09864), normalised queries and keys (Henry et al. 2020, arXiv 2010.04245; here by RMSNorm as in Dehghani et al.
2023, arXiv 2302.05442), squared ReLU (So et al. 2021, arXiv 2109.08668), embeddings tied to the output matrix (Press &
Wolf 2017, arXiv 1608.05859), and residual branches that start at zero (Zhang et al. 2019, arXiv 1901.09321).
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from training.config import ModelOptions

ROTARY_BASE = 10_000.0
"""Su et al. 2021, section 3.2.2."""
VOCAB_MULTIPLE = 64
"""Matrix kernels are fastest when sizes are multiples of 64."""
EMBEDDING_STD = 0.02
"""GPT-2's initial standard deviation (openai/gpt-2: src/model.py); as the output matrix it starts near uniform."""
FEED_FORWARD = 4
"""Hidden width over d_model (Vaswani et al. 2017, arXiv 1706.03762)."""
IGNORED = -100
"""The target of a place that has none; torch's default `ignore_index`."""


def padded(vocab_size: int) -> int:
    """`vocab_size` rounded up to a multiple of `VOCAB_MULTIPLE`."""
    return -(-vocab_size // VOCAB_MULTIPLE) * VOCAB_MULTIPLE


def norm(x: Tensor) -> Tensor:
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


class Attention(nn.Module):
    """Causal self-attention inside documents; queries and keys are normalised, then turned."""

    def __init__(self, options: ModelOptions) -> None:
        super().__init__()
        self.n_heads = options.n_heads
        self.qkv = nn.Linear(options.d_model, 3 * options.d_model, bias=False)
        self.output = nn.Linear(options.d_model, options.d_model, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, D), cos and sin (B, 1, T, K / 2), mask (B, 1, T, T) -> (B, T, D)."""
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        q, k = (rotate(norm(x), cos, sin).to(v.dtype) for x in (q, k))
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.output(seen.transpose(1, 2).reshape(b, t, d))
        return out


class Block(nn.Module):
    """Attention, then a squared-ReLU feed-forward, each added to the residual stream."""

    def __init__(self, options: ModelOptions) -> None:
        super().__init__()
        self.attention = Attention(options)
        self.up = nn.Linear(options.d_model, FEED_FORWARD * options.d_model, bias=False)
        self.down = nn.Linear(FEED_FORWARD * options.d_model, options.d_model, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        x = x + self.attention(norm(x), cos, sin, mask)
        out: Tensor = x + self.down(F.relu(self.up(norm(x))).square())
        return out


class Transformer(nn.Module):
    """Tokens, positions and document numbers -> logits."""

    def __init__(self, options: ModelOptions, vocab_size: int, seed: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.d_head = options.d_model // options.n_heads
        self.embedding = nn.Embedding(padded(vocab_size), options.d_model)
        self.blocks = nn.ModuleList(Block(options) for _ in range(options.n_layers))
        self._initialise(torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        """Embedding N(0, EMBEDDING_STD), matrices that write to the residual stream 0, the others N(0, 1 / D)."""
        for name, parameter in self.named_parameters():
            if name.endswith(("output.weight", "down.weight")):
                parameter.zero_()
            else:
                std = EMBEDDING_STD if name == "embedding.weight" else parameter.size(1) ** -0.5
                parameter.normal_(0.0, std, generator=generator)

    def forward(self, tokens: Tensor, positions: Tensor, documents: Tensor) -> Tensor:
        """tokens, positions, documents (B, T) -> float32 logits (B, T, V).

        `positions` restart with each document. A place sees the earlier places with the same number in `documents`.
        No token has an id in the padded end of V.
        """
        cos, sin = rotation(positions, self.d_head)
        mask = document_mask(documents)
        x = norm(self.embedding(tokens))
        for block in self.blocks:
            x = block(x, cos, sin, mask)
        return F.linear(norm(x), self.embedding.weight).float()

    def n_parameters(self) -> int:
        """All weights; the embedding counts once, being the output matrix."""
        return sum(p.numel() for p in self.parameters())


def summed_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy in nats summed over the places whose target is not `IGNORED`: (B, T, V), (B, T) -> scalar."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")


def flops_per_token(n_parameters: int, options: ModelOptions) -> int:
    """Floating-point operations of one trained token: 6N + 12LdT, with N parameters, L layers, d width, T context
    (Chowdhery et al. 2022, arXiv 2204.02311, appendix B)."""
    return 6 * n_parameters + 12 * options.n_layers * options.d_model * options.context
