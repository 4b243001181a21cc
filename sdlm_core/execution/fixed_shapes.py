"""The forward pass at fixed shapes, which a CUDA graph can replay: one launch instead of some thousand a pass.

B slots of a pool, R rows each, over the first M rows of their caches; all three are powers of two, so that few graphs
serve every batch. What changes from pass to pass is one table of integers, copied to the device at once: the rows'
tokens and coordinates, and where each run's cache ends. Rows beyond a run's own are padding: they see what is known and
themselves, nobody sees them, and what they write beyond the frontier is overwritten by the next pass.

On a CPU it is not used. Compiled by torch.compile it was measured there against the pass of any shape: nothing gained
for one run, a seventh for eight, and half a minute of compiling for every shape.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sdlm_core import masks
from sdlm_core.execution.attention import attend_grouped, grouped_bias
from sdlm_core.execution.cache import CachePool, KVCache
from sdlm_core.execution.plan import Plan
from sdlm_core.execution.shapes import FEWEST_FIXED_ROWS, power_of_two
from sdlm_core.masks import CAUSAL
from sdlm_core.models.transformer import Transformer

log = logging.getLogger(__name__)

Replay = Callable[[], Tensor]


class FixedShapes:
    """The passes over one pool. capture: replay CUDA graphs; without, the same operations run one by one."""

    def __init__(self, transformer: Transformer, causal_attn: bool, capture: bool) -> None:
        self.transformer, self.causal_attn, self.capture = transformer, causal_attn, capture
        self.device = transformer.embedding.device
        self._graphs: dict[tuple[int, int, int], tuple[Tensor, Replay]] = {}  # by slots, rows, length: table and graph
        self._version = -1
        self._memory: Any = None  # shared by all graphs: only one replays at a time
        self._stream: Any = None  # of first runs and captures: cuBLAS keeps its workspace by stream

    def forward(self, caches: Sequence[KVCache], plans: Sequence[Plan]) -> list[Tensor]:
        """Hidden states (n, hidden) of each run's planned rows; all caches lie in one pool."""
        pool = caches[0].pool
        rows = power_of_two(max(FEWEST_FIXED_ROWS, *(len(plan.rows) for plan in plans)))
        pool.reserve(max(cache.length for cache in pool.caches) + rows)
        slots = min(power_of_two(max(cache.slot for cache in caches) + 1), pool.slots)
        length = min(power_of_two(max(cache.length for cache in caches) + rows), pool.capacity)
        if self._version != pool.version:  # the buffers have moved
            self._graphs, self._memory, self._version = {}, None, pool.version
        table = torch.zeros(slots, 4 * rows + 1, dtype=torch.int64)
        laid = table[:, :-1].view(slots, 4, rows)
        laid[:, 2] = CAUSAL - 1 - torch.arange(rows)  # padding: each row a block of its own
        for cache in pool.caches[:slots]:
            table[cache.slot, -1] = cache.length
        for cache, plan in zip(caches, plans, strict=True):
            own = plan.rows
            laid[cache.slot, :, : len(own)] = torch.stack(
                [torch.tensor(plan.token_ids), own.position, own.block, own.horizon]
            )
        out = self._run(pool, slots, rows, length, table).view(slots, rows, -1)
        return [out[cache.slot, : len(plan.rows)] for cache, plan in zip(caches, plans, strict=True)]

    def _run(self, pool: CachePool, slots: int, rows: int, length: int, table: Tensor) -> Tensor:
        """(slots · rows, hidden), by the graph of these sizes, which is captured when they first come."""
        key = (slots, rows, length)
        if self.capture and key not in self._graphs:
            on_device = table.to(self.device)
            replay = self._captured(lambda: self._compute(pool, on_device, rows, length))
            if replay is not None:
                self._graphs[key] = (on_device, replay)
        if key not in self._graphs:
            return self._compute(pool, table.to(self.device), rows, length)
        on_device, replay = self._graphs[key]
        on_device.copy_(table)
        return replay()

    def _captured(self, compute: Callable[[], Tensor]) -> Replay | None:
        """A graph of `compute`; None where this model or this place does not allow one."""
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
            return None

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
        dtype = self.transformer.embedding.dtype
        bias = torch.zeros(seen.shape, dtype=dtype, device=self.device).masked_fill(~seen, -torch.inf)
        bias = grouped_bias(bias, self.transformer.shape.group)
        slot = torch.arange(slots, device=self.device)[:, None]
        place = known[:, None] + torch.arange(rows, device=self.device)  # (B, R)

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = pool.keys[layer][:slots], pool.values[layer][:slots]
            keys[slot, :, place] = k.unflatten(0, (slots, rows))
            values[slot, :, place] = v.unflatten(0, (slots, rows))
            mixed = attend_grouped(q.unflatten(0, (slots, rows)), keys[:, :, :length], values[:, :, :length], bias)
            return mixed.reshape(slots * rows, -1)

        return self.transformer.run(
            F.embedding(token_ids.flatten(), self.transformer.embedding), position.flatten(), attend
        )
