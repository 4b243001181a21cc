"""`python -m sdlm_core serve` as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from sdlm_core.__main__ import main

ASK: Any = [{"role": "user", "content": "the cat sat on my secret"}]


@pytest.mark.slow
def test_it_serves_and_ends_when_told(checkpoint: Callable[..., Path]) -> None:
    folder = str(checkpoint(kind="llama"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "sdlm_core", "serve", "--model", folder, "--device", "cpu", "--port", port]
    environment = {**os.environ, "SDLM_API_KEYS": "right"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        lines = []
        for line in process.stderr:  # until it says that it is ready; a process that ends ends the loop
            lines.append(line)
            if "is ready" in line:
                break
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="right")
        answer = client.chat.completions.create(model=folder, messages=ASK, max_tokens=4)
        assert answer.usage is not None
        assert answer.usage.completion_tokens <= 4
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="wrong").models.list()
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[1]
    lines += rest.splitlines()
    entries = [json.loads(line) for line in lines if line.startswith("{")]  # beside the bar of loading weights
    requests = [entry for entry in entries if entry["message"] == "request"]
    assert [entry["status"] for entry in requests] == [200, 401]
    assert "secret" not in "".join(lines)
    assert "Traceback" not in rest


@pytest.mark.parametrize("wrong", [["--max-runs", "0"], ["--port", "70000"], ["--max-tokens", "-1"]])
def test_wrong_numbers_end_in_a_sentence(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *wrong]) == 2
    assert capsys.readouterr().err.startswith(f"Error: {wrong[0]} must be")


def test_an_empty_list_of_keys_is_no_open_door(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SDLM_API_KEYS", " , ")
    assert main(["serve"]) == 2
    assert "holds no key" in capsys.readouterr().err
