"""How far a run is, at which rate it learns, and when it ends. It knows nothing of what is trained."""

from __future__ import annotations

import logging
import math
import signal
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from accelerate import Accelerator

log = logging.getLogger(__name__)

FLOOR = 0.1  # where the cosine ends, as a share of the learning rate


class Schedule(Protocol):
    """The settings of a run that this file reads; see RetrofitConfig and SamplerConfig."""

    steps: int | None
    minutes: float | None
    learning_rate: float
    schedule: str
    warmup_steps: int


@dataclass
class Progress:
    """How far a run is; stored in its checkpoints."""

    step: int = 0
    rows: int = 0
    seconds: float = 0.0
    best: float = math.inf

    def share(self, config: Schedule) -> float:
        by_steps = self.step / config.steps if config.steps else 0.0
        by_time = self.seconds / (config.minutes * 60) if config.minutes else 0.0
        return max(by_steps, by_time)

    def done(self, config: Schedule) -> bool:
        return self.share(config) >= 1

    def seconds_left(self, config: Schedule) -> int:
        left = [config.minutes * 60 - self.seconds] if config.minutes else []
        if config.steps and self.step:
            left.append((config.steps - self.step) * self.seconds / self.step)
        return max(0, round(min(left))) if left else 0


def learning_rate(config: Schedule, progress: Progress) -> float:
    """The rate of the coming step: a linear warm-up, then constant or a cosine down to a tenth."""
    rate = config.learning_rate * min(1.0, (progress.step + 1) / max(1, config.warmup_steps))
    if config.schedule == "cosine":
        rate *= FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress.share(config))))
    return rate


def agree(seconds: float, stop: bool, accelerator: Accelerator) -> tuple[float, bool]:
    """The slowest process's clock, and whether any was asked to stop: all take the same rate and end at one step."""
    if accelerator.num_processes == 1:
        return seconds, stop
    every: Any = accelerator.gather(torch.tensor([[seconds, float(stop)]], device=accelerator.device))
    return float(every[:, 0].max()), bool(every[:, 1].max())


class StopOnSignal:
    """While it is entered, SIGTERM and Ctrl-C set `asked` instead of ending the process."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopOnSignal:
        try:
            self._before = {n: signal.signal(n, self._ask) for n in (signal.SIGTERM, signal.SIGINT)}
        except ValueError:  # not the main thread: whoever runs us handles signals
            log.debug("signals are handled elsewhere")
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: Any) -> None:
        self.asked = True
