"""Stop strings: the answer ends before the first one, of which no part is ever sent."""

from __future__ import annotations

from collections.abc import Sequence


class StopCutter:
    """Cuts a growing text at the first stop string to be complete; of several complete at once, at the longest.

    stopped: whether one was found. The result does not depend on how the text is divided into pieces.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.stopped = False
        self._stops = tuple(stops)
        self._held = ""  # the end of the text, which may be the beginning of a stop string

    def push(self, piece: str) -> str:
        """Take the next piece of text; returns what can be sent now."""
        if self.stopped:
            return ""
        text = self._held + piece
        found = [(start + len(stop), start) for stop in self._stops if (start := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)[1]]
        held = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def finish(self) -> str:
        """The text is complete; returns what was held back."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`, and is not all of it."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
