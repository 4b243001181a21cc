"""`sdlm demo`: starts the app, as `python app.py` does in a checkout and on Hugging Face Spaces."""

from __future__ import annotations

import argparse
import runpy
from collections.abc import Sequence

from sdlm_core.assets import app_folder
from sdlm_core.cli.options import app_module


def add_arguments(_: argparse.ArgumentParser) -> None:
    """None here: app.py has its own."""


def run(words: Sequence[str]) -> int:
    """Run app.py with these options. Returns when the app has ended."""
    app_module("app")  # from here on, `app` is the one beside app.py
    main = runpy.run_path(str(app_folder() / "app.py"))["main"]
    main(words, prog="sdlm demo")
    return 0
