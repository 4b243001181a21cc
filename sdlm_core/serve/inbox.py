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
        self._items: queue.SimpleQueue[Pass | Exception | None] = queue.SimpleQueue()  # None and errors end it
        self._ended = False  # whether the end has been taken

    def put(self, passes: Iterable[Pass]) -> None:
        """Add passes. on_news is called even where there are none."""
        for p in passes:
            self._items.put(p)
        self.notify()

    def end(self, error: Exception | None = None) -> None:
        """Nothing follows; with an error, because of it."""
        self._items.put(error)
        self.notify()

    def notify(self) -> None:
        """Call on_news."""
        if self.on_news is not None:
            try:
                self.on_news()
            except Exception:  # a listener that has gone must not take the passes of others with it
                log.debug("A listener failed", exc_info=True)

    def take(self) -> tuple[list[Pass], bool]:
        """The passes since the last `take`, without waiting, and whether that was all. Raises what ended the run."""
        passes: list[Pass] = []
        while not self._ended:
            try:
                item = self._items.get_nowait()
            except queue.Empty:
                return passes, False
            if isinstance(item, Exception) and passes:  # first what came before it
                self._items.put(item)
                self.notify()
                return passes, False
            if (p := self._received(item)) is not None:
                passes.append(p)
        return passes, True

    def __iter__(self) -> Iterator[Pass]:
        """The passes as they come. Raises what ended the run."""
        while not self._ended:
            if (p := self._received(self._items.get())) is not None:
                yield p

    def _received(self, item: Pass | Exception | None) -> Pass | None:
        """The pass, or None for the end. Raises what ended the run."""
        self._ended = not isinstance(item, Pass)
        if isinstance(item, Exception):
            raise item
        return item


class Receiver:
    """A run whose passes arrive in `_inbox`. Iterate over it for them; leaving the loop cancels the run."""

    _inbox: Inbox

    def cancel(self) -> None:
        """Stop the run within one pass. Safe to call at any time, from any thread."""
        raise NotImplementedError

    def take(self) -> tuple[list[Pass], bool]:
        """The passes since the last `take`, without waiting, and whether that was all. Raises what the run raised."""
        return self._inbox.take()

    def __iter__(self) -> Iterator[Pass]:
        """The passes as they come. Raises what the run raised."""
        try:
            yield from self._inbox
        finally:
            self.cancel()
