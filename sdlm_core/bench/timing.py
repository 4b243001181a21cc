"""Seconds, measured in turn and reported as medians with quartiles, since machines are noisy. It knows no model."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch

T = TypeVar("T")


@dataclass(frozen=True)
class Timing:
    """Seconds of one job: median, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, seconds: list[float]) -> Timing:
        low, _, high = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else (seconds[0],) * 3
        return cls(statistics.median(seconds), low, high)

    @property
    def milliseconds(self) -> str:
        return f"{self.median * 1e3:.1f} ms"

    @property
    def quartiles(self) -> str:
        return f"quartiles {self.low * 1e3:.1f} to {self.high * 1e3:.1f} ms"


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, its value, and a remark."""

    what: str
    value: str
    note: str = ""


def alternate(jobs: dict[str, Callable[[], object]], repeats: int) -> dict[str, Timing]:
    """Run the jobs in turn, `repeats` rounds after one that warms up; seconds of each, until all devices are done."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for round_ in range(repeats + 1):
        for name, job in jobs.items():
            began = time.perf_counter()
            job()
            for device in range(torch.cuda.device_count()):
                torch.cuda.synchronize(device)
            if torch.backends.mps.is_available():
                torch.mps.synchronize()
            if round_:
                seconds[name].append(time.perf_counter() - began)
    return {name: Timing.of(times) for name, times in seconds.items()}


def in_its_own_thread(work: Callable[[], T]) -> T:
    """What `work` returns, computed in a thread that ends with it.

    Every thread that computes keeps a team of OpenMP threads until it ends. Where teams outnumber the cores, none of
    them waits for work awake, and passes take twice as long. So no thread but the engine's may have computed while an
    engine is measured.
    """
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(work).result()
