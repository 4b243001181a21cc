"""A tiny model, an engine for it, and a gate that holds its passes back."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sdlm_core
from sdlm_core import DecodeConfig
from sdlm_core.decoding.loop import Run
from sdlm_core.serve import Engine

Load = Callable[..., sdlm_core.LanguageModel]


@pytest.fixture
def lm(load: Load) -> sdlm_core.LanguageModel:
    return load(kind="qwen2", tied=False, causal_attn=True)


@pytest.fixture
def engine(lm: sdlm_core.LanguageModel) -> Iterator[Engine]:
    with Engine(lm, max_runs=8, prefill_rows=16) as engine:
        yield engine


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Passes are held back until it is set."""
    opened = threading.Event()
    plan = Run.plan

    def held(run: Run, *arguments: Any) -> Any:
        assert opened.wait(10)
        return plan(run, *arguments)

    monkeypatch.setattr(Run, "plan", held)
    return opened


def some_jobs(count: int, seed: int = 0) -> list[tuple[list[int], DecodeConfig]]:
    draw = random.Random(seed)
    jobs = []
    for _ in range(count):
        prompt = [draw.randrange(4, 300) for _ in range(draw.randint(1, 60))]
        config = DecodeConfig(
            algorithm=draw.choice(sdlm_core.ALGORITHMS),
            block_size=draw.choice([1, 2, 4, 8]),
            threshold=draw.choice([0.0, 0.3, 0.6, 0.9, 1.0]),
            temperature=draw.choice([0.0, 0.8]),
            top_k=draw.choice([0, 3]),
            top_p=draw.choice([1.0, 0.5]),
            max_new_tokens=draw.randint(1, 40),
            seed=draw.randint(0, 9),
        )
        jobs.append((prompt, config))
    return jobs


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
