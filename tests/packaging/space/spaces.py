"""A stand-in for the package that a Space with ZeroGPU brings along: what is marked runs here and now, on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def GPU(duration: Any) -> Callable[[Any], Any]:
    """Marks nothing."""
    return lambda function: function


def gradio_auto_wrap(function: Any) -> Any:
    """What Gradio asks for each event's function."""
    return function
