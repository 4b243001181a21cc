"""The KV cache: one pair of buffers a layer, written at the frontier, never copied on a pass.

The first `length` rows are the text known so far. A pass writes its rows just beyond them and attends to both in
place; then `keep` moves the frontier over the rows that stay. What is left beyond it is overwritten by the next pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

INITIAL_ROWS = 256


class KVCache:
    """Keys and values of one run.

    keys[i], values[i]: layer i's buffers, (Hkv, capacity, dh), on that layer's device.
    length: rows that hold known text; reserve(n) grows the buffers, by doubling, until n more fit.
    """

    def __init__(self, kv_heads: int, head_dim: int, devices: Sequence[torch.device], dtype: torch.dtype) -> None:
        self.length = 0
        self.capacity = 0
        self.keys = [torch.empty(kv_heads, 0, head_dim, dtype=dtype, device=d) for d in devices]
        self.values = [torch.empty_like(k) for k in self.keys]

    def reserve(self, rows: int) -> None:
        """Make room for `rows` rows beyond the frontier."""
        needed = self.length + rows
        if needed <= self.capacity:
            return
        capacity = max(self.capacity, INITIAL_ROWS)
        while capacity < needed:
            capacity *= 2
        self.keys = [self._grown(k, capacity) for k in self.keys]
        self.values = [self._grown(v, capacity) for v in self.values]
        self.capacity = capacity

    def write(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write rows k, v (n, Hkv, dh) beyond the frontier; return views (Hkv, length + n, dh) of all of them."""
        end = self.length + k.shape[0]
        keys, values = self.keys[layer], self.values[layer]
        keys[:, self.length : end] = k.transpose(0, 1)
        values[:, self.length : end] = v.transpose(0, 1)
        return keys[:, :end], values[:, :end]

    def keep(self, rows: int) -> None:
        """Move the frontier over the first `rows` rows of the last pass."""
        self.length += rows

    def _grown(self, buffer: Tensor, capacity: int) -> Tensor:
        grown = torch.empty(buffer.shape[0], capacity, buffer.shape[2], dtype=buffer.dtype, device=buffer.device)
        grown[:, : self.length] = buffer[:, : self.length]
        return grown
