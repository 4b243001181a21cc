"""The command line: an answer in the terminal, and mistakes in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sdlm_core import Candidate, Pass, Trace
from sdlm_core.__main__ import COMMANDS, main
from sdlm_core.decode_cli import describe_pass


def test_decode_prints_every_pass_and_saves_the_trace(
    checkpoint: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "trace.json"
    model = str(checkpoint(kind="qwen2", tied=True))
    arguments = ["decode", "hello", "--model", model, "--device", "cpu", "--dtype", "float32", "--max-new-tokens", "9"]
    assert main([*arguments, "--save", str(saved)]) == 0
    printed = capsys.readouterr()
    trace = Trace.from_json(saved.read_text())
    assert sum(" of 4 " in line for line in printed.out.splitlines()) == len(trace.passes)
    assert f"{len(trace.token_ids)} tokens in {len(trace.passes)} passes" in printed.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["decode", "hello", "--model", "/nowhere"], ["/nowhere", "no folder"]),
        (["decode", "hello", "--threshold", "2"], ["τ", "between 0 and 1"]),
        (["decode", "hello", "--save", "/"], ["'/'", "folder"]),
        (["decode", "hello", "--save", "/dev/null/trace.json"], ["/dev/null/trace.json", "cannot be written"]),
        (["bench", "--random-weights", "qwen2.5-3b", "--quantization", "nf4"], ["--quantization"]),
        (["synthesize", "chat", "--output", "/dev/null", "--count", "1", "--batch", "0"], ["--batch", "0"]),
    ],
)
def test_a_mistake_ends_in_one_sentence(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("Error: ")
    assert "Traceback" not in printed
    assert all(word in printed for word in words)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 5


def test_model_text_cannot_steer_the_terminal() -> None:
    bad = Candidate(1, "\x1b[2J\n hi", 0.5, 0.5, 1.0)
    line = describe_pass(Pass(0, 0, (bad,), 1, 1, 0, 1, 0.1), colour=False)
    assert "\x1b" not in line
    assert "⏎·hi" in line


def test_bench_measures_each_section(
    checkpoint: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "one two three"}\n')
    out = tmp_path / "bench.json"
    model = str(checkpoint(kind="llama", tied=True, max_position_embeddings=1024))
    arguments = ["bench", "--model", model, "--device", "cpu", "--dtype", "float32", "--repeats", "1", "--limit", "1"]
    assert main([*arguments, "--prompts", str(prompts), "--output", str(out)]) == 0
    rows = {row["what"]: row["value"] for row in json.loads(out.read_text())["rows"]}
    assert float(rows["our pass / transformers' forward"]) > 0
    assert {"D = 4, 8 at once", "self_speculative", "our pass / that floor"} <= set(rows)
    assert any(name.endswith("32 at once") for name in rows)
