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
    installed_fits,
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
        missing = missing_wheels([*pins, Requirement("torch==0.0.1")], other_pythons())
    except IndexUnreachable as error:
        pytest.skip(f"no package index: {error}")
    assert missing == [f"torch==0.0.1 for Python {python}" for python in other_pythons()], "that one there is not"


def test_a_wheel_that_is_installed_tells_whether_it_fits_other_pythons(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "some-1.0.dist-info"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    (folder / "METADATA").write_text("Name: some\nVersion: 1.0\nRequires-Python: >=3.11, <3.13\n")

    def fits(tag: str, python: str, pin: str = "some==1.0") -> bool:
        (folder / "WHEEL").write_text(f"Wheel-Version: 1.0\nTag: {tag}\n")
        return installed_fits(Requirement(pin), python)

    assert fits("py3-none-any", "3.12")
    assert fits("py2.py3-none-any", "3.12")
    assert fits("cp310-abi3-manylinux_2_28_x86_64", "3.12")
    assert not fits("cp311-cp311-manylinux_2_28_x86_64", "3.12"), "of one Python"
    assert not fits("cp313-abi3-manylinux_2_28_x86_64", "3.12"), "of later ones"
    assert not fits("py3-none-any", "3.13"), "beyond its limits"
    assert not fits("py3-none-any", "3.12", "some==1.1"), "another version"
    assert not fits("py3-none-any", "3.12", "none-such==1.0"), "not installed"
