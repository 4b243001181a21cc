"""An engine whose passes are made when a test says so; the answers are the real decoder's. It needs no thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import sdlm_core
from sdlm_core import DecodeConfig, Pass, SDLMError, Trace


class SteppedTicket:
    """A run that was decoded beforehand and is handed out pass by pass."""

    def __init__(self, engine: SteppedEngine, whole: Trace, on_news: Callable[[], None]) -> None:
        self.engine, self.whole, self.on_news = engine, whole, on_news
        self.made = self.taken = 0  # passes
        self.cancelled = self.closed = False

    @property
    def position(self) -> int:
        waiting = self.engine.waiting
        return waiting.index(self) + 1 if self in waiting else 0

    @property
    def over(self) -> bool:
        return self.closed or self.made == len(self.whole.passes)

    def take(self) -> tuple[list[Pass], bool]:
        if self.engine.free:
            self.engine.step()
        if self.made and "break" in self.whole.prompt:
            raise ZeroDivisionError("a secret of the server")
        fresh = list(self.whole.passes[self.taken : self.made])
        self.taken = self.made
        return fresh, self.over

    def trace(self) -> Trace:
        if self.made == len(self.whole.passes):
            return self.whole
        kept = [c for p in self.whole.passes[: self.made] for c in p.candidates[: p.accepted]]
        return replace(
            self.whole,
            passes=self.whole.passes[: self.made],
            token_ids=[c.token_id for c in kept],
            text="".join(c.text for c in kept),
            finish_reason="cancelled",
        )

    def cancel(self) -> None:
        self.cancelled = True
        if self in self.engine.waiting:
            self.engine.waiting.remove(self)
            self.closed = True
        self.on_news()


class SteppedEngine:
    """`free`: whoever asks for passes gets one more at once. Otherwise they are made by `step` alone."""

    shares = True

    def __init__(self, lm: Any, max_runs: int) -> None:
        self.lm, self.max_runs = lm, max_runs
        self.free = True
        self.running: list[SteppedTicket] = []
        self.waiting: list[SteppedTicket] = []
        self.sizes: list[int] = []  # runs in each forward pass
        self.closed = False

    @property
    def load(self) -> tuple[int, int]:
        return len(self.running), len(self.waiting)

    def submit(self, prompt: Any, config: DecodeConfig, on_news: Callable[[], None], prefix: Any = ()) -> SteppedTicket:
        if self.closed:
            raise SDLMError("The engine is closed.")
        ticket = SteppedTicket(self, sdlm_core.decode(self.lm, prompt, config, prefix), on_news)
        self.waiting.append(ticket)
        return ticket

    def step(self, passes: int = 1) -> None:
        """Let the finished and the cancelled go and the waiting in, and make a pass; as often as that."""
        for _ in range(passes):
            for ticket in [t for t in self.running if t.cancelled or t.over]:
                ticket.closed = True
                self.running.remove(ticket)
                ticket.on_news()
            while self.waiting and len(self.running) < self.max_runs:
                self.running.append(self.waiting.pop(0))
            if self.running:
                self.sizes.append(len(self.running))
            for ticket in self.running:
                ticket.made += 1
                ticket.on_news()

    def call(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(self.lm, *args))
        return future

    def close(self) -> None:
        self.closed = True
        for ticket in self.running + self.waiting:
            ticket.closed = True
            ticket.on_news()
        self.running, self.waiting = [], []
