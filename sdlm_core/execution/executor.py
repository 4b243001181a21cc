"""The executor of a model: plans in, hidden states out, one forward pass over the rows of several runs.

Every row goes through the matrices together. In attention each run sees its own slot of the KV cache. On a GPU the runs
of few rows are replayed as one CUDA graph; all others run at just the rows they have. It knows nothing of what the rows
mean or what becomes of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from sdlm_core.execution.attention import OwnAttention, SharedAttention, places_end
from sdlm_core.execution.cache import CachePool, KVCache
from sdlm_core.execution.fixed_shapes import FixedShapes
from sdlm_core.execution.linear import prepare_drafter, prepare_weights
from sdlm_core.execution.plan import Plan
from sdlm_core.execution.shapes import MOST_FIXED_ROWS, SHARED_ROWS, most_fixed_rows
from sdlm_core.execution.switches import choose_switches
from sdlm_core.models.heap import keep_freed_memory
from sdlm_core.models.language_model import LanguageModel
from sdlm_core.models.sampler import Drafter, Sampler, head_matrix
from sdlm_core.models.transformer import Transformer


class Executor:
    """Computes the forward passes of one model.

    switches: what is turned on for this model. Making an executor lays out the model's weights in place.
    drafter: the model's sampler, laid out; None without one.
    """

    def __init__(self, transformer: Transformer, causal_attn: bool, sampler: Sampler | None = None) -> None:
        self.transformer, self.causal_attn = transformer, causal_attn
        self.switches = choose_switches(transformer)
        self.drafter = _new_drafter(transformer, sampler) if sampler else None
        self._fixed: WeakKeyDictionary[CachePool, FixedShapes] = WeakKeyDictionary()
        if self.switches.cpu_products:
            prepare_weights(transformer)
            if self.drafter:
                prepare_drafter(self.drafter)
        if self.switches.keep_freed:
            keep_freed_memory()
        if not self.switches.cudnn_attention:
            torch.backends.cuda.enable_cudnn_sdp(False)

    def new_pool(self, lasting: bool = False) -> CachePool:
        """KV caches for runs that are decoded together, or for one. lasting: for so many passes that on a GPU it pays
        to capture them."""
        shape = self.transformer.shape
        devices = [layer.input_norm.device for layer in self.transformer.layers]
        pool = CachePool(shape.kv_heads, shape.head_dim, devices, self.transformer.embedding.dtype)
        if lasting and self.switches.cuda_graphs:
            self.fix_shapes(pool)
        return pool

    def fix_shapes(self, pool: CachePool, capture: bool = True) -> FixedShapes:
        """Run this pool's passes at fixed shapes from now on; capture: and replay them as CUDA graphs."""
        self._fixed[pool] = FixedShapes(self.transformer, self.causal_attn, capture)
        return self._fixed[pool]

    def extra_rows(self, pool: CachePool) -> int:
        """Cache rows beyond its own that each run must have room for, because the passes of others pad it."""
        return MOST_FIXED_ROWS if pool in self._fixed else 0

    def forward(
        self, caches: Sequence[KVCache], plans: Sequence[Plan], meanwhile: Callable[[], object] | None = None
    ) -> list[Tensor]:
        """Each run's hidden states (n, hidden) of its planned rows, from one forward pass over the rows of all.

        Their keys and values lie beyond the caches' frontiers, for `KVCache.keep` to take. meanwhile: called once, when
        nothing is left to prepare and the device computes, or is about to: whoever it wakes does not delay the pass.
        """
        sizes = [len(plan.rows) for plan in plans]
        for cache, plan in zip(caches, plans, strict=True):
            cache.reserve(places_end(plan, cache.length) - cache.length)
        fixed = self._fixed.get(caches[0].pool)
        if fixed is None or any(cache.pool is not caches[0].pool for cache in caches):
            return self._any_shape(caches, plans, meanwhile)
        # First the runs of few rows: their padding writes beyond every frontier, where a prompt's rows are to come.
        most = most_fixed_rows(sizes)
        short = [i for i, n in enumerate(sizes) if n <= most]
        long = [i for i, n in enumerate(sizes) if n > most]
        out = [torch.empty(0)] * len(plans)
        for compute, own in ((fixed.forward, short), (self._any_shape, long)):
            if own:
                for i, hidden in zip(own, compute([caches[i] for i in own], [plans[i] for i in own]), strict=True):
                    out[i] = hidden
        if meanwhile is not None:
            meanwhile()  # the graphs have been launched, and nobody has asked for what they compute
        return out

    def _any_shape(
        self, caches: Sequence[KVCache], plans: Sequence[Plan], meanwhile: Callable[[], object] | None = None
    ) -> list[Tensor]:
        """The pass over just these rows, whatever their number."""
        sizes = [len(plan.rows) for plan in plans]
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        like, group = self.transformer.embedding, self.transformer.shape.group
        together, apart = _groups(caches, sizes)
        shared = [
            SharedAttention(
                [caches[i] for i in own],
                [plans[i] for i in own],
                [starts[i] for i in own],
                group,
                self.causal_attn,
                like,
            )
            for own in together
        ]
        alone = [OwnAttention(caches[i], plans[i], starts[i], group, self.causal_attn, like) for i in apart]

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            if len(sizes) == 1:
                return alone[0].attend(layer, q, k, v)
            out = q.new_empty(q.shape[0], q.shape[1] * q.shape[2])
            for own in alone:
                out[own.rows] = own.attend(layer, q[own.rows], k[own.rows], v[own.rows])
            for runs in shared:
                runs.attend(layer, q, k, v, out)
            return out

        token_ids = torch.tensor([token_id for plan in plans for token_id in plan.token_ids], device=like.device)
        positions = torch.cat([plan.rows.position for plan in plans]).to(like.device)
        if meanwhile is not None:
            meanwhile()
        return list(self.transformer.forward(token_ids, positions, attend).split(sizes))


def _groups(caches: Sequence[KVCache], sizes: Sequence[int]) -> tuple[list[list[int]], list[int]]:
    """Which runs attend together, and which for themselves: together are those of one pool, with few rows."""
    pools: dict[int, list[int]] = {}
    for i, (cache, n) in enumerate(zip(caches, sizes, strict=True)):
        if n <= SHARED_ROWS:
            pools.setdefault(id(cache.pool), []).append(i)
    together = [own for own in pools.values() if len(own) > 1]
    among = {i for own in together for i in own}
    return together, [i for i in range(len(sizes)) if i not in among]


def _new_drafter(transformer: Transformer, sampler: Sampler) -> Drafter:
    """The sampler where the pass ends: beside the last layer, which may lie on another device than the embedding."""
    device = transformer.norm.device
    return Drafter(sampler, transformer.embedding.to(device), head_matrix(transformer).to(device))


_executors: WeakKeyDictionary[LanguageModel, Executor] = WeakKeyDictionary()
_making = threading.Lock()


def executor_for(lm: LanguageModel) -> Executor:
    """The model's one executor, made at the first call and kept as long as the model."""
    with _making:
        if lm not in _executors:
            _executors[lm] = Executor(lm.transformer, lm.causal_attn, lm.sampler)
        return _executors[lm]
