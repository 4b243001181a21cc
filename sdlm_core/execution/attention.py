"""Attention of planned rows to their slots of the KV cache, with grouped queries.

Query heads that share a key head are laid side by side as rows, so that each key is read once: `attend_grouped` is the
only place that knows this layout. `OwnAttention` serves one run, `SharedAttention` runs of few rows that share a pool,
in one call, since a call costs more than they do. Who sees whom comes from `masks`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sdlm_core import masks
from sdlm_core.execution.cache import CachePool, KVCache
from sdlm_core.execution.plan import Plan
from sdlm_core.execution.shapes import (
    BLOCK_PLACES,
    attention_length,
    attention_rows,
    attention_slots,
    block_places,
    multiple,
)


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """softmax(q kᵀ / √dh + bias) v of q (B, H, n, dh), k and v (B, H, m, dh), bias (B, 1, n, m) -> (B, H, n, dh).

    PyTorch's fused kernel, but in bfloat16 on a CPU two plain products: from 500 tokens of context on they take half
    the time, and a row's result depends neither on the rows beside it nor on how much of the cache is hidden, as that
    of the fused kernel does. So a run's tokens do not depend on who shares its batch.
    """
    if q.device.type != "cpu" or q.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    weights = torch.add(bias, q @ k.transpose(-1, -2), alpha=q.shape[-1] ** -0.5).softmax(dim=-1)
    return weights @ v


def attend_grouped(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """q (B, R, Hq, dh); k and v (B, Hkv, M, dh); bias (B, 1, G · R, M) by `grouped_bias` -> (B, R, Hkv, G, dh).

    Flattened, the last three dimensions of the result are Hq · dh, in the order of the query heads.
    """
    slots, rows, query_heads, head_dim = q.shape
    kv_heads = k.shape[1]
    group = query_heads // kv_heads
    q = q.view(slots, rows, kv_heads, group, head_dim).permute(0, 2, 3, 1, 4)
    if slots > 1 and q.device.type == "cpu":
        # A slot's capacity lies between the first rows of two slots: read so, a product takes 3 to 10 times as long.
        k, v = k.contiguous(), v.contiguous()
    mixed = attention(q.reshape(slots, kv_heads, group * rows, head_dim), k, v, bias)
    return mixed.view(slots, kv_heads, group, rows, head_dim).permute(0, 3, 1, 2, 4)


def grouped_bias(bias: Tensor, group: int) -> Tensor:
    """(B, R, M) -> (B, 1, G · R, M): the rows' bias once for each query head of a group."""
    return bias[:, None].repeat(1, 1, group, 1)


def places(plan: Plan, known: int) -> Tensor:
    """The row of the cache that each row of the plan is written to, int64 (n,), where `known` rows hold text.

    Causal rows come next; each block begins at a multiple of BLOCK_PLACES. A product and a softmax add up their terms
    in groups of so many: a block that begins a group has the same sums wherever it lies, so a draft's branch gives the
    very numbers that the pass of one block gives for it (in bfloat16 on a CPU without AMX).
    """
    causal = plan.causal
    own = torch.arange(len(plan.rows))
    if len(own) > causal:
        block, row = (own[causal:] - causal) // plan.width, (own[causal:] - causal) % plan.width
        own[causal:] = multiple(known + causal, BLOCK_PLACES) - known + block * multiple(plan.width, BLOCK_PLACES) + row
    return own + known


def places_end(plan: Plan, known: int) -> int:
    """Rows of the cache that such a pass needs."""
    return block_places(known + plan.causal, plan.width, len(plan.branches) if len(plan.rows) > plan.causal else 0)


def fill_bias(bias: Tensor, plan: Plan, known: int, causal_attn: bool) -> None:
    """Write to bias (n, M) 0 where a row of the plan sees a row of the cache, −∞ elsewhere.

    A row sees the `known` rows of text, and of the pass's own rows, which lie at `places`, what `masks` says.
    """
    bias.fill_(-torch.inf)
    bias[:, :known] = 0
    seen = torch.full((len(plan.rows), len(plan.rows)), -torch.inf, dtype=bias.dtype)
    bias[:, places(plan, known)] = seen.masked_fill_(masks.attention_mask(plan.rows, causal_attn), 0)


class OwnAttention:
    """One run that attends to its own slot, all query rows against the first `length` rows of its cache."""

    def __init__(self, cache: KVCache, plan: Plan, start: int, group: int, causal_attn: bool, like: Tensor) -> None:
        """start: the plan's first row among those of the pass; like: any tensor of the model's dtype and device."""
        n = len(plan.rows)
        self.cache, self.rows = cache, slice(start, start + n)  # of the pass's rows, those of this run
        place = places(plan, cache.length)
        self.length = attention_length(places_end(plan, cache.length))
        self.causal, self.place = plan.causal, place[plan.causal :].to(like.device)
        self.padding = attention_rows(n) - n
        bias = like.new_zeros(n + self.padding, self.length, device="cpu")
        fill_bias(bias[:n], plan, cache.length, causal_attn)
        self.bias = grouped_bias(bias[None].to(like.device), group)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Write this layer's k, v (n, Hkv, dh) of the run's rows to its slot; returns the attention (n, Hq · dh) of q
        (n, Hq, dh)."""
        keys, values = self.cache.write(layer, k, v, self.causal, self.place, self.length)
        n = q.shape[0]
        if self.padding:
            q = F.pad(q, (0, 0, 0, 0, 0, self.padding))
        return attend_grouped(q[None], keys[None], values[None], self.bias.to(q.device))[0, :n].flatten(1)


class SharedAttention:
    """Runs of one pool in one attention call: the pool's first B slots, each padded to the rows of the longest plan, R,
    and to the longest text, M. A slot that has no run here is padding altogether."""

    def __init__(
        self,
        caches: Sequence[KVCache],
        plans: Sequence[Plan],
        starts: Sequence[int],
        group: int,
        causal_attn: bool,
        like: Tensor,
    ) -> None:
        """Arguments as `OwnAttention`, for each run."""
        self.pool: CachePool = caches[0].pool
        slots = min(attention_slots(max(cache.slot for cache in caches) + 1), self.pool.slots)
        sizes = [len(plan.rows) for plan in plans]
        rows = attention_rows(max(sizes))
        self.slots = slots
        self.length = attention_length(max(places_end(p, c.length) for c, p in zip(caches, plans, strict=True)), True)
        bias = like.new_full((slots, rows, self.length), -torch.inf, device="cpu")
        bias[:, :, 0] = 0  # padding rows see something, or their softmax would not be a number
        gather = torch.zeros(slots, rows, dtype=torch.int64)
        coordinates: list[tuple[int, int, int, int]] = []  # slot, place in it, place in the padding, row of the pass
        for cache, plan, start, n in zip(caches, plans, starts, sizes, strict=True):
            slot, known = cache.slot, cache.length
            fill_bias(bias[slot, :n], plan, known, causal_attn)
            gather[slot, :n] = torch.arange(start, start + n)
            coordinates += [(slot, place, i, start + i) for i, place in enumerate(places(plan, known).tolist())]
        self.bias = grouped_bias(bias.to(like.device), group)  # (B, 1, G · R, M)
        self.gather = gather.to(like.device)
        self.slot, self.place, self.index, self.source = torch.tensor(coordinates).t().contiguous().to(like.device)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, out: Tensor) -> None:
        """Write this layer's k, v (N, Hkv, dh) to the pool and the attention of q (N, Hq, dh) to out (N, Hq · dh)."""
        slot, place, index, source = (x.to(q.device) for x in (self.slot, self.place, self.index, self.source))
        keys, values = self.pool.keys[layer], self.pool.values[layer]
        keys[slot, :, place] = k[source]
        values[slot, :, place] = v[source]
        known_keys, known_values = (x[: self.slots, :, : self.length] for x in (keys, values))
        mixed = attend_grouped(q[self.gather.to(q.device)], known_keys, known_values, self.bias.to(q.device))
        out[source] = mixed[slot, index].flatten(1)  # (N, Hkv, G, dh) before
