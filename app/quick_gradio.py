"""Gradio, imported in half the time. The app's modules import it from here, and only from here.

While it is imported, Gradio parses the source of each of its components and writes a type stub beside it, into its own
installation: for an editor, and for nothing that runs. It leaves out a class whose file is not known; so no file is.
"""

from __future__ import annotations

import inspect
from typing import Any
from unittest.mock import patch

__all__ = ["gr"]

getfile = inspect.getfile


def getfile_outside_gradio(thing: Any) -> str:
    """inspect.getfile, but for Gradio's classes, of which it says what it says of built-in ones: OSError."""
    if isinstance(thing, type) and thing.__module__.startswith("gradio."):
        raise OSError("source code not available")
    return getfile(thing)


with patch("inspect.getfile", getfile_outside_gradio):
    import gradio as gr
