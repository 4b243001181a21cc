"""The KV cache: one pair of buffers a layer, a slot a run, written at each run's frontier, never copied on a pass.

The first `length` rows of a slot are the text known so far. A pass writes its rows just beyond them and attends to both
in place; then `keep` moves the frontier over the rows that stay. What is left beyond it is overwritten by the next
pass. Runs that are decoded together lie in one pool, so that one attention call serves them all.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sdlm_core.execution.shapes import cache_capacity, power_of_two
from sdlm_core.models.transformer import Shape


def cache_bytes(shape: Shape, rows: int, dtype: torch.dtype, runs: int = 1) -> int:
    """Bytes of a CachePool that has come to hold up to `rows` rows of each of `runs` runs; it grows by doubling."""
    return shape.cache_row_bytes(dtype) * cache_capacity(rows) * power_of_two(runs)


class CachePool:
    """Keys and values of several runs.

    keys[i], values[i]: layer i's buffers, (slots, Hkv, capacity, dh), on that layer's device. The runs lie in the first
    `len(caches)` slots without a gap. Slots and capacity grow by doubling; version counts how often they did.
    """

    def __init__(
        self, kv_heads: int, head_dim: int, devices: Sequence[torch.device], dtype: torch.dtype, slots: int = 1
    ) -> None:
        self.slots, self.capacity, self.version = slots, 0, 0
        self.keys = [torch.empty(slots, kv_heads, 0, head_dim, dtype=dtype, device=d) for d in devices]
        self.values = [torch.empty_like(k) for k in self.keys]
        self.caches: list[KVCache] = []

    def join(self) -> KVCache:
        """An empty cache for one more run."""
        if len(self.caches) == self.slots:
            self._grow(2 * self.slots, self.capacity)
        self.caches.append(KVCache(self, len(self.caches)))
        return self.caches[-1]

    @torch.inference_mode()  # as the passes that wrote the buffers
    def leave(self, cache: KVCache) -> None:
        """Take a run's slot back; the run in the last slot moves into it. Nothing happens to one that has left."""
        if cache not in self.caches:
            return
        last = self.caches.pop()
        if last is not cache:
            for buffers in (self.keys, self.values):
                for buffer in buffers:
                    buffer[cache.slot, :, : last.length] = buffer[last.slot, :, : last.length]
            last.slot = cache.slot
            self.caches[last.slot] = last
        if self.keys[0].dtype == torch.float16:
            # The run may have overflowed, and others are padded to rows beyond their own: these must be numbers.
            for buffer in (*self.keys, *self.values):
                buffer[len(self.caches)] = 0  # the slot that is free now
                if last is not cache:
                    buffer[last.slot, :, last.length :] = 0

    def reserve(self, rows: int) -> None:
        """Make room for `rows` rows in every slot."""
        if rows > self.capacity:
            self._grow(self.slots, cache_capacity(rows))

    def clear(self) -> None:
        """Give the buffers back, which never shrink otherwise. No run may be in the pool."""
        if not self.caches:
            self._grow(1, 0)

    def _grow(self, slots: int, capacity: int) -> None:
        self.version += 1  # first: if memory runs out half-way, some buffers have moved all the same
        runs, length = len(self.caches), max((cache.length for cache in self.caches), default=0)
        for buffers in (self.keys, self.values):
            for i, old in enumerate(buffers):
                # Zeros: runs padded to one length read beyond their text, and what they read must be a number.
                grown = old.new_zeros(slots, old.shape[1], capacity, old.shape[3])
                grown[:runs, :, :length] = old[:runs, :, :length]
                buffers[i] = grown
        self.slots, self.capacity = slots, capacity


class KVCache:
    """One run's slot of a pool. length: rows that hold known text."""

    def __init__(self, pool: CachePool, slot: int) -> None:
        self.pool, self.slot = pool, slot
        self.length = 0

    def reserve(self, rows: int) -> None:
        """Make room for `rows` rows beyond the frontier."""
        self.pool.reserve(self.length + rows)

    def write(self, layer: int, k: Tensor, v: Tensor, causal: int, place: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Write rows k, v (n, Hkv, dh), the first `causal` beyond the frontier, the others to rows `place` of the slot;
        return views (Hkv, length, dh) that hold all of them."""
        end = self.length + causal
        keys, values = self.pool.keys[layer][self.slot], self.pool.values[layer][self.slot]
        for buffer, rows in ((keys, k.transpose(0, 1)), (values, v.transpose(0, 1))):
            buffer[:, self.length : end] = rows[:, :causal]
            if len(place):
                buffer.index_copy_(1, place.to(buffer.device), rows[:, causal:])
        return keys[:, :length], values[:, :length]

    def keep(self, rows: int) -> None:
        """Move the frontier over the first `rows` rows of the last pass."""
        self.length += rows

    @torch.inference_mode()  # as the passes that wrote the buffers
    def copy(self, other: KVCache, rows: int) -> None:
        """Take over the first `rows` rows of another run of the same model."""
        self.pool.reserve(rows)
        pools = ((self.pool.keys, other.pool.keys), (self.pool.values, other.pool.values))
        for mine, theirs in pools:
            for target, source in zip(mine, theirs, strict=True):
                target[self.slot, :, :rows] = source[other.slot, :, :rows]
        self.length = rows
