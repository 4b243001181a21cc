"""The Dockerfile's steps, as far as that goes without building: what is copied, who runs it, what the check asks."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
STEPS = [line.split(maxsplit=1) for line in TEXT.splitlines() if line and not line.startswith("#")]


def steps(name: str) -> list[str]:
    return [rest for word, rest in STEPS if word == name]


def test_the_python_is_one_whose_wheels_are_checked() -> None:
    from tools.check_pins import PYTHONS

    (image,) = steps("FROM")
    assert re.fullmatch(r"python:(\d\.\d+)-slim", image)
    assert image.removeprefix("python:").removesuffix("-slim") in PYTHONS


def test_it_does_not_run_as_root() -> None:
    assert [word for word, _ in STEPS].index("USER") < [word for word, _ in STEPS].index("CMD")
    assert steps("USER") == ["sdlm"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the copied files alone."""
    folder = tmp_path_factory.mktemp("image")
    for copied in steps("COPY"):
        *names, target = copied.split()
        for name in names:
            source = ROOT / name
            assert source.exists(), name
            if source.is_dir():
                shutil.copytree(source, folder / target, ignore=shutil.ignore_patterns("__pycache__", "*.jsonl"))
            else:
                shutil.copy(source, folder / target)
    return folder


def run(folder: Path, *words: str) -> None:
    """Python with these words, in that folder. Fails where it fails."""
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_copied_is_enough_to_start(image: Path) -> None:
    command = json.loads(steps("CMD")[0])
    assert command[0] == "python"
    run(image, *command[1:], "--help")
    run(image, "-c", "from sdlm_core.models import builtin; builtin.ensure_adapter()")


@pytest.mark.slow
def test_what_is_copied_is_enough_for_the_lesson(image: Path) -> None:
    run(image, "-c", "from app import learn; learn.lesson()")


def test_the_torch_of_the_cpu_is_the_pinned_one() -> None:
    pin = subprocess.run(["grep", "^torch==", "requirements.txt"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert pin.stdout.count("\n") == 1


def test_the_health_check_is_python() -> None:
    (check,) = steps("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    compile(command[2], "health", "exec")
    (port,) = re.findall(r"SDLM_PORT=(\d+)", TEXT)
    assert f":{port}/" in command[2]
    assert steps("EXPOSE") == [port]
