"""The app for tests of the lab: as serve.py, with a made-up sweep in the place of the shipped one.

A sweep's answers are short: SDLM_TEST_TOKENS to a held-out problem, half as many to a prompt.
"""

from __future__ import annotations

import os
import runpy
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from app import limits
from app.lab import data, tab
from sdlm_core.evaluate.tasks import TaskSet, load_set
from tests.app.sweep_data import make_log, make_sweep

TOKENS = int(os.environ["SDLM_TEST_TOKENS"])


def shorter(name: str, limit: int) -> TaskSet:
    """A set as it ships, but for its answers' length."""
    return replace(load_set(name, limit), max_new_tokens=TOKENS)


data.shipped = make_sweep  # type: ignore[assignment]
data.training_log = make_log  # type: ignore[assignment]
tab.load_set = shorter  # type: ignore[assignment]
limits.MAX_SWEEP_TOKENS = TOKENS // 2

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).with_name("serve.py")), run_name="__main__")
