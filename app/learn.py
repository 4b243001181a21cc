"""The lesson's tab: nine steps over recorded runs. It needs no model; what it shows lies in assets."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from app.theatre import theatre
from sdlm_core.assets import assets_folder

# What the lesson calls a recording, and its file. The model may have had no sampler: then one is missing.
RECORDINGS = {
    "autoregressive": "examples/race/1-autoregressive.json",
    "threshold": "lesson/threshold.json",
    "speculative": "examples/race/3-self_speculative.json",
    "sure": "lesson/every-sure.json",
    "coherent": "lesson/coherent.json",
    "widths": "lesson/widths.json",
    "calibration": "lesson/calibration.json",
}


def build() -> None:
    """Lay out the tab."""
    theatre.learn([lesson])


def lesson(_: Any = None) -> dict[str, Any]:
    """The recordings by name; None for one that there is not."""
    return recordings()


@lru_cache
def recordings() -> dict[str, Any]:
    """The same, read once."""
    paths = {name: assets_folder() / path for name, path in RECORDINGS.items()}
    return {
        name: json.loads(path.read_text(encoding="utf-8")) if path.exists() else None for name, path in paths.items()
    }
