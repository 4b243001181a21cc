"""The command line: an answer in the terminal, and mistakes in one sentence."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sdlm_core import Candidate, Pass, Trace
from sdlm_core.__main__ import COMMANDS, main
from sdlm_core.assets import assets_folder
from sdlm_core.cli.decode import describe_pass, without_controls


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
    assert without_controls("\x1b[2J\x9b1m\r\x00") == "�[2J�1m��"
    assert without_controls("one\n\t二\u3000👩\u200d🚀") == "one\n\t二\u3000👩\u200d🚀", "what people write stays"


@pytest.mark.parametrize("terminal", [True, False])
def test_an_answer_is_filtered_for_a_terminal_alone(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Said:
        """A run whose answer clears the screen."""

        def __init__(self, *_: Any) -> None:
            pass

        def __iter__(self) -> Any:
            return iter(())

        def trace(self) -> Any:
            return SimpleNamespace(
                text="a\x1b[2J\n\tb", token_ids=[1], passes=[1], tokens_per_pass=1, seconds=1, device=""
            )

    monkeypatch.setattr("sdlm_core.decoding.loop.Run", Said)
    monkeypatch.setattr("sdlm_core.models.loading.load_model", lambda *_: None)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert main(["decode", "hello", "--quiet"]) == 0
    assert capsys.readouterr().out == ("a�[2J\n\tb\n" if terminal else "a\x1b[2J\n\tb\n")


def test_a_prompt_of_broken_bytes_is_read(
    checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = tmp_path / "trace.json"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"the \xff cat"), encoding="utf-8"))
    words = f"decode - --model {checkpoint(kind='qwen2', tied=True)} --device cpu --max-new-tokens 2 --save {saved}"
    assert main(words.split()) == 0
    assert Trace.from_json(saved.read_text()).prompt == "the � cat"


def test_the_shipped_sweep_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "report.html"
    assert main(["report", str(assets_folder() / "sweeps" / "builtin.json"), str(output)]) == 0
    assert capsys.readouterr().err == f"Written: {output}\n"
    assert "<h1>Speed against quality: " in output.read_text(encoding="utf-8")
    for text in ("{", "[]", '{"format": "sdlm-sweep", "cells": [{}]}'):
        (tmp_path / "bad.json").write_text(text)
        assert main(["report", str(tmp_path / "bad.json")]) == 2
        assert capsys.readouterr().err.startswith(f"Error: {tmp_path / 'bad.json'} ")
    assert not (tmp_path / "bad.html").exists()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    assert main(["evaluate", "--tasks", "gsm8k", "--model", "/nowhere"]) == 2
    assert "pip install 'sdlm-theatre[eval]'" in capsys.readouterr().err


def test_the_app_is_started_with_its_own_options(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[list[str], str]] = []
    monkeypatch.setattr("runpy.run_path", lambda path: {"main": lambda words, prog: calls.append((words, prog))})
    assert main(["demo", "--port", "8123"]) == 0
    assert calls == [(["--port", "8123"], "sdlm demo")]
