"""What was measured beforehand and is drawn at once, without a model: read from the shipped files, once."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from sdlm_core.assets import assets_folder
from sdlm_core.models import builtin

EMPTY: dict[str, Any] = {"model": "builtin", "cells": [], "calibration": [], "wall_clock": [], "settings": {"sets": []}}


@lru_cache(maxsize=1)
def shipped() -> dict[str, Any]:
    """The built-in model's sweep, or an empty one where it has not been made."""
    return _read(assets_folder() / "sweeps" / "builtin.json") or EMPTY


@lru_cache(maxsize=1)
def published() -> dict[str, Any]:
    """The paper's figures."""
    return _read(assets_folder() / "published" / "results.json") or {}


@lru_cache(maxsize=1)
def training_log() -> list[dict[str, Any]]:
    """The lines of the built-in model's training log."""
    path = builtin.ADAPTER / "training_log.jsonl"
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError):
        return []


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None
