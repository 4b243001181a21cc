"""The app for tests (see `serve`), with several models.

A test that makes the file "hold-loading" beside the log lets no model be loaded until it removes it.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import sdlm_core
from tests.browser import serve

HOLD = Path(os.environ["SDLM_TEST_LOG"]).with_name("hold-loading")
load = sdlm_core.load_model


def load_model(*what: Any, **how: Any) -> Any:
    while HOLD.exists():
        time.sleep(0.01)
    return load(*what, **how)


sdlm_core.load_model = load_model

if __name__ == "__main__":
    runpy.run_path(str(Path(serve.__file__).parents[2] / "app.py"), run_name="__main__")
