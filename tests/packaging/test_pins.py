"""The pins and the package's ranges say the same, and every pin has a wheel for each supported Python."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.check_pins import (
    PYTHONS,
    IndexUnreachable,
    has_wheel,
    missing_wheels,
    other_pythons,
    pinned_version,
    read_pins,
)

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_pins_are_versions_that_the_package_allows() -> None:
    extras = PROJECT["optional-dependencies"]
    ranges = [Requirement(line) for line in [*PROJECT["dependencies"], *itertools.chain(*extras.values())]]
    pins = read_pins(ROOT / "requirements.txt", ROOT / "requirements-dev.txt", ROOT / "requirements-cluster.txt")
    versions = {canonicalize_name(pin.name): pinned_version(pin) for pin in pins}
    for wanted in ranges:
        assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)]), wanted


def test_the_app_needs_no_more_than_the_package_says() -> None:
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras["app"], *extras["train"], *extras["quantization"]]
    named = {canonicalize_name(Requirement(line).name) for line in wanted}
    assert {canonicalize_name(pin.name) for pin in read_pins(ROOT / "requirements.txt")} == named


def test_the_space_has_the_gradio_that_is_pinned() -> None:
    (gradio,) = (pin for pin in read_pins(ROOT / "requirements.txt") if pin.name == "gradio")
    assert f"sdk_version: {pinned_version(gradio)}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.network
def test_every_pin_has_a_wheel_for_each_python() -> None:
    pins = read_pins(ROOT / "requirements.txt", ROOT / "requirements-dev.txt", ROOT / "requirements-cluster.txt")
    assert tuple(PROJECT["classifiers"][2:5]) == tuple(f"Programming Language :: Python :: {v}" for v in PYTHONS)
    try:
        assert not has_wheel(Requirement("torch==0.0.1"), PYTHONS[0]), "a version that there is not has none"
        missing = missing_wheels(pins, other_pythons())
    except IndexUnreachable as error:
        pytest.skip(f"no package index: {error}")
    assert missing == []
