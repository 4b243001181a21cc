"""The wheel, installed in an empty environment and used from an empty folder: nothing of the checkout is there.

The heavy dependencies are not installed again: a .pth file lends those of the environment that runs the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from sdlm_core.models import builtin

ROOT = Path(__file__).parents[2]

# Not compressed: the built-in model would take most of the time, and no file in the wheel differs.
BUILD = """
import sys, zlib
zlib.Z_DEFAULT_COMPRESSION = zlib.Z_NO_COMPRESSION
from hatchling.build import build_wheel
build_wheel(sys.argv[1])
"""
PROMPT = "import sdlm_core.evaluate.tasks as tasks; print(tasks.load_set('problems').items[0].prompt, end='')"
GRADE = """
import sys
from pathlib import Path
import sdlm_core
from sdlm_core.evaluate.tasks import load_set
from sdlm_core.problems.grading import is_correct

trace = sdlm_core.Trace.from_json(Path("trace.json").read_text())
problem = load_set("problems").items[0].problem
assert trace.tokens_per_pass > 1.2, "the model that ships guesses ahead"
assert trace.finish_reason == "eos" and "The answer is" in trace.text, trace.text
assert is_correct(f"The answer is {problem.answer}.", problem)
assert not is_correct("The answer is nothing.", problem)
print(sdlm_core.__file__, "graded", is_correct(trace.text, problem))
"""
ASSETS = """
from sdlm_core.assets import assets_folder
from sdlm_core.models import builtin

names = ("benchmarks/problems.jsonl", "examples/race", "published/results.json", "sweeps/builtin.json")
assert all((assets_folder() / name).exists() for name in names)
assert builtin.ensure_adapter() == assets_folder() / "models" / "smollm2-135m-sdlm"
import sdlm_core, pathlib
assert (pathlib.Path(sdlm_core.__file__).parent / "py.typed").exists()
"""
APP = """
from sdlm_core.cli.options import app_module

import sdlm_core
assert sdlm_core.load_model and sdlm_core.decode
page, theatre = app_module("app.page"), app_module("app.theatre.theatre")
assert "sdlm_theatre" in page.__file__, page.__file__
assert page.launch_options()
assert app_module("app.plots.report").render
"""


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it, and an empty folder to work in."""

    bin: Path
    folder: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command's result, with nothing in the environment that names the checkout. Fails where it fails."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            [str(self.bin / words[0]), *words[1:]],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, as pip has it built: hatchling is among what the tests need."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=ROOT, check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True)
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Installed(home / "bin", tmp_path_factory.mktemp("empty"))


def test_nothing_of_the_checkout_is_found(installed: Installed) -> None:
    told = installed.run("python", "-c", "import sdlm_core, sys; print(sdlm_core.__file__, *sys.path)").stdout
    assert str(ROOT / "sdlm_core") not in told
    assert str(ROOT) not in told.split()


def test_its_assets_are_there(installed: Installed) -> None:
    installed.run("python", "-c", ASSETS)


def test_its_app_is_there_under_a_name_of_its_own(installed: Installed) -> None:
    installed.run("python", "-c", APP)
    assert "usage: sdlm demo" in installed.run("sdlm", "demo", "--help").stdout


def test_the_command_says_what_it_can(installed: Installed) -> None:
    told = installed.run("sdlm", "--help").stdout
    assert told.startswith("usage: sdlm ")
    assert told == installed.run("python", "-m", "sdlm_core", "--help").stdout.replace("python -m sdlm_core", "sdlm")


def test_the_built_in_model_decodes_and_a_problem_is_graded(installed: Installed) -> None:
    builtin.ensure_base()  # fetched by pip, which the bare environment does not have
    prompt = installed.run("python", "-c", PROMPT).stdout
    options = ["--device", "cpu", "--threshold", "0.95", "--max-new-tokens", "128", "--save", "trace.json"]
    done = installed.run("sdlm", "decode", prompt, *options)
    assert "The answer is" in done.stdout
    assert " of 8 " in done.stdout
    assert "tokens per pass" in done.stderr
    told = installed.run("python", "-c", GRADE).stdout
    assert str(installed.bin.parent) in told
    assert "graded" in told
