"""The app for tests of the lab: as serve.py, with a made-up sweep in the place of the shipped one."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from app.lab import data
from tests.app.sweep_data import make_log, make_sweep

data.shipped = make_sweep  # type: ignore[assignment]
data.training_log = make_log  # type: ignore[assignment]

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).with_name("serve.py")), run_name="__main__")
