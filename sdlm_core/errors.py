"""The one exception that is meant to be read by people."""

from __future__ import annotations


class SDLMError(ValueError):
    """A mistake the user can fix: the message says what was wrong and what to do."""
