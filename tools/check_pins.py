"""Whether every pin has a wheel for each Python we support: `python -m tools.check_pins`.

Asks the package index by `pip index versions`, which lists only versions with a wheel that fits, and downloads nothing.
A version that is tested here says nothing about the others: a pin without a wheel for them would be compiled, or fail.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.requirements import Requirement

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


def has_wheel(pin: Requirement, python: str) -> bool:
    """Whether the index has a wheel of the pinned version for a Python and this platform. Raises IndexUnreachable."""
    options = ["--python-version", python, "--only-binary=:all:", "--pre", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "index", "versions", pin.name, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    listed = next((line for line in done.stdout.splitlines() if line.startswith("Available versions:")), None)
    if listed is None:
        if "No matching distribution" in done.stderr and "Retrying" not in done.stderr:
            return False
        raise IndexUnreachable(done.stderr.strip())
    return pinned_version(pin) in listed.partition(":")[2].replace(" ", "").split(",")


def other_pythons() -> list[str]:
    """The supported versions but the running one, whose wheels are installed already."""
    return [python for python in PYTHONS if python != f"{sys.version_info.major}.{sys.version_info.minor}"]


def missing_wheels(pins: Sequence[Requirement], pythons: Sequence[str]) -> list[str]:
    """The pins without a wheel, each with its Python. Raises IndexUnreachable."""
    pairs = [(pin, python) for pin in pins for python in pythons]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda pair: has_wheel(*pair), pairs))
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
