"""A run's place in an engine, and the way of its passes to whoever asked for them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from sdlm_core.decoding.algorithms import most_cache_rows
from sdlm_core.decoding.loop import Run
from sdlm_core.serve.inbox import Inbox, Receiver
from sdlm_core.trace import Trace

if TYPE_CHECKING:
    from sdlm_core.serve.engine import Engine

log = logging.getLogger(__name__)


class Ticket(Receiver):
    """A run's place in the engine. Iterate over it for its passes, or `take` them; leaving the loop cancels the run.

    run:  the run; anyone may read it, only the engine moves it.
    rows: of the KV cache, as many as it may come to fill.
    """

    def __init__(self, engine: Engine, run: Run, on_news: Callable[[], None] | None = None) -> None:
        self.run = run
        self.rows = most_cache_rows(run.state)
        self._engine = engine
        self._inbox = Inbox(on_news)
        self._delivered = len(run.passes)  # those of a resumed run are known
        self._started = False
        self._cancelled = False
        self._error: Exception | None = None

    @property
    def position(self) -> int:
        """0 while decoding or done; else the place in the queue, from 1."""
        return self._engine._position(self)

    def cancel(self) -> None:
        """Stop the run within one pass. Safe to call at any time, from any thread."""
        self._engine._cancel(self)

    def trace(self) -> Trace:
        """The record of the run so far."""
        return self.run.trace()

    @property
    def _done(self) -> bool:
        return self._cancelled or self._error is not None or self.run.finish_reason is not None

    def _deliver(self) -> None:
        """Pass on what the run has done since the last time."""
        fresh = self.run.passes[self._delivered :]
        self._delivered += len(fresh)
        self._inbox.put(fresh)

    def _end(self) -> None:
        """Nothing follows; give the cache back."""
        self._deliver()
        self._inbox.end(self._error)
        try:
            self.run.leave()
        except Exception:  # a device that no longer works; whoever waits has got its end
            log.debug("A cache could not be given back", exc_info=True)
