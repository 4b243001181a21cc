"""The commands of README.md and docs/: ours parse as they stand there, and whatever no test runs says so.

What our commands do is tested in tests/cli and beside the modules that they call, with tiny models.
"""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app import __file__ as app_file
from sdlm_core.__main__ import COMMANDS, main

ROOT = Path(app_file).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_RUN = "not run by a test"
ALL_NOT_RUN = re.compile(r"(no command|none of the commands|the \w+ commands are not)[^.]*\brun by a test", re.I)


def commands(text: str) -> list[str]:
    """The lines of a document's shell blocks, long ones joined, comments kept."""
    blocks = re.findall(r"^```(?:sh|bash)\n(.*?)^```", text, re.M | re.S)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


CASES = [(path, line) for path in DOCUMENTS for line in commands(path.read_text(encoding="utf-8"))]


def test_the_documents_have_commands() -> None:
    assert {path.name for path, _ in CASES} >= {"README.md", "api.md", "server.md", "spaces.md", "cluster.md"}


@pytest.mark.parametrize(("path", "line"), CASES, ids=[line[:60] for _, line in CASES])
def test_a_command_parses_or_is_said_not_to_be_run(
    path: Path, line: str, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = shlex.split(line, comments=True)
    words = words[next((i for i, word in enumerate(words) if "=" not in word), 0) :]  # after VARIABLE=value
    if words[:3] == ["python", "-m", "sdlm_core"]:
        assert parsed(words[3:], monkeypatch)
    elif words[:2] == ["python", "app.py"]:
        assert command.parse_arguments(words[2:])
    elif words[:2] == ["python", "-m"] and words[2].startswith("tools."):
        told = subprocess.run([sys.executable, "-m", words[2], "--help"], cwd=ROOT, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
        assert all(word in told.stdout for word in words[3:] if word.startswith("--"))
    elif words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
    elif words[0] == "sh":
        assert (ROOT / words[1]).is_file()
    elif words[:3] != ["pip", "install", "."]:  # which tests/packaging/test_wheel.py does
        said = NOT_RUN in line or ALL_NOT_RUN.search(" ".join(path.read_text(encoding="utf-8").split()))
        assert said, f"{path.name} does not say that no test runs this: {line}"


def parsed(words: list[str], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a command takes these words; it is not run."""
    assert words[0] in COMMANDS
    found: list[argparse.Namespace] = []
    module = importlib.import_module(f"sdlm_core.cli.{words[0]}")
    monkeypatch.setattr(module, "run", lambda args: found.append(args) or 0)
    if words[1:] == ["--help"]:
        with pytest.raises(SystemExit, match=r"^0$"):
            main(words)
        return True
    return main(words) == 0 and len(found) == 1
