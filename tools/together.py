"""Decode many prompts a few at a time, each to its end: for tools that compare what settings write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sdlm_core
from sdlm_core import DecodeConfig, LanguageModel
from sdlm_core.decoding.loop import run_batch
from sdlm_core.execution.executor import executor_for
from sdlm_core.models.language_model import Prompt


def together(lm: LanguageModel, prompts: Sequence[Prompt], config: DecodeConfig, size: int = 8) -> list[sdlm_core.Run]:
    """The finished run of each prompt, decoded `size` at a time."""
    pool = executor_for(lm).new_pool()
    runs = [sdlm_core.Run(lm, prompt, config, pool) for prompt in prompts]
    waiting = iter(runs)

    def refill(active: Sequence[sdlm_core.Run]) -> Iterable[sdlm_core.Run]:
        return [run for _, run in zip(range(size - len(active)), waiting, strict=False)]

    for run in run_batch(refill, sdlm_core.advance, lambda run: run.finish_reason is not None):
        run.leave()
    return runs
