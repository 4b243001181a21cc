"""One forward pass over the rows of several runs: a plan a run in, hidden states a run out.

Every row goes through the matrices together. In attention each run sees its own slot of the cache: runs of few rows
that share a pool are padded to one length and attended to in one call, since a call costs more than they do; a prompt
being read, or a run alone, attends for itself. It knows nothing of what the rows mean or what becomes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sdlm_core import masks
from sdlm_core.cache import CachePool, KVCache
from sdlm_core.fixed import FEWEST_ROWS, MOST_ROWS
from sdlm_core.language_model import LanguageModel
from sdlm_core.linear import few_attending
from sdlm_core.model import attend_rows, attention

SHARED_ROWS = 32  # a run of more rows in a pass attends for itself
# Rows of padding that a second pass, read apart without a graph, is worth: it streams the weights again, and launches
# some thousand kernels one by one. An estimate for models of some billions; not measured.
APART = 1024
WIDTHS = tuple(FEWEST_ROWS << i for i in range((MOST_ROWS // FEWEST_ROWS).bit_length()))  # of runs at fixed shapes
STEP = 64  # attention is computed over a multiple of so many rows of a cache; where runs share it, of twice as many


@dataclass(frozen=True)
class Plan:
    """The rows of one run's next pass: causal rows (new known tokens, then the draft), then one block a branch.

    With prefill, they are a chunk of the prompt that is read ahead of the first pass, and nothing is decided.
    """

    token_ids: list[int]  # (n,)
    rows: masks.Rows  # (n,), on the host
    causal: int  # number of causal rows
    prefill: bool = False


def forward_rows(lm: LanguageModel, caches: Sequence[KVCache], plans: Sequence[Plan]) -> list[Tensor]:
    """Each run's hidden states (n, hidden) of its planned rows, from one forward pass over the rows of all.

    Their keys and values lie beyond the caches' frontiers, for `KVCache.keep` to take.
    """
    sizes = [len(plan.rows) for plan in plans]
    for cache, n in zip(caches, sizes, strict=True):
        cache.reserve(n)
    fixed = caches[0].pool.fixed
    if fixed is None or any(cache.pool is not caches[0].pool for cache in caches):
        return _flat(lm, caches, plans)
    # First the runs of few rows: their padding writes beyond every frontier, where a prompt's rows are to come.
    most = _padded_to(sizes)
    short = [i for i, n in enumerate(sizes) if n <= most]
    long = [i for i, n in enumerate(sizes) if n > most]
    out: dict[int, Tensor] = {}
    if short:
        tables = [_table(plans[i]) for i in short]
        out.update(zip(short, fixed.hidden([caches[i] for i in short], tables), strict=True))
    if long:
        out.update(zip(long, _flat(lm, [caches[i] for i in long], [plans[i] for i in long]), strict=True))
    return [out[i] for i in range(len(sizes))]


def _padded_to(sizes: Sequence[int]) -> int:
    """The rows that runs are padded to at fixed shapes; those with more are read apart, where padding all the others
    to their width would cost more."""

    def cost(most: int) -> int:
        wide = [n for n in sizes if n > most]
        return len(sizes) * most + (APART + sum(wide) if wide else 0)

    return min(WIDTHS, key=cost)


def _table(plan: Plan) -> Tensor:
    """(4, n) int64: token, position, block and horizon of the plan's rows."""
    rows = plan.rows
    return torch.stack([torch.tensor(plan.token_ids), rows.position, rows.block, rows.horizon])


def _flat(lm: LanguageModel, caches: Sequence[KVCache], plans: Sequence[Plan]) -> list[Tensor]:
    """The pass over just these rows, whatever their number."""
    sizes = [len(plan.rows) for plan in plans]
    together, alone = _groups(caches, sizes)
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    shared = [
        _Shared(lm, [caches[i] for i in own], [plans[i] for i in own], [starts[i] for i in own]) for own in together
    ]
    lengths = {i: _length(caches[i], plans[i]) for i in alone}
    biases = {i: _bias(lm, caches[i], plans[i], lengths[i]) for i in alone}

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if len(sizes) == 1:
            return attend_rows(q, *caches[0].write(layer, k, v, lengths[0]), biases[0].to(q.device))
        out = q.new_empty(q.shape[0], q.shape[1] * q.shape[2])
        for i in alone:
            own = slice(starts[i], starts[i] + sizes[i])
            keys, values = caches[i].write(layer, k[own], v[own], lengths[i])
            out[own] = attend_rows(q[own], keys, values, biases[i].to(q.device))
        for group in shared:
            group.attend(layer, q, k, v, out)
        return out

    token_ids = torch.tensor([token_id for plan in plans for token_id in plan.token_ids], device=lm.device)
    positions = torch.cat([plan.rows.position for plan in plans]).to(lm.device)
    return list(lm.transformer.forward(token_ids, positions, attend).split(sizes))


def _groups(caches: Sequence[KVCache], sizes: Sequence[int]) -> tuple[list[list[int]], list[int]]:
    """Which runs attend together, and which for themselves: together are those of one pool, with few rows."""
    pools: dict[int, list[int]] = {}
    for i, (cache, n) in enumerate(zip(caches, sizes, strict=True)):
        if n <= SHARED_ROWS:
            pools.setdefault(id(cache.pool), []).append(i)
    together = [own for own in pools.values() if len(own) > 1]
    among = {i for own in together for i in own}
    return together, [i for i in range(len(sizes)) if i not in among]


def _length(cache: KVCache, plan: Plan) -> int:
    """Rows of the cache that attention is computed over, what lies beyond the pass's own being hidden."""
    return _multiple(cache.length + len(plan.rows), STEP)


def _multiple(n: int, step: int) -> int:
    return -(-n // step) * step


def _bias(lm: LanguageModel, cache: KVCache, plan: Plan, length: int) -> Tensor:
    """Added to one run's scores, (G · rows, length): a row sees the cache, and of the pass what the rule says. The rows
    beyond the plan's are padding."""
    bias = torch.zeros(few_attending(len(plan.rows)), length, dtype=lm.dtype)
    _fill(bias[: len(plan.rows)], lm, cache, plan)
    return bias.to(lm.device).repeat(lm.transformer.shape.group, 1)


def _fill(bias: Tensor, lm: LanguageModel, cache: KVCache, plan: Plan) -> None:
    """Write to bias (n, length) 0 where a row sees a row of the cache, −∞ elsewhere."""
    n, known = len(plan.rows), cache.length
    bias.fill_(-torch.inf)
    bias[:, :known] = 0
    bias[:, known : known + n].masked_fill_(masks.attention_mask(plan.rows, lm.causal_attn), 0)


def _few_slots(n: int) -> int:
    """Slots that attend together where n are in use."""
    return n if n == 1 else _multiple(n, 2 if n <= 8 else 4 if n <= 16 else 8)


class _Shared:
    """Runs of one pool in one attention call: the first B slots, each padded to the rows of the longest, R, and to the
    longest text, M. A slot that has no row here is padding altogether."""

    def __init__(
        self, lm: LanguageModel, caches: Sequence[KVCache], plans: Sequence[Plan], starts: Sequence[int]
    ) -> None:
        self.pool: CachePool = caches[0].pool
        self.group = lm.transformer.shape.group
        self.slots = min(_few_slots(max(cache.slot for cache in caches) + 1), self.pool.slots)
        sizes = [len(plan.rows) for plan in plans]
        self.rows = few_attending(max(sizes))
        lengths = (_length(cache, plan) for cache, plan in zip(caches, plans, strict=True))
        self.length = _multiple(max(lengths), 2 * STEP)
        bias = torch.full((self.slots, self.rows, self.length), -torch.inf, dtype=lm.dtype)
        bias[:, :, 0] = 0  # padding rows see something, or their softmax would not be a number
        gather = torch.zeros(self.slots, self.rows, dtype=torch.int64)
        coordinates: list[tuple[int, int, int, int]] = []  # slot, place in it, place in the padding, row of the pass
        for cache, plan, start, n in zip(caches, plans, starts, sizes, strict=True):
            s, t = cache.slot, cache.length
            _fill(bias[s, :n], lm, cache, plan)
            gather[s, :n] = torch.arange(start, start + n)
            coordinates += [(s, t + i, i, start + i) for i in range(n)]
        self.bias = bias.to(lm.device)[:, None].repeat(1, 1, self.group, 1)  # (B, 1, G · R, M)
        self.gather = gather.to(lm.device)
        self.slot, self.place, self.index, self.source = torch.tensor(coordinates).t().contiguous().to(lm.device)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, out: Tensor) -> None:
        """Write this layer's k, v (N, Hkv, dh) to the pool and the attention of q (N, Hq, dh) to out (N, Hq · dh)."""
        kv_heads, head_dim = k.shape[1], k.shape[2]
        slot, place, index, source = (x.to(q.device) for x in (self.slot, self.place, self.index, self.source))
        keys, values = self.pool.keys[layer], self.pool.values[layer]
        keys[slot, :, place] = k[source]
        values[slot, :, place] = v[source]
        padded = q[self.gather.to(q.device)].unflatten(2, (kv_heads, self.group))  # (B, R, Hkv, G, dh)
        padded = padded.permute(0, 2, 3, 1, 4).reshape(self.slots, kv_heads, self.group * self.rows, head_dim)
        known_keys, known_values = (x[: self.slots, :, : self.length] for x in (keys, values))
        mixed = attention(padded, known_keys, known_values, self.bias.to(q.device)).unflatten(
            2, (self.group, self.rows)
        )  # (B, Hkv, G, R, dh)
        out[source] = mixed.permute(0, 3, 1, 2, 4)[slot, index].flatten(1)
