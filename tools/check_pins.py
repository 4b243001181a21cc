"""Whether every pin has a wheel for each Python we support: `python -m tools.check_pins`.

Asks the package index by `pip index versions`, which lists only versions with a wheel that fits, and downloads nothing.
A version that is tested here says nothing about the others: a pin without a wheel for them would be compiled, or fail.
But most wheels are for all of them, and the one that is installed here says so itself: of those, one question will do.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import runpy
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr, redirect_stdout, suppress
from multiprocessing import get_context
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import parse_tag

PYTHONS = ("3.11", "3.12", "3.13")
ROOT = Path(__file__).parents[1]


class IndexUnreachable(Exception):
    """The package index gives no answer."""


def read_pins(*files: Path) -> list[Requirement]:
    """The pins of requirements files; lines that begin with - and comments are left out."""
    lines = [line.partition("#")[0].strip() for file in files for line in file.read_text("utf-8").splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def pinned_version(pin: Requirement) -> str:
    """The version of a pin: "2.13.0" of `torch==2.13.0`. ValueError where it is none."""
    (one,) = pin.specifier
    if one.operator != "==":
        raise ValueError(f"{pin} pins no version")
    return one.version


def _pip(*words: str) -> tuple[str, str]:
    """What pip prints as output and as errors. It runs in this process, whose logging is pip's from then on."""
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors), suppress(SystemExit):
        sys.argv = ["pip", *words]
        runpy.run_module("pip", run_name="__main__", alter_sys=True)
    return output.getvalue(), errors.getvalue()


def has_wheel(pin: Requirement, python: str) -> bool:
    """Whether the index has a wheel of the pinned version for a Python and this platform. Raises IndexUnreachable."""
    options = ["--python-version", python, "--only-binary=:all:", "--pre", "--disable-pip-version-check"]
    told, complaint = _pip("index", "versions", pin.name, *options)
    listed = next((line for line in told.splitlines() if line.startswith("Available versions:")), None)
    if listed is None:
        if "No matching distribution" in complaint and "Retrying" not in complaint:
            return False
        raise IndexUnreachable(complaint.strip())
    return pinned_version(pin) in listed.partition(":")[2].replace(" ", "").split(",")


def installed_fits(pin: Requirement, python: str) -> bool:
    """Whether the pinned version's wheel that is installed here is for that Python as well, by its tags and limits."""
    try:
        wheel = importlib.metadata.distribution(pin.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    lines = (wheel.read_text("WHEEL") or "").splitlines()
    tags = {tag for line in lines if line.startswith("Tag: ") for tag in parse_tag(line.removeprefix("Tag: "))}
    minor = int(python.removeprefix("3."))
    stable = {f"cp3{older}" for older in range(2, minor + 1)}  # whose stable interface is Python's as well
    fits = any(tag.interpreter == "py3" or (tag.abi == "abi3" and tag.interpreter in stable) for tag in tags)
    limits = SpecifierSet(",".join(wheel.metadata.get_all("Requires-Python") or []))
    return fits and wheel.version == pinned_version(pin) and limits.contains(f"{python}.0")


def other_pythons() -> list[str]:
    """The supported versions but the running one, whose wheels are installed already."""
    return [python for python in PYTHONS if python != f"{sys.version_info.major}.{sys.version_info.minor}"]


def missing_wheels(pins: Sequence[Requirement], pythons: Sequence[str]) -> list[str]:
    """The pins without a wheel, each with its Python. Raises IndexUnreachable."""
    pairs = []
    for pin in pins:  # one that fits all of them is asked for once: whether there is a wheel at all
        apart = [python for python in pythons if not installed_fits(pin, python)]
        pairs += [(pin, python) for python in apart or pythons[:1]]
    # Processes that ask more than once, since pip needs longer to start than to ask.
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        found = list(pool.map(has_wheel, *zip(*pairs, strict=True)))
    return [f"{pin} for Python {python}" for (pin, python), there in zip(pairs, found, strict=True) if not there]


def main() -> int:
    """Print what is missing; 1 where something is, 2 where the index gives no answer."""
    argparse.ArgumentParser(prog="python -m tools.check_pins", description=__doc__.splitlines()[0]).parse_args()
    pins = read_pins(ROOT / "requirements.txt", ROOT / "requirements-dev.txt", ROOT / "requirements-cluster.txt")
    try:
        missing = missing_wheels(pins, other_pythons())
    except IndexUnreachable as error:
        print(f"The package index gives no answer: {error}", file=sys.stderr)
        return 2
    print("\n".join(missing) or f"All {len(pins)} pins have a wheel for Python {' and '.join(other_pythons())}.")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
