"""The app for tests, with a model that never finishes loading."""

from __future__ import annotations

import runpy
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import sdlm_core


def load_model(*_: Any, **__: Any) -> None:
    threading.Event().wait()


sdlm_core.load_model = load_model  # type: ignore[assignment]

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).parents[2] / "app.py"), run_name="__main__")
