"""Engines elsewhere as if they were one here: `RemoteEngine` is used like `Engine`, and `RemoteTicket` like `Ticket`.

A run is one streaming call to a replica. Its tokens follow from prompt, settings, seed and place alone; so when a
replica is lost, the run goes on at another from the passes that have arrived, and its text is what it would have been.
Routing, queues, failure detection and transport are Ray Serve's. Everything here happens on one thread with an event
loop; it knows nothing of pages.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RayServeException

from sdlm_core.config import DecodeConfig
from sdlm_core.errors import SDLMError
from sdlm_core.models.language_model import LanguageModel, Prefix, Prompt
from sdlm_core.serve.engine import EngineFull
from sdlm_core.serve.inbox import Inbox, Receiver
from sdlm_core.serve.replica import ModelInfo, Update
from sdlm_core.trace import FinishReason, Pass, Trace

log = logging.getLogger(__name__)

MOST_LOSSES = 5  # replicas that a run may lose with no pass between them: a prompt that kills replicas must end
RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.1, 5.0  # before a run that has begun is offered to full replicas again

T = TypeVar("T")
P = ParamSpec("P")


class _Lost(Exception):
    """The replica of a run or a call is gone."""


class RemoteTicket(Receiver):
    """A run's place at some replica. Iterate over it for its passes, or `take` them; leaving the loop gives it back.

    position: 0 while decoding or done; else the place in its replica's line, from 1, or 1 while it is being routed.
    pauses:   seconds from the last pass before each loss of a replica to the next pass.
    """

    def __init__(
        self,
        engine: RemoteEngine,
        prompt: Prompt,
        config: DecodeConfig,
        on_news: Callable[[], None] | None,
        prefix: Prefix,
    ) -> None:
        self.prompt, self.config, self.prefix = prompt, config, tuple(prefix)
        self.position = 1
        self.pauses: list[float] = []
        self._engine = engine
        self._inbox = Inbox(on_news)
        self._passes: list[Pass] = []  # only grows; any thread may copy it
        self._head: Trace | None = None
        self._finish: FinishReason | None = None
        self._error: Exception | None = None
        self._answered = threading.Event()  # a replica has taken the run, or it has ended
        self._news_at = time.monotonic()  # of the last pass
        self._paused = False
        self._task: asyncio.Task[FinishReason] | None = None

    def cancel(self) -> None:
        """Give the place back; the run stops within one pass. Safe to call at any time, from any thread."""
        with contextlib.suppress(RuntimeError):  # the engine has been closed, and the run with it
            self._engine._loop.call_soon_threadsafe(self._cancel)

    def trace(self) -> Trace:
        """The record of the run so far; one that was not finished counts as cancelled. Any thread may ask."""
        finish, passes = self._finish, tuple(self._passes)
        accepted = [c for p in passes for c in p.candidates[: p.accepted]]
        ends = self._engine.lm.end_token_ids
        head = self._head or self._unknown()
        return replace(
            head,
            passes=passes,
            token_ids=[g.token_id for g in head.given] + [c.token_id for c in accepted],
            text="".join([*(g.text for g in head.given), *(c.text for c in accepted if c.token_id not in ends)]),
            finish_reason=finish or "cancelled",
        )

    def _unknown(self) -> Trace:
        """The trace's head before a replica has answered, with what is known here."""
        lm = self._engine.lm
        words = self.prompt if isinstance(self.prompt, str) else ""
        asked = self.config.block_size
        size = asked if isinstance(asked, int) else lm.block_size or 1
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Trace(
            lm.name, words, 0, self.config, size, (), [], "", "cancelled", now, lm.description, dict(lm.versions)
        )

    # -- on the engine's thread ---------------------------------------------------------------------------------------

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _receive(self, update: Update) -> None:
        self._head = self._head or update.head
        self._answered.set()
        moved = self.position != update.position
        self.position = update.position
        if update.passes:
            now = time.monotonic()
            if self._paused:
                self.pauses.append(now - self._news_at)
                self._paused = False
            self._news_at = now
            self._passes += update.passes
            self._inbox.put(update.passes)
        elif moved:
            self._inbox.notify()

    def _end(self, task: asyncio.Task[FinishReason]) -> None:
        error = None if task.cancelled() else task.exception()
        self.position = 0
        if not task.cancelled() and error is None:
            self._finish = task.result()
        self._error = error if error is None or isinstance(error, Exception) else RuntimeError(repr(error))
        self._answered.set()
        self._inbox.end(self._error)


class RemoteEngine:
    """The engines of a cluster, used like one `Engine`. Make it with `sdlm_core.serve.cluster.connect`.

    lm: facts of the replicas' model (name, block_size, description, …), not the model.
    """

    shares = True  # the time of a run's pass is that of all runs in it

    def __init__(self, handle: Any, info: ModelInfo, wait: bool = False) -> None:
        """handle: the Serve deployment's; info: what its replicas say of their model.

        wait: whether `submit` waits until a replica has taken the run or refused it, and raises then what a local
        engine would. Not for an event loop.
        """
        self.lm, self.wait = info, wait
        self._handle, self._streaming = handle, handle.options(stream=True)
        self._tickets: set[RemoteTicket] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sdlm-remote", daemon=True)
        self._thread.start()

    def submit(
        self,
        prompt: Prompt,
        config: DecodeConfig | None = None,
        on_news: Callable[[], None] | None = None,
        prefix: Prefix = (),
    ) -> RemoteTicket:
        """Queue a run; prefix as of `Run`.

        Without `wait`, what a local engine would raise here comes out of `take` or the iteration: SDLMError for a run
        that cannot be done, EngineFull when the lines are full.

        on_news is called whenever there is something to `take`, and when the line has moved, on another thread; it must
        return at once.
        """
        ticket = RemoteTicket(self, prompt, config or DecodeConfig(), on_news, prefix)
        with self._lock:
            if self._closed:
                raise SDLMError("The engine is closed.")
            self._tickets.add(ticket)
            self._loop.call_soon_threadsafe(self._begin, ticket)
        if self.wait:
            ticket._answered.wait()
            if ticket._error is not None and not ticket._passes:
                raise ticket._error
        return ticket

    def stream(self, prompt: Prompt, config: DecodeConfig | None = None) -> Iterator[Pass]:
        """`sdlm_core.stream`, at some replica."""
        return iter(self.submit(prompt, config))

    def decode(self, prompt: Prompt, config: DecodeConfig | None = None) -> Trace:
        """`sdlm_core.decode`, at some replica."""
        ticket = self.submit(prompt, config)
        for _ in ticket:
            pass
        return ticket.trace()

    def call(
        self, function: Callable[Concatenate[LanguageModel, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """function(lm, *args, **kwargs) at some replica, between two of its passes. The function must be one that the
        replica can import; lost with its replica, it is called again at another."""
        with self._lock:
            if self._closed:
                raise SDLMError("The engine is closed.")
            return asyncio.run_coroutine_threadsafe(self._call(function, args, kwargs), self._loop)

    @property
    def load(self) -> tuple[int, int]:
        """Of the runs submitted here: how many decode and how many wait. Others may share the replicas."""
        with self._lock:
            waiting = sum(ticket.position > 0 for ticket in self._tickets)
            return len(self._tickets) - waiting, waiting

    def cluster_load(self) -> list[tuple[int, int]]:
        """Runs decoding and waiting at each replica, whoever submitted them. It asks them, so it takes a moment."""
        return [tuple(pair) for pair in self._handle.broadcast("load").results(timeout_s=10)]

    def close(self) -> None:
        """Cancel this client's runs and let go of the cluster, which goes on."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            tickets = list(self._tickets)
        for ticket in tickets:
            ticket.cancel()
        with contextlib.suppress(TimeoutError):  # a cluster that no longer answers
            asyncio.run_coroutine_threadsafe(self._settled(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def __enter__(self) -> RemoteEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the thread with the event loop -------------------------------------------------------------------------------

    def _begin(self, ticket: RemoteTicket) -> None:
        task = self._loop.create_task(self._follow(ticket))
        task.add_done_callback(lambda task: self._ended(ticket, task))  # also where it was cancelled before it began
        ticket._task = task

    def _ended(self, ticket: RemoteTicket, task: asyncio.Task[FinishReason]) -> None:
        with self._lock:
            self._tickets.discard(ticket)
        ticket._end(task)

    async def _settled(self) -> None:
        own = asyncio.current_task()
        await asyncio.gather(*(t for t in asyncio.all_tasks() if t is not own), return_exceptions=True)

    async def _follow(self, ticket: RemoteTicket) -> FinishReason:
        """A run from its first pass to its last, at as many replicas as it takes."""
        losses, known, wait = 0, 0, RETRY_SECONDS
        while True:
            try:
                return await self._at_one_replica(ticket)
            except EngineFull:
                if not ticket._passes:
                    raise
                await asyncio.sleep(wait)  # who has begun is not turned away
                wait = min(2 * wait, LONGEST_RETRY_SECONDS)
            except _Lost as lost:
                losses = losses + 1 if len(ticket._passes) == known else 1
                known, ticket._paused, ticket.position = len(ticket._passes), True, 1
                log.warning("A run lost its replica after %d passes and goes on elsewhere (%s).", known, lost)
                if losses >= MOST_LOSSES:
                    raise SDLMError(
                        f"{losses} servers failed one after the other while they worked on this prompt. "
                        "Please try another one, or try again later."
                    ) from None

    async def _at_one_replica(self, ticket: RemoteTicket) -> FinishReason:
        """The run's updates from one replica, to the end. Raises _Lost where they break off."""
        updates = self._streaming.run.remote(ticket.prompt, ticket.config, ticket.prefix, tuple(ticket._passes))
        try:
            with _lost_replica():
                async for update in updates:
                    if update.leaving:
                        ticket._receive(update)
                        break
                    if update.refused is not None:
                        raise (EngineFull if update.full else SDLMError)(update.refused)
                    ticket._receive(update)
                    if update.finished:
                        return update.finished  # type: ignore[no-any-return]
            raise _Lost("it stopped")
        finally:
            # Also one that ended here by cancellation: the replica frees its place within one pass. Of a call that no
            # replica took, `cancel` raises what the call has raised.
            with contextlib.suppress(Exception):
                updates.cancel()

    async def _call(self, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        for _ in range(MOST_LOSSES):
            answer = self._handle.call.remote(function, args, kwargs)
            try:
                with _lost_replica():
                    return await answer
            except _Lost as lost:
                log.warning("A call lost its replica and is made again elsewhere (%s).", lost)
            except asyncio.CancelledError:
                answer.cancel()
                raise
        raise SDLMError(f"{MOST_LOSSES} servers failed one after the other while they worked on this.")


@contextlib.contextmanager
def _lost_replica() -> Iterator[None]:
    """Ray's errors as ours: _Lost where the replica is gone, EngineFull where queues are full, else what it raised."""
    try:
        yield
    except BackPressureError:
        raise EngineFull("Too many runs are waiting for this model. Please try again in a minute.") from None
    except DeploymentUnavailableError as error:
        raise SDLMError(f"The cluster's engines cannot be started: {error.message} Its log says why.") from None
    except RayTaskError as error:
        if isinstance(error.cause, Exception):
            raise error.cause from None
        raise
    except (RayError, RayServeException) as error:
        raise _Lost(type(error).__name__) from None
