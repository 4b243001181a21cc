"""A tiny base model, data for it, and the settings of a short run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sdlm_core.retrofit.config import RetrofitConfig
from tests.retrofit import tiny

ALPHABET = "abcdefghijklmnopqrstuvwxyz" * 2


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny.folder(tmp_path / "base")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Answers that go on through the alphabet from the letter asked for, seven letters and the end token."""
    pairs = [(letter, ALPHABET[i + 1 : i + 8]) for i, letter in enumerate(ALPHABET[:26])]
    return tiny.jsonl(tmp_path / "data.jsonl", pairs)


def config(base: Path, data: Path, output: Path, **changes: Any) -> RetrofitConfig:
    settings: dict[str, Any] = {
        "mask_token": "<mask>",
        "block_size": 4,
        "lora_rank": 8,
        "steps": 6,
        "warmup_steps": 2,
        "rows_per_step": 256,
        "held_out": 0.0,
        "dtype": "float32",
        "evaluate_every": 3,
    }
    return RetrofitConfig(**({"model": str(base), "data": str(data), "output": str(output)} | settings | changes))
