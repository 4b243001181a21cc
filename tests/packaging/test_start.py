"""What starts is quick: nothing heavy is imported before it is needed."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

import sdlm_core
from sdlm_core.__main__ import COMMANDS

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "transformers", "numpy", "gradio", "plotly", "pandas", "peft", "lm_eval", "math_verify", "rapidfuzz"}
WITH_TORCH = {"bench", "serve"}  # commands whose options are described by modules that need it


def loaded(script: str) -> set[str]:
    """Which of the heavy packages a script imports."""
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\nimport sys; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return HEAVY & set(done.stdout.split())


def test_the_command_line_explains_itself_without_torch() -> None:
    modules = ", ".join(f"sdlm_core.cli.{name}" for name in COMMANDS if name not in WITH_TORCH)
    assert loaded(f"import sdlm_core.__main__, {modules}") == set()


def test_settings_and_traces_need_no_torch() -> None:
    assert loaded("from sdlm_core import ALGORITHMS, DecodeConfig, ForkTree, SDLMError, Trace") == set()
    assert loaded("import numpy") == {"numpy"}, "or this test would see nothing"


def test_what_comes_later_is_named_like_the_rest() -> None:
    for name in set(sdlm_core.__all__) - {"ALGORITHMS"}:
        assert getattr(sdlm_core, name).__name__ == name
    assert set(sdlm_core.__all__) <= set(dir(sdlm_core))
    with pytest.raises(AttributeError, match="module 'sdlm_core' has no attribute 'torch'"):
        _ = sdlm_core.torch


def test_the_app_imports_gradio_from_one_place() -> None:
    imported = re.compile(r"^\s*(import|from) gradio\b", re.MULTILINE)
    found = [path.name for path in (ROOT / "app").rglob("*.py") if imported.search(path.read_text(encoding="utf-8"))]
    assert found == ["quick_gradio.py"]


def test_gradio_writes_no_type_stub_as_it_is_imported() -> None:
    from app.quick_gradio import getfile_outside_gradio, gr

    component_meta = sys.modules["gradio.component_meta"]
    with patch("inspect.getfile", getfile_outside_gradio), patch.object(component_meta, "create_pyi") as written:
        component_meta.create_or_modify_pyi(gr.HTML, "HTML", [])  # what it calls for each class of a component
    written.assert_not_called()
    assert inspect.getfile(gr.HTML).endswith("html.py"), "known again"
