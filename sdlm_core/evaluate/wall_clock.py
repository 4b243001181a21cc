"""Wall-clock speed, measured one answer at a time and always beside autoregressive decoding of the same prompt.

Machines drift: another process, a warm cache, a clock that steps down. So every few settings the same prompt is decoded
autoregressively again, and a setting is compared with the autoregressive runs just before and just after it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from sdlm_core.config import DecodeConfig
from sdlm_core.decoding.loop import decode
from sdlm_core.evaluate.cells import Cell
from sdlm_core.evaluate.tasks import TaskSet, stratified
from sdlm_core.models.language_model import LanguageModel

SETTINGS_BETWEEN = 3  # settings between two autoregressive runs
AUTOREGRESSIVE = Cell("autoregressive", 1)


def measure(
    lm: LanguageModel,
    task: TaskSet,
    cells: Sequence[Cell],
    prompts: int,
    template: DecodeConfig,
    progress: Callable[[float], None] | None = None,
    run: Callable[..., Any] = decode,
) -> list[dict[str, Any]]:
    """Medians over `prompts` prompts, batch 1, from the prompt to the last token's record.

    tokens_per_second: of the setting; speedup: over the autoregressive runs around it, in tokens per second of the same
    prompt; tokens_per_pass: of these runs, to compare the speedup with; [median, lower quartile, upper quartile, n]
    each.
    """
    others = [cell for cell in cells if cell.algorithm != "autoregressive"]
    items = stratified(task.items, prompts)
    run(lm, items[0].prompt, AUTOREGRESSIVE.config(template))  # the first run pays for warming up
    speeds: dict[Cell, list[float]] = {cell: [] for cell in [*others, AUTOREGRESSIVE]}
    gains: dict[Cell, list[float]] = {cell: [] for cell in others}
    per_pass: dict[Cell, list[float]] = {cell: [] for cell in speeds}

    def speed(cell: Cell, prompt: str) -> float:
        began = time.perf_counter()
        trace = run(lm, prompt, cell.config(template))
        found = float(len(trace.token_ids) / max(time.perf_counter() - began, 1e-9))
        speeds[cell].append(found)
        per_pass[cell].append(trace.tokens_per_pass)
        return found

    for done, item in enumerate(items):
        turn = done * SETTINGS_BETWEEN % max(1, len(others))
        order = others[turn:] + others[:turn]  # nobody is always first
        before = speed(AUTOREGRESSIVE, item.prompt)
        for start in range(0, len(order), SETTINGS_BETWEEN):
            group = order[start : start + SETTINGS_BETWEEN]
            found = [speed(cell, item.prompt) for cell in group]
            after = speed(AUTOREGRESSIVE, item.prompt)
            for cell, value in zip(group, found, strict=True):
                gains[cell].append(2 * value / (before + after))
            before = after
            if progress:
                progress((done + min(1.0, (start + len(group)) / len(order))) / len(items))
    return [
        {
            "set": task.name,
            "algorithm": cell.algorithm,
            "block_size": cell.block_size,
            "threshold": cell.threshold,
            "guesses": cell.guesses(template.guesses),
            "tokens_per_second": quartiles(speeds[cell]),
            "speedup": quartiles(gains[cell]) if cell in gains else [1.0, 1.0, 1.0, len(speeds[cell])],
            "tokens_per_pass": quartiles(per_pass[cell]),
        }
        for cell in [*others, AUTOREGRESSIVE]
    ]


def quartiles(values: Sequence[float]) -> list[float | int]:
    """[median, lower quartile, upper quartile, n]; a single value is its own quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return [round(middle, 4), round(low, 4), round(high, 4), len(values)]
