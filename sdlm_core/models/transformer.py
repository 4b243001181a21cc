"""The forward pass: transformer layers over a flat list of rows, on one page.

Covers Llama, Qwen2 and Qwen3 (they differ in biases and in Qwen3's norms of queries and keys). It knows nothing of
masks, caches or sequences: `attend` is handed each layer's queries, keys and values and decides who sees whom. So the
same page serves decoding (attend to a cache), training (attend within a packed batch) and the plain causal reading.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Linear = Callable[[Tensor], Tensor]
# attend(layer index, q (n, Hq, dh), k (n, Hkv, dh), v (n, Hkv, dh)) -> (n, Hq * dh)
Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]

ARCHITECTURES = ("llama", "qwen2", "qwen3")


@dataclass(frozen=True)
class Shape:
    """The sizes that a forward pass needs."""

    layers: int
    hidden: int
    query_heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int
    norm_eps: float

    @property
    def group(self) -> int:
        """Query heads that share a key head."""
        return self.query_heads // self.kv_heads

    def cache_row_bytes(self, dtype: torch.dtype) -> int:
        """Bytes of the keys and values of one token, in all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim * dtype.itemsize

    @classmethod
    def of(cls, config: Any) -> Shape:
        """Read from a transformers config of one of ARCHITECTURES."""
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return cls(
            layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            query_heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            head_dim=head_dim,
            vocabulary=config.vocab_size,
            context=config.max_position_embeddings,
            norm_eps=config.rms_norm_eps,
        )


@dataclass
class PlainLinear:
    """x (n, in) -> (n, out) by weight (out, in) and bias (out,)."""

    weight: Tensor
    bias: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


@dataclass
class Layer:
    """One decoder layer. The projections are callables: fused matrices, bitsandbytes modules or LoRA-merged weights."""

    input_norm: Tensor  # (hidden,)
    qkv: Linear  # hidden -> (Hq + 2 Hkv) * dh, in the order queries, keys, values
    output: Linear  # Hq * dh -> hidden
    mlp_norm: Tensor  # (hidden,)
    gate_up: Linear  # hidden -> 2 * intermediate, gate first
    down: Linear  # intermediate -> hidden
    query_norm: Tensor | None = None  # (dh,), Qwen3
    key_norm: Tensor | None = None


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x (..., h) scaled to unit mean square over its last dimension, times weight (h,), whatever dtype that has."""
    return F.rms_norm(x, weight.shape, weight.to(x.dtype), eps)


def swiglu(gate_up: Tensor) -> Tensor:
    """(n, 2 * intermediate), gate first, -> (n, intermediate)."""
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding of x (n, H, dh) by cos and sin (n, 1, dh)."""
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-right, left], dim=-1) * sin


@dataclass
class Transformer:
    """Weights and the pass over them. All tensors in one dtype; layers may lie on several devices."""

    shape: Shape
    embedding: Tensor  # (V, hidden)
    layers: Sequence[Layer]
    norm: Tensor  # (hidden,)
    head: Linear  # hidden -> V
    rotary: nn.Module  # transformers' rotary embedding: it knows every scaling variant

    def forward(self, token_ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """Hidden states after the final norm, (n, hidden), of n rows given by token_ids and positions, int64 (n,)."""
        return self.run(F.embedding(token_ids, self.embedding), positions, attend)

    def run(self, x: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """`forward` from the embedded rows x (n, hidden) on."""
        cos, sin = self.rotary(x[None], positions[None])
        # Spread over several devices, the rotary embedding may lie on another one than the first layer.
        cos, sin = cos[0, :, None, :].to(x.device), sin[0, :, None, :].to(x.device)  # (n, 1, dh)
        for index, layer in enumerate(self.layers):
            device = layer.input_norm.device
            if x.device != device:  # a model spread over several devices by accelerate
                x, cos, sin = x.to(device), cos.to(device), sin.to(device)
            x = self.run_layer(index, x, cos, sin, attend)
        return rms_norm(x.to(self.norm.device), self.norm, self.shape.norm_eps)

    def run_layer(self, index: int, x: Tensor, cos: Tensor, sin: Tensor, attend: Attend) -> Tensor:
        """One layer over the rows x (n, hidden)."""
        s, layer = self.shape, self.layers[index]
        h = rms_norm(x, layer.input_norm, s.norm_eps)
        qkv = layer.qkv(h).reshape(-1, s.query_heads + 2 * s.kv_heads, s.head_dim)
        qk, v = qkv.split([s.query_heads + s.kv_heads, s.kv_heads], dim=1)
        if layer.query_norm is not None and layer.key_norm is not None:
            q, k = qk.split([s.query_heads, s.kv_heads], dim=1)
            q = rms_norm(q, layer.query_norm, s.norm_eps)
            k = rms_norm(k, layer.key_norm, s.norm_eps)
            qk = torch.cat([q, k], dim=1)
        q, k = rotate(qk, cos, sin).split([s.query_heads, s.kv_heads], dim=1)
        x = x + layer.output(attend(index, q, k, v))
        h = rms_norm(x, layer.mlp_norm, s.norm_eps)
        return x + layer.down(swiglu(layer.gate_up(h)))

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over the vocabulary, (n, V) in the weights' dtype, of hidden states (n, hidden)."""
        return self.head(hidden)
