"""The bench: all its sections on a tiny model, its clock, and its prompts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sdlm_core.__main__ import main
from sdlm_core.bench import answers
from sdlm_core.bench.timing import alternate


def test_bench_measures_each_section(
    checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "ANSWER_TOKENS", 8)  # what longer answers take is nothing to a test
    monkeypatch.setattr(answers, "CROWD_TOKENS", 4)
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "one two three"}\n')
    out = tmp_path / "bench.json"
    model = str(checkpoint(kind="llama", tied=True, max_position_embeddings=1024))
    arguments = ["bench", "--model", model, "--device", "cpu", "--dtype", "float32", "--repeats", "1", "--limit", "1"]
    assert main([*arguments, "--prompts", str(prompts), "--output", str(out)]) == 0
    rows = {row["what"]: row["value"] for row in json.loads(out.read_text())["rows"]}
    assert float(rows["our pass / transformers' forward"]) > 0
    assert {"D = 4, 8 at once", "self_speculative", "our pass / that floor"} <= set(rows)
    assert float(rows["self_speculative, D = auto, against autoregressive by the clock"].removesuffix(" ×")) > 0
    assert any(name.endswith("32 at once") for name in rows)


def test_the_clock_waits_for_a_macs_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "synchronize", lambda: order.append("wait"))
    monkeypatch.setattr("time.perf_counter", lambda: order.append("clock") or 0.0)
    alternate({"a": lambda: order.append("a")}, repeats=1)
    assert order == ["clock", "a", "wait", "clock", "a", "wait", "clock"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "prompts.jsonl' is empty"),
        ('{"prompt": "one"}\n{', "prompts.jsonl, line 2 is not valid JSON"),
        ('{"question": "one"}', 'prompts.jsonl, line 1 has no "prompt"'),
        (None, "prompts.jsonl' could not be read"),
    ],
)
def test_broken_prompts_are_told_before_the_model_loads(
    content: str | None, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    if content is not None:
        prompts.write_text(content)
    assert main(["bench", "--model", "/nowhere", "--prompts", str(prompts)]) == 2
    assert sentence in capsys.readouterr().err
