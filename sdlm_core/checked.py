"""Reading JSON that a stranger sent: what is missing or of the wrong kind raises SDLMError with one clear sentence."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

from sdlm_core.errors import SDLMError

MAX_JSON_CHARACTERS = 32_000_000


def parse_json(text: str) -> Any:
    """The value that a trace's text stands for."""
    if len(text) > MAX_JSON_CHARACTERS:
        raise SDLMError(f"This trace is too large: {len(text):,} characters, at most {MAX_JSON_CHARACTERS:,} are read.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise SDLMError("This is not a trace: the text is not valid JSON.") from None


def get_field(data: dict[str, Any], key: str, kind: type, where: str) -> Any:
    """A member of a kind."""
    value = data.get(key)
    if not isinstance(value, kind):
        raise SDLMError(f'This trace is broken: "{key}" of {where} is missing or not a {kind.__name__}.')
    return value


def get_integer(data: dict[str, Any], key: str, where: str) -> int:
    """A whole number from 0 that a browser reads exactly."""
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise SDLMError(f'This trace is broken: "{key}" of {where} is missing or not a whole number from 0.')
    return value


def get_number(data: dict[str, Any], key: str, where: str, high: float = math.inf) -> float:
    """A finite number from 0 to `high`."""
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= min(high, sys.float_info.max):
        raise SDLMError(f'This trace is broken: "{key}" of {where} is missing or not a number from 0 to {high:g}.')
    return float(value)
