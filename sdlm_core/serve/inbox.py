"""A run's passes on their way from the thread that makes them to whoever asked for them."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterable, Iterator

from sdlm_core.trace import Pass

log = logging.getLogger(__name__)


class Inbox:
    """Filled on one thread, emptied on another.

    on_news is called on the filling thread whenever there is something to `take`; it must return at once.
    """

    def __init__(self, on_news: Callable[[], None] | None = None) -> None:
        self.on_news = on_news
        self._told: queue.SimpleQueue[Pass | Exception | None] = queue.SimpleQueue()

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
        while True:
            try:
                told = self._told.get_nowait()
            except queue.Empty:
                return passes, False
            if isinstance(told, Exception):
                if passes:  # first what came before it
                    self._told.put(told)
                    return passes, False
                raise told
            if told is None:
                return passes, True
            passes.append(told)

    def __iter__(self) -> Iterator[Pass]:
        """The passes as they come. Raises what ended the run."""
        while (told := self._told.get()) is not None:
            if isinstance(told, Exception):
                raise told
            yield told
