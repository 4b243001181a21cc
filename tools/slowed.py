"""Models that sleep: for tests and figures of what happens around the passes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import sdlm_core


def load_slowed(folder: str, seconds: float) -> sdlm_core.LanguageModel:
    """A checkpoint in float32 on the CPU, each of whose forward passes sleeps for `seconds` first."""
    lm = sdlm_core.load_model(folder, device="cpu", dtype="float32")
    transformer: Any = lm.transformer
    forward = transformer.forward

    def slowed(*args: Any, **kwargs: Any) -> Any:
        time.sleep(seconds)
        return forward(*args, **kwargs)

    transformer.forward = slowed
    return lm


def load_sleeping(folder: str, seconds: float) -> sdlm_core.LanguageModel:
    """The same, which sleeps instead of computing. It says one token again and again, and no answer ends by itself."""
    lm = replace(load_slowed(folder, 0.0), end_token_ids=frozenset())
    transformer: Any = lm.transformer
    row = torch.ones(1, transformer.shape.hidden)

    def asleep(token_ids: torch.Tensor, *_: Any) -> torch.Tensor:
        time.sleep(seconds)
        return row.expand(len(token_ids), -1)

    transformer.forward = asleep
    return lm


def make_tiny(folder: Path) -> str:
    """A random checkpoint of two layers, the tests' own."""
    from tests.conftest import make_checkpoint

    return str(make_checkpoint(folder / "tiny", kind="qwen2", tied=False, causal_attn=True))


def threads(_: sdlm_core.LanguageModel) -> int:
    """For `Engine.call`: how many threads compute a pass."""
    return torch.get_num_threads()
