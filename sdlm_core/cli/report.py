"""`sdlm report`: a sweep as one HTML file, drawn by the app's plots."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sdlm_core.cli.options import app_module, prepare_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `report`."""
    parser.add_argument("sweep", type=Path, help="what `sweep` has written, such as sweep.json")
    parser.add_argument("output", type=Path, nargs="?", help="the HTML file (default: beside the sweep)")


def run(args: argparse.Namespace) -> int:
    """Read the sweep and write its report. SDLMError where the file is no sweep."""
    output = args.output or args.sweep.with_suffix(".html")
    prepare_output(output)
    page = app_module("app.plots.report").draw(args.sweep)
    output.write_text(page, encoding="utf-8")
    print(f"Written: {output}", file=sys.stderr)
    return 0
