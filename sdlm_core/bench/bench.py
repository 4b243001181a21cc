"""Runs the sections of the bench, one after the other, and gathers their rows.

Everything that is compared runs in one process, alternating. The ratios are the result.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from sdlm_core.bench.answers import measure_answers, measure_crowd, measure_first, measure_speedup
from sdlm_core.bench.models import BenchConfig, Models, load_models
from sdlm_core.bench.passes import measure_context, measure_floor, measure_pass
from sdlm_core.bench.timing import Row, in_its_own_thread

log = logging.getLogger(__name__)

SECTIONS: dict[str, Callable[[Models], list[Row]]] = {
    "pass": measure_pass,
    "answers": measure_answers,
    "speedup": measure_speedup,
    "crowd": measure_crowd,
    "first": measure_first,
    "context": measure_context,
    "floor": measure_floor,
}


@dataclass(frozen=True)
class Result:
    """The rows, and what they were measured on."""

    model: str
    device: str
    torch: str
    date: str
    block_size: int
    rows: list[Row]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(config: BenchConfig, prompts: Sequence[str]) -> Result:
    """Measure the sections asked for on `prompts`. Raises SDLMError where a model cannot be loaded."""
    models = in_its_own_thread(lambda: load_models(config, prompts))
    rows: list[Row] = []
    for section in config.sections:
        log.info("Measuring: %s …", section)
        rows += in_its_own_thread(lambda work=SECTIONS[section]: work(models))  # type: ignore[misc]
    return Result(
        models.lm.name,
        models.lm.description,
        torch.__version__,
        time.strftime("%Y-%m-%d"),
        models.block_size,
        rows,
    )
