"""One request on its way through the engine: its tickets become events.

It never waits: the engine decodes on a thread of its own and says when there is something new. It knows nothing of
other visitors, nor of how passes are made and batched.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from app import limits, wire
from app.events import End, Event, Failed, Passes, Start, Waiting, memory
from app.model import Decoder, ServedModel, Ticket
from app.request import Request
from sdlm_core import DecodeConfig, Pass, SDLMError
from sdlm_core.serve.fairness import Place

PASS_SECONDS = 3.0  # more than a pass takes; who is in line for longer waits for room, be it memory


class PageRun:
    """A run that a page has asked for.

    events:      what has happened so far; texts: the same encoded, for a run whose page may ask for them again.
    size:        bytes of memory that events and texts take.
    changed:     set when there may be something to collect.
    place:       in the line before the engine, given by whoever made the run.
    shared_pass: whether somebody else's run has been in the engine together with the lane in progress.
    stopped:     whether its visitor has stopped it; over: whether no event follows.
    """

    def __init__(self, request: Request, model: ServedModel, session: str, keep: bool) -> None:
        """session: the browser session that asked. keep: whether the page may ask for events again."""
        self.request, self.model, self.session, self.keep = request, model, session, keep
        self.events: list[Event] = []
        self.texts: list[str] = []
        self.size = 0
        self.place: Place
        self.changed = asyncio.Event()
        self.shared_pass = self.stopped = self.over = False
        self._loop = asyncio.get_running_loop()
        self._ticket: Ticket | None = None  # of the lane in progress
        self._ahead: list[Ticket] = []  # of the next lanes, where an engine takes several at once
        self._submitted_at = 0.0  # by time.monotonic
        self._lane = 0
        self._passes: list[Pass] = []  # of the lane in progress
        self._started = False  # whether the lane in progress has its `Start`

    @property
    def in_engine(self) -> bool:
        """Whether one of its lanes is being decoded or waits for it."""
        return self._ticket is not None

    def wake(self) -> None:
        """There may be something to collect. From any thread, at once."""
        with contextlib.suppress(RuntimeError):  # the app has ended, and its loop with it
            self._loop.call_soon_threadsafe(self.changed.set)

    def stop(self) -> None:
        """Free the run's rows within one pass. From any thread."""
        self.stopped = True
        ticket = self._ticket
        if ticket is not None:
            ticket.cancel()
        self.wake()

    def close(self) -> None:
        """Stop, and let go of the engine: nobody follows this run any more."""
        self.stop()
        self._ticket, self.over = None, True

    def submit(self, engine: Decoder) -> bool:
        """Hand in the next lane, where none is in progress. Whether one was. Raises what the engine raises."""
        if self._ticket is not None:
            return False
        if not self._ahead:
            self._ahead = _submit(engine, self.request, self.request.configs[self._lane :], self.wake)
        self._ticket = self._ahead.pop(0)
        self._submitted_at = time.monotonic()
        self._passes = []
        return True

    def collect(self, engine: Decoder) -> None:
        """Turn what the engine has made since the last time into events. Raises what the run raised."""
        ticket = self._ticket
        if ticket is None:
            return
        if self.stopped:  # perhaps before there was a ticket to cancel
            ticket.cancel()
        passes, ended = ticket.take()
        if not passes and not ended and (position := ticket.position):
            # Everybody is in line until the pass in progress ends; who has to wait longer hears their place.
            if engine.load[0] >= limits.MAX_RUNS or time.monotonic() - self._submitted_at > PASS_SECONDS:
                self.wait("ready", position)
            return
        if not self._started:
            head = replace(ticket.trace(), passes=(), token_ids=[], text="", finish_reason="cancelled")
            self._add(Start(self._lane, head))
            self._started = True
        for p in passes:
            self._add(Passes(self._lane, (p,)))
        self._passes += passes
        if ended:
            trace = replace(ticket.trace(), passes=tuple(self._passes))
            last = self.stopped or self._lane == len(self.request.configs) - 1
            self._add(End(self._lane, trace, last, self.shared_pass))
            self._ticket, self._started, self.over = None, False, last
            self._lane += 1

    def wait(self, model: Literal["unloaded", "loading", "ready"], position: int) -> None:
        """Add where the run stands in the line, if that has changed."""
        place = Waiting(max(0, position), model)
        if self.events[-1:] != [place]:
            self._add(place)

    def check_stopped(self) -> None:
        """Raise SDLMError where the run was stopped before anything of it was decoded."""
        if self.stopped and self._lane == 0 and not self._started:
            raise SDLMError("Stopped before it began.")

    def fail(self, message: str) -> None:
        """End the run with a sentence."""
        self._add(Failed(message))
        if self._ticket is not None:
            self._ticket.cancel()
        self._ticket, self.over = None, True

    def _add(self, event: Event) -> None:
        self.events.append(event)
        self.size += memory(event)
        if self.keep:
            text = wire.encode(event)
            self.texts.append(text)
            self.size += sys.getsizeof(text)  # one emoji makes Python keep a text at 4 bytes a character


def _submit(engine: Decoder, request: Request, configs: list[DecodeConfig], wake: Callable[[], None]) -> list[Ticket]:
    """The ticket of the first lane; more of them from an engine that is better asked once for several (`app.zero`)."""
    if hasattr(engine, "submit_all"):
        return list(engine.submit_all(request.messages, configs, wake, request.prefix))
    return [engine.submit(request.messages, configs[0], wake, request.prefix)]
