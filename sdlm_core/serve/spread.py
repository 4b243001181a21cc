"""Work in units, spread over a Ray cluster: each unit is a task whose process has the model.

A unit's result depends on its arguments alone, so it does not matter where and in which order units are done; Ray
repeats those whose process died. It knows nothing of what a unit is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import torch

from sdlm_core.models.language_model import LanguageModel
from sdlm_core.models.loading import load_model
from sdlm_core.serve.cluster import join  # first: it says what to do where Ray is missing

import ray  # isort: skip

T = TypeVar("T")
R = TypeVar("R")

RETRIES = 10  # of a unit whose process died


@dataclass(frozen=True)
class ModelSource:
    """The arguments of `load_model`, for every process to load its own; threads: CPU cores that it reserves and uses,
    gpus: GPUs that it reserves."""

    model: str
    device: str = "auto"
    dtype: str = "auto"
    quantization: str | None = None
    threads: int = 1
    gpus: float = 0.0


def spread(
    address: str, source: ModelSource, work: Callable[[LanguageModel, T], R], items: Iterable[T]
) -> Generator[tuple[T, R], None, None]:
    """(item, work(lm, item)) for every item, in the order in which they are done.

    items may be endless: they are taken as there is room. work must be importable in the cluster, or a `partial` of
    what is. Raises what `work` raises; closing the iterator gives up what is under way.
    """
    join(address)
    task: Any = ray.remote(_unit).options(num_cpus=source.threads, num_gpus=source.gpus, max_retries=RETRIES)
    at_once = 2 * max(1, int(ray.cluster_resources().get("CPU", 1) // source.threads))
    left, pending = iter(items), dict[Any, T]()
    try:
        while True:
            for item in itertools.islice(left, at_once - len(pending)):
                pending[task.remote(source, work, item)] = item
            if not pending:
                return
            ready = ray.wait(list(pending), num_returns=1)[0][0]
            try:
                result = ray.get(ready)
            except ray.exceptions.RayTaskError as error:
                raise error.cause if isinstance(error.cause, Exception) else error from None
            yield pending.pop(ready), result
    finally:
        for reference in pending:
            ray.cancel(reference)


def _unit(source: ModelSource, work: Callable[[LanguageModel, T], R], item: T) -> R:
    return work(_model(source), item)


@lru_cache(maxsize=1)
def _model(source: ModelSource) -> LanguageModel:
    """The model of this process, which works on one unit after the other."""
    torch.set_num_threads(source.threads)
    return load_model(source.model, source.device, source.dtype, source.quantization)
