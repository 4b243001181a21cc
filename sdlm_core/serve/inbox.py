"""A run's passes on their way from the thread that makes them to whoever asked for them."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterable, Iterator

from sdlm_core.trace import Pass

log = logging.getLogger(__name__)


class Inbox:
    """Filled on one thread, emptied on another.

    on_news is called, on either, whenever there is something to `take`; it must return at once.
    """

    def __init__(self, on_news: Callable[[], None] | None = None) -> None:
        self.on_news = on_news
        self._told: queue.SimpleQueue[Pass | Exception | None] = queue.SimpleQueue()
        self._emptied = False  # to the end

    def put(self, passes: Iterable[Pass]) -> None:
        """These came. Rings even for none."""
        for p in passes:
            self._told.put(p)
        self.ring()

    def end(self, error: Exception | None = None) -> None:
        """Nothing follows; with an error, because of it."""
        self._told.put(error)
        self.ring()

    def ring(self) -> None:
        if self.on_news is not None:
            try:
                self.on_news()
            except Exception:  # a listener that has gone must not take the passes of others with it
                log.debug("A listener failed", exc_info=True)

    def take(self) -> tuple[list[Pass], bool]:
        """The passes since the last `take`, without waiting, and whether that was all. Raises what ended the run."""
        passes: list[Pass] = []
        while not self._emptied:
            try:
                told = self._told.get_nowait()
            except queue.Empty:
                return passes, False
            if isinstance(told, Exception) and passes:  # first what came before it
                self._told.put(told)
                self.ring()
                return passes, False
            if (p := self._opened(told)) is not None:
                passes.append(p)
        return passes, True

    def __iter__(self) -> Iterator[Pass]:
        """The passes as they come. Raises what ended the run."""
        while not self._emptied:
            if (p := self._opened(self._told.get())) is not None:
                yield p

    def _opened(self, told: Pass | Exception | None) -> Pass | None:
        """The pass, or None for the end. Raises what ended the run."""
        self._emptied = not isinstance(told, Pass)
        if isinstance(told, Exception):
            raise told
        return told
