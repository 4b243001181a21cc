"""What a pass of so many rows costs on this device: measured once for each model, refreshed by the passes that run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from weakref import WeakKeyDictionary

import torch

from sdlm_core import masks
from sdlm_core.decoding.width import KNOTS, Costs
from sdlm_core.execution.executor import Executor, executor_for
from sdlm_core.execution.plan import Plan
from sdlm_core.models.language_model import LanguageModel

TEXT = 64  # rows of text that the measured passes attend to
MOST_SECONDS = 0.8  # measuring ends then; what was not reached goes on from what was
DRAFTED = 3  # rows scored after a draft is verified


@torch.inference_mode()
def measure_costs(executor: Executor) -> Costs:
    """Time passes of the first KNOTS rows. Takes MOST_SECONDS and the last pass begun, at most."""
    transformer = executor.transformer
    pool = executor.new_pool()
    cache = pool.join()
    cache.reserve(TEXT)
    cache.length = TEXT

    def scored(hidden: torch.Tensor) -> None:
        transformer.logits(hidden).softmax(-1, dtype=torch.float32).topk(2).indices.cpu()

    def forward(rows: int) -> None:
        hidden = executor.forward([cache], [Plan([0] * rows, masks.causal_rows(TEXT, rows), width=1)])[0]
        scored(hidden[: (rows + 1) // 2])  # most blocks are thrown away unscored

    began = time.perf_counter()
    seconds: list[float] = []
    for rows in KNOTS:
        seconds.append(_quickest(partial(forward, rows), 2 if rows < KNOTS[-2] else 1))
        if time.perf_counter() - began > MOST_SECONDS and len(seconds) > 1:
            break
    few = torch.zeros(DRAFTED, transformer.shape.hidden, dtype=transformer.norm.dtype, device=transformer.norm.device)
    return Costs(seconds, _quickest(partial(scored, few), 2))


def _quickest(work: Callable[[], None], times: int) -> float:
    """Seconds of the quickest of so many; the first may set something up."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)


_costs: WeakKeyDictionary[LanguageModel, Costs] = WeakKeyDictionary()
_making = threading.Lock()


def costs_for(lm: LanguageModel) -> Costs:
    """The model's one record of costs, measured at the first call and kept as long as the model."""
    with _making:
        if lm not in _costs:
            _costs[lm] = measure_costs(executor_for(lm))
        return _costs[lm]
