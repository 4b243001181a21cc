"""Settings of a retrofit: their limits, the schedule, the command line, and which base models it takes."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sdlm_core.cli import retrofit as cli
from sdlm_core.errors import SDLMError
from sdlm_core.models import builtin
from sdlm_core.models.loading import load_model
from sdlm_core.retrofit.config import RetrofitConfig
from sdlm_core.retrofit.progress import Progress, learning_rate
from sdlm_core.retrofit.train import retrofit
from tests.retrofit import tiny
from tests.retrofit.conftest import config


def test_schedule() -> None:
    settings = RetrofitConfig("m", "d", "o", steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate(settings, Progress(step=step)) for step in range(100)]
    assert rates[0] == pytest.approx(0.1, rel=0.01)
    assert max(rates) == rates[9] > 0.95
    assert rates[-1] == pytest.approx(0.1, abs=0.01)
    by_time = RetrofitConfig("m", "d", "o", minutes=10, warmup_steps=1, learning_rate=1.0)
    assert learning_rate(by_time, Progress(step=7, seconds=300)) == pytest.approx(0.55)
    assert Progress(step=7, seconds=600).done(by_time)
    constant = RetrofitConfig("m", "d", "o", steps=100, warmup_steps=10, learning_rate=1.0, schedule="constant")
    assert learning_rate(constant, Progress(step=99)) == 1.0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"steps": None}, "how long"),
        ({"schedule": "linear"}, "schedule"),
        ({"block_density": 0.0}, "block_density"),
        ({"model": "no/such/folder/here"}, "There is no folder"),
        ({"mask_token": "<new>"}, "cannot bring one along"),
        ({"resume": True}, "no checkpoint"),
        ({"dtype": "half-ish"}, "dtype"),
        ({"dtype": "float16"}, "dtype"),
        ({"steps": 0}, "steps"),
        ({"steps": None, "minutes": 0}, "minutes"),
        ({"evaluate_every": 0}, "evaluate_every"),
        ({"block_size": 100}, "block_size must be at most 64, but is 100"),
        ({"grad_clip": 0.0}, "grad_clip must be above 0, but is 0.0"),
        ({"grad_clip": -1.0}, "grad_clip"),
        ({"grad_clip": math.nan}, "grad_clip"),
        ({"lora_rank": -1}, "lora_rank must be at least 0, but is -1"),
        ({"lora_alpha": 0}, "lora_alpha"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": -1e-4}, "learning_rate"),
        ({"learning_rate": math.inf}, "learning_rate must be a finite number"),
        ({"minutes": math.inf}, "minutes"),
        ({"text_loss": math.nan}, "text_loss"),
        ({"teacher_temperature": math.nan}, "teacher_temperature"),
        ({"held_out_rows": 0}, "held_out_rows"),
        ({"warmup_steps": -1}, "warmup_steps"),
        ({"checkpoint_minutes": math.nan}, "checkpoint_minutes"),
        ({"mask_token": "<|im_end|>"}, "'<|im_end|>' is what ends an answer"),
    ],
)
def test_mistakes_are_explained(base: Path, data: Path, tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(SDLMError, match=says):
        retrofit(config(base, data, tmp_path / "out", **changes))


def test_settings_without_a_limit_are_allowed() -> None:
    RetrofitConfig("m", "d", "o", steps=1, grad_clip=math.inf, checkpoint_minutes=math.inf, warmup_steps=0).check()


@pytest.mark.parametrize("rank", [0, 2])
def test_a_base_checkpoint_learns_to_end_answers_as_its_template_does(data: Path, tmp_path: Path, rank: int) -> None:
    """Where neither config.json nor the tokenizer names the token that closes a turn, as in base Qwen2.5."""
    tiny.model("qwen2").save_pretrained(tmp_path / "base")
    tiny.tokenizer(end="<unk>").save_pretrained(tmp_path / "base")
    folder = retrofit(config(tmp_path / "base", data, tmp_path / "out", lora_rank=rank, steps=1))
    lm = load_model(str(folder / ("adapter" if rank else "model")), device="cpu", dtype="float32")
    assert tiny.END_ID in lm.end_token_ids


def test_a_template_that_never_ends_an_answer_is_refused_before_training(data: Path, tmp_path: Path) -> None:
    folder = tiny.folder(tmp_path / "base")
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = tiny.TEMPLATE.replace("<|im_end|>", "")
    tokenizer.save_pretrained(folder)
    with pytest.raises(SDLMError, match="could not learn to stop"):
        retrofit(config(folder, data, tmp_path / "out"))


def test_a_run_is_not_overwritten(base: Path, data: Path, tmp_path: Path) -> None:
    retrofit(config(base, data, tmp_path / "out", steps=1))
    with pytest.raises(SDLMError, match="--resume"):
        retrofit(config(base, data, tmp_path / "out", steps=1))


def test_command_line(base: Path, data: Path, tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    out = tmp_path / "out"
    args = ["--model", str(base), "--data", str(data), "--output", str(out), "--mask-token", "<mask>", "--steps", "1"]
    assert cli.run(parser.parse_args([*args, "--lora-rank", "2", "--held-out", "0", "--dtype", "float32"])) == 0
    assert (out / "adapter" / "adapter_model.safetensors").is_file()


def test_the_builtin_models_base_goes_by_the_builtin_models_name(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtin, "ensure_base", lambda: base)
    folder = retrofit(replace(config(base, data, tmp_path / "out", steps=1), model="builtin"))
    facts = json.loads((folder / "adapter" / "sdlm_config.json").read_text())
    assert facts["base"] == "builtin-base", "the loader finds it by this name"
