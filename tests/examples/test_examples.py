"""The scripts of examples/, as somebody runs them who has read the README, on tiny models."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.retrofit import tiny

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *words: str) -> None:
    runpy.run_path(str(EXAMPLES / name))["main"](list(words))


def test_passes_are_printed(checkpoint: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    model = str(checkpoint(kind="qwen2", tied=True))
    run("passes.py", "one two", "--model", model, "--threshold", "0.2", "--max-new-tokens", "12")
    *lines, last = capsys.readouterr().out.splitlines()
    tokens, passes = map(int, re.findall(r"\d+", last))
    assert 1 <= passes == len(lines) <= tokens <= 12
    assert lines[0].startswith("pass 1: kept '")


def test_a_threshold_is_swept(
    checkpoint: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("one two three\n\nthe cat sat\n")
    model = str(checkpoint(kind="qwen2", tied=True))
    run("sweep_threshold.py", str(prompts), "--model", model, "--threshold", "1", "0", "--max-new-tokens", "12")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert (rows[0][0], rows[0][2]) == ("1.00", "2"), "τ 1 agrees with itself"
    assert float(rows[0][1]) == 1.0
    assert float(rows[1][1]) > 2.0, "τ 0 accepts every candidate"


def test_a_tiny_model_is_retrofitted_and_decodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = tiny.folder(tmp_path / "base")
    words = f"{tmp_path / 'out'} --model {base} --mask-token <mask> --steps 2 --problems 20"
    run("retrofit_tiny.py", *words.split())
    assert float(capsys.readouterr().out.splitlines()[-1].split()[0]) >= 1.0


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"passes.py", "sweep_threshold.py", "retrofit_tiny.py"}
