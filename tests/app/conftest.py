"""A house with the real engine over a tiny model, whose passes a test can slow down, hold back and count."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

import sdlm_core
from app import runs
from sdlm_core.serve import engine as engine_module


class Passes:
    """Stands before the decoder: slow enough to act meanwhile, and counting. A prompt with "break" in it breaks."""

    def __init__(self) -> None:
        self.made = 0
        self.sizes: list[int] = []  # runs in each forward pass
        self.seconds = 0.005
        self.entered, self.free = threading.Event(), threading.Event()  # a pass has begun; passes may end
        self.free.set()

    def __call__(self, batch: Sequence[sdlm_core.Run], prefill_rows: int) -> Any:
        self.entered.set()
        self.free.wait(10)
        time.sleep(self.seconds)
        if any("break" in run.prompt_text for run in batch):
            raise ZeroDivisionError("a secret of the server")
        self.made += 1
        self.sizes.append(len(batch))
        return sdlm_core.advance(batch, prefill_rows)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    made = Passes()
    monkeypatch.setattr(engine_module, "advance", made)
    monkeypatch.setattr(runs, "HEARTBEAT_SECONDS", 0.02)
    return made


@pytest.fixture
def lm(load: Callable[..., sdlm_core.LanguageModel]) -> sdlm_core.LanguageModel:
    return load(kind="qwen2", tied=False, causal_attn=True)


def opened(house: runs.House) -> runs.House:
    house.open()
    while house.status()["state"] == "loading":
        time.sleep(0.002)
    return house


@pytest.fixture
def house(passes: Passes, lm: sdlm_core.LanguageModel) -> Iterator[runs.House]:
    made = opened(runs.House(lambda: lm))
    yield made
    made.close()


@pytest.fixture
def narrow(
    passes: Passes, lm: sdlm_core.LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int, int], runs.House]]:
    """A house for so many runs at once and so many in line."""
    made: list[runs.House] = []

    def build(at_once: int, in_line: int) -> runs.House:
        monkeypatch.setattr(runs, "MAX_RUNS", at_once)
        monkeypatch.setattr(runs, "MAX_WAITING", in_line)
        made.append(opened(runs.House(lambda: lm)))
        return made[-1]

    yield build
    for house in made:
        house.close()
