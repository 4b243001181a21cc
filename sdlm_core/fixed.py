"""The forward pass at fixed shapes, which a CUDA graph can replay: one launch instead of some thousand a pass.

B slots of a pool, R rows each, over the first M rows of their caches; all three are powers of two, so that few graphs
serve every batch. What changes from pass to pass is one table of integers, copied to the device at once: the rows'
tokens and coordinates, and where each run's cache ends. Rows beyond a run's own are padding: they see what is known and
themselves, nobody sees them, and what they write beyond the frontier is overwritten by the next pass.

On a CPU it is not used. Compiled by torch.compile it was measured there against the flexible pass: nothing gained for
one run, a seventh for eight, and half a minute of compiling for every shape.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sdlm_core import masks
from sdlm_core.cache import CachePool, KVCache
from sdlm_core.masks import CAUSAL
from sdlm_core.model import Transformer, attention

log = logging.getLogger(__name__)

FEWEST_ROWS = 8
MOST_ROWS = 128  # a run with more rows in a pass is read without a graph, and so is one that would widen many others


class FixedForward:
    """The pass over the runs of one pool. capture: replay CUDA graphs; without, the same operations run one by one."""

    def __init__(self, transformer: Transformer, causal_attn: bool, capture: bool) -> None:
        self.transformer, self.causal_attn, self.capture = transformer, causal_attn, capture
        self.device = transformer.embedding.device
        self._passes: dict[tuple[int, int, int], tuple[Tensor, Callable[[], Tensor]]] = {}
        self._version = -1
        self._memory: Any = None  # shared by all graphs: only one replays at a time
        self._stream: Any = None  # of first runs and captures: cuBLAS keeps its workspace by stream

    def hidden(self, caches: Sequence[KVCache], tables: Sequence[Tensor]) -> list[Tensor]:
        """Hidden states (n, hidden) of each run's rows; tables int64 (4, n): token, position, block, horizon."""
        pool = caches[0].pool
        rows = _power(max(FEWEST_ROWS, *(table.shape[1] for table in tables)))
        pool.reserve(max(cache.length for cache in pool.caches) + rows)
        slots = min(_power(max(cache.slot for cache in caches) + 1), pool.slots)
        length = min(_power(max(cache.length for cache in caches) + rows), pool.capacity)
        if self._version != pool.version:  # the buffers have moved
            self._passes, self._memory, self._version = {}, None, pool.version
        given = torch.zeros(slots, 4 * rows + 1, dtype=torch.int64)
        laid = given[:, :-1].view(slots, 4, rows)
        laid[:, 2] = CAUSAL - 1 - torch.arange(rows)  # padding: each row a block of its own
        for cache in pool.caches[:slots]:
            given[cache.slot, -1] = cache.length
        for cache, table in zip(caches, tables, strict=True):
            laid[cache.slot, :, : table.shape[1]] = table
        out = self._pass(pool, slots, rows, length, given).view(slots, rows, -1)
        return [out[cache.slot, : table.shape[1]] for cache, table in zip(caches, tables, strict=True)]

    def _pass(self, pool: CachePool, slots: int, rows: int, length: int, given: Tensor) -> Tensor:
        """(slots · rows, hidden)."""
        key = (slots, rows, length)
        if key not in self._passes:
            table = given.to(self.device)

            def compute() -> Tensor:
                return self._compute(pool, table, rows, length)

            self._passes[key] = (table, self._captured(compute) if self.capture else compute)
        table, replay = self._passes[key]
        table.copy_(given)
        return replay()

    def _captured(self, compute: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """A graph of `compute`, or `compute` itself where this model or this place does not allow one."""
        try:
            # The outer stream is the one in use: a capture that fails would leave its own behind.
            with torch.cuda.device(self.device), torch.cuda.stream(torch.cuda.current_stream(self.device)):
                side = self._stream = self._stream or torch.cuda.Stream()
                side.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(side):
                    compute()  # libraries set themselves up in a first run, which a graph may not hold
                torch.cuda.current_stream().wait_stream(side)
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, pool=self._memory, stream=side, capture_error_mode="thread_local"):
                    out = compute()
            self._memory = self._memory or graph.pool()
        except torch.OutOfMemoryError:
            raise  # not the graph's fault, and the engine knows what to do
        except (RuntimeError, ValueError) as error:
            log.warning("Decoding without CUDA graphs: %s", error)
            self.capture = False
            return compute

        def replay() -> Tensor:
            graph.replay()
            return out

        return replay

    def _compute(self, pool: CachePool, table: Tensor, rows: int, length: int) -> Tensor:
        """The pass; nothing in it depends on a number that only the device knows."""
        slots = table.shape[0]
        known = table[:, -1]  # (B,)
        token_ids, position, block, horizon = table[:, :-1].view(slots, 4, rows).unbind(1)  # (B, R) each
        among = masks.visible(
            position[:, :, None],
            block[:, :, None],
            horizon[:, :, None],
            position[:, None, :],
            block[:, None, :],
            self.causal_attn,
        )  # (B, R, R)
        column = torch.arange(length, device=self.device)
        ahead = column - known[:, None]  # (B, M): the pass's rows lie from 0 to R − 1
        own = among.gather(2, ahead.clamp(0, rows - 1)[:, None].expand(-1, rows, -1))
        seen = (ahead < 0)[:, None] | (own & (ahead < rows)[:, None])  # (B, R, M)
        shape = self.transformer.shape
        group = shape.group
        dtype = self.transformer.embedding.dtype
        bias = torch.zeros(seen.shape, dtype=dtype, device=self.device).masked_fill(~seen, -torch.inf)
        bias = bias[:, None].repeat(1, 1, group, 1)  # (B, 1, G · R, M)
        slot = torch.arange(slots, device=self.device)[:, None]
        place = known[:, None] + torch.arange(rows, device=self.device)  # (B, R)

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = pool.keys[layer][:slots], pool.values[layer][:slots]
            keys[slot, :, place] = k.unflatten(0, (slots, rows))
            values[slot, :, place] = v.unflatten(0, (slots, rows))
            q = q.view(slots, rows, shape.kv_heads, group, shape.head_dim).permute(0, 2, 3, 1, 4)
            mixed = attention(q.flatten(2, 3), keys[:, :, :length], values[:, :, :length], bias)
            mixed = mixed.unflatten(2, (group, rows)).permute(0, 3, 1, 2, 4)  # (B, R, Hkv, G, dh)
            flat: Tensor = mixed.reshape(slots * rows, -1)
            return flat

        return self.transformer.run(
            F.embedding(token_ids.flatten(), self.transformer.embedding), position.flatten(), attend
        )


def on_zerogpu() -> bool:
    """Whether this is a Hugging Face Space with ZeroGPU, by the variable and the values that `spaces` goes by."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def wanted(transformer: Transformer) -> bool:
    """Whether passes should be captured: on one CUDA device, and not under ZeroGPU, whose forks no graph survives.

    Nor where a pass asks the device for a number: bitsandbytes' int8 for outliers, dynamic RoPE for the longest text.
    """
    devices = {layer.input_norm.device for layer in transformer.layers} | {transformer.embedding.device}
    if len(devices) > 1 or next(iter(devices)).type != "cuda":
        return False
    int8 = any(type(layer.down).__name__ == "Linear8bitLt" for layer in transformer.layers)
    if int8 or "dynamic" in str(getattr(transformer.rotary, "rope_type", "")):
        return False
    if on_zerogpu():
        log.info("ZeroGPU: decoding without CUDA graphs.")
        return False
    return True


def _power(n: int) -> int:
    return 1 << (n - 1).bit_length()
