"""A visitor's runs as files to download: a folder for each browser session, deleted with it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from app.lab import results
from app.lab.results import Result

_ROOT = tempfile.TemporaryDirectory(prefix="sdlm-lab-")  # gone when the app ends


def folder(session: str) -> Path:
    """A browser session's folder. What the browser calls itself does not become a path."""
    return Path(_ROOT.name) / hashlib.sha256(session.encode()).hexdigest()


def write(session: str, own: list[Result]) -> tuple[Path, Path]:
    """The results as CSV and as JSON."""
    place = folder(session)
    place.mkdir(parents=True, exist_ok=True)
    as_csv, as_json = place / "sdlm-runs.csv", place / "sdlm-runs.json"
    as_csv.write_text(results.to_csv(own), encoding="utf-8")
    as_json.write_text(results.to_json(own), encoding="utf-8")
    return as_csv, as_json


def delete(session: str) -> None:
    """Delete what a browser session had to download."""
    shutil.rmtree(folder(session), ignore_errors=True)
