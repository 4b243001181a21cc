"""One chat request on its way through the line and the engine: passes in, text out.

It lives in an event loop and never waits there for the model. It knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sdlm_core.config import DecodeConfig
from sdlm_core.errors import SDLMError
from sdlm_core.serve.fairness import FairLine
from sdlm_core.serve.http.metrics import Metrics
from sdlm_core.serve.http.stop import StopCutter
from sdlm_core.trace import Pass, Trace


class RunTicket(Protocol):
    """A run's place in the engine; `sdlm_core.serve.Ticket` says what each member means."""

    def take(self) -> tuple[list[Pass], bool]: ...
    def trace(self) -> Trace: ...
    def cancel(self) -> None: ...


class Decoder(Protocol):
    """What a request needs of an engine; `sdlm_core.serve.Engine` says what each member means."""

    @property
    def load(self) -> tuple[int, int]: ...
    def submit(
        self, prompt: Sequence[Mapping[str, str]], config: DecodeConfig, on_news: Callable[[], None]
    ) -> RunTicket: ...


class Served(Protocol):
    """A model that is served, loaded or not; `sdlm_core.serve.models.LoadedModel` says what each member means."""

    @property
    def name(self) -> str | None: ...
    @property
    def state(self) -> str: ...
    @property
    def engine(self) -> Decoder | None: ...
    @property
    def error(self) -> str | None: ...
    @property
    def lm(self) -> Any: ...
    @property
    def line(self) -> FairLine: ...


class NotLoaded(SDLMError):
    """The model could not be loaded."""


@dataclass(frozen=True)
class Step:
    """What has come: passes, and the text that can be sent."""

    passes: list[Pass]
    text: str


class ChatRun:
    """One request being answered: `start` it, iterate over its `steps`, and `close` it whatever happens.

    finish_reason:       "stop" or "length" once the steps have ended, else "".
    outcome:             how it ended, one of metrics.OUTCOMES; final once it is closed.
    prompt_tokens:       of the prompt, once it has started.
    passes, tokens:      of the run so far.
    wait_seconds:        from the request to its turn.
    first_token_seconds: from the request to its first pass.
    """

    def __init__(
        self,
        model: Served,
        config: DecodeConfig,
        client: str,
        metrics: Metrics,
        stops: Sequence[str] = (),
    ) -> None:
        """Join the model's line. Raises LineFull."""
        self.config = config
        self.finish_reason = ""
        self.outcome = "cancelled"
        self.prompt_tokens = self.tokens = 0
        self.passes: list[Pass] = []
        self.wait_seconds: float | None = None
        self.first_token_seconds: float | None = None
        self._began = time.perf_counter()
        self._model, self._metrics = model, metrics
        self._ends: frozenset[int] = frozenset()  # known once the model is loaded
        self._cutter = StopCutter(stops)
        self._text = ""  # of the passes, a stop string included
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._fresh: list[Step] = []
        self._over = self._closed = False
        self._error: Exception | None = None
        self._ticket: RunTicket | None = None
        self._place = model.line.enter(client, self._wake)

    async def start(self, prompt: Sequence[Mapping[str, str]]) -> None:
        """Wait for the turn and hand the run to the engine. Raises SDLMError where the engine does not take it."""
        while self._place.position:
            await self._news.wait()
            self._news.clear()
        self.wait_seconds = time.perf_counter() - self._began
        engine = self._model.engine
        if engine is None:
            self.outcome = "failed"
            raise NotLoaded(self._model.error or "The model is not loaded.")
        self._ends = self._model.lm.end_token_ids
        # Reading a long prompt into tokens takes a while: on a thread, so that no other request waits for it.
        submitting = asyncio.ensure_future(asyncio.to_thread(engine.submit, prompt, self.config, self._on_news))
        try:
            self._ticket = await asyncio.shield(submitting)
        except asyncio.CancelledError:
            submitting.add_done_callback(_cancel_result)
            raise
        except Exception as error:
            self.outcome = "refused" if isinstance(error, SDLMError) else "failed"
            raise
        self.prompt_tokens = self._ticket.trace().prompt_tokens
        self._metrics.prompt_tokens.inc(self.prompt_tokens)
        self._collect()

    async def steps(self) -> AsyncIterator[Step]:
        """What the run does, as it happens. Raises what ended it, other than its end."""
        while True:
            self._news.clear()  # before looking, so that what comes meanwhile sets it again
            fresh, self._fresh = self._fresh, []
            for step in fresh:
                yield step
            if self._over and not self._fresh:
                break
            await self._news.wait()
        if self._error is not None:
            raise self._error

    def trace(self) -> Trace:
        """The record of the run up to the last of its steps; only once it has started.

        A stop string that the passes made is in it. The engine may have made one pass more, which is not.
        """
        assert self._ticket is not None
        ids = [token_id for p in self.passes for token_id in p.accepted_ids]
        return replace(self._ticket.trace(), passes=tuple(self.passes), token_ids=ids, text=self._text)

    def close(self) -> None:
        """Stop within one pass, if the run has not ended, and give the place back. Calling it again does nothing."""
        if self._closed:
            return
        self._closed = self._over = True
        self._news.set()
        if self._ticket is not None:
            self._ticket.cancel()
        self._place.leave()
        self._metrics.count_request(self.outcome)

    # -- called by the line and the engine ----------------------------------------------------------------------------

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the server has ended, and its loop with it
            self._loop.call_soon_threadsafe(self._news.set)

    def _on_news(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._collect)

    def _collect(self) -> None:
        """Take what the engine has. Not left to whoever reads `steps`: a slow reader must not keep the place."""
        if self._over or self._ticket is None:
            return
        try:
            passes, ended = self._ticket.take()
            for p in passes:
                self._add(p)
            if ended and not self._over:
                self._end(self._ticket.trace())
        except Exception as error:
            self._error, self._over, self.outcome = error, True, "failed"
        self._news.set()
        if self._over:
            self.close()

    def _add(self, p: Pass) -> None:
        if self._over:  # a stop string came before it
            return
        if not self.passes:
            self.first_token_seconds = time.perf_counter() - self._began
            self._metrics.first_token.observe(self.first_token_seconds)
        self._metrics.count_pass(p)
        self.passes.append(p)
        self.tokens += p.accepted
        text = "".join(c.text for c in p.candidates[: p.accepted] if c.token_id not in self._ends)
        self._text += text
        self._fresh.append(Step([p], self._cutter.push(text)))
        if self._cutter.stopped:
            self._finish("stop")

    def _end(self, trace: Trace) -> None:
        if trace.finish_reason == "cancelled":
            raise SDLMError("The server stopped before the answer was complete. Send the request again.")
        if rest := self._cutter.finish():
            self._fresh.append(Step([], rest))
        self._finish("stop" if trace.finish_reason == "eos" else "length")

    def _finish(self, reason: str) -> None:
        self.finish_reason = self.outcome = reason
        self._over = True


def _cancel_result(submitting: asyncio.Future[RunTicket]) -> None:
    if not submitting.cancelled() and submitting.exception() is None:
        submitting.result().cancel()
