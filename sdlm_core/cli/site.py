"""`sdlm site`: recorded runs as a web page that needs no Python behind it, made by the app."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sdlm_core.cli.options import app_module
from sdlm_core.errors import SDLMError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `site`."""
    parser.add_argument("output", type=Path, help="the folder to write; any web server can show it, or open index.html")


def run(args: argparse.Namespace) -> int:
    """Write the site. SDLMError where the folder cannot be written."""
    try:
        files = app_module("app.site").build(args.output)
    except OSError as error:
        raise SDLMError(f"{str(args.output)!r} cannot be written ({error.strerror}). Give another folder.") from None
    for file in files:
        print(f"Written: {file}", file=sys.stderr)
    return 0
