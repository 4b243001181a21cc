"""Continuous batching: one thread owns the model, and every visitor's run is a few rows of its next forward pass.

Runs join and leave between passes (`run_batch`), each with its own length, D, τ, algorithm, sampling and seed. A run's
tokens do not depend on who shares the batch: in float32, and in bfloat16 on a CPU without AMX; elsewhere a product of
another size may round otherwise, and a near tie fall the other way. This module is the queue before the model: who is
decoded, who waits, who left, and what happens when a pass fails. It knows nothing of pages.

On a CPU, nothing else should compute while it runs, and the model should be loaded in a thread that has ended: where
the OpenMP threads of two callers share the cores, libgomp's no longer wait actively, and a pass takes twice as long.
`Engine.call` is there for everything else that needs the model.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch

from sdlm_core.config import DecodeConfig
from sdlm_core.decoding.algorithms import PREFILL_ROWS
from sdlm_core.decoding.loop import Run, advance, run_batch
from sdlm_core.errors import SDLMError
from sdlm_core.execution.cache import cache_bytes
from sdlm_core.execution.executor import executor_for
from sdlm_core.models.language_model import LanguageModel, Prefix, Prompt
from sdlm_core.models.memory import free_bytes, gigabytes, is_out_of_memory
from sdlm_core.serve.ticket import Ticket
from sdlm_core.trace import Pass, Trace

log = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")
Call = tuple[Callable[[], None], Future[Any]]

LONGEST_STILL = 2  # passes: a new run may come while another reads, and need not wait for a pass of all


class EngineFull(SDLMError):
    """Too many runs are waiting; try again later."""


class Engine:
    """A model and the runs that share it.

    max_runs:     runs in one forward pass; the next in the queue joins when one ends.
    max_waiting:  length of the queue; beyond it `submit` raises EngineFull.
    prefill_rows: longest chunk of a prompt read in one pass.
    cache_budget: bytes that the KV caches of the runs decoding may come to take together. None: what is free on the
                  model's devices now, less a tenth for the passes themselves; no limit where that is not known.
    """

    shares = True  # whether runs share passes: the time of a pass is then that of all runs in it

    def __init__(
        self,
        lm: LanguageModel,
        max_runs: int = 16,
        max_waiting: int = 64,
        prefill_rows: int = PREFILL_ROWS,
        cache_budget: int | None = None,
    ) -> None:
        self.lm = lm
        executor = executor_for(lm)  # before free memory is looked at: it packs the weights
        if cache_budget is None:
            free = free_bytes(layer.input_norm.device for layer in lm.transformer.layers)
            cache_budget = None if free is None else free * 9 // 10
        self.cache_budget = cache_budget
        self.max_runs, self.max_waiting, self.prefill_rows = max_runs, max_waiting, prefill_rows
        self._pool = executor.new_pool(lasting=True)
        self._extra_rows = executor.extra_rows(self._pool)
        self._waiting: list[Ticket] = []
        self._running: list[Ticket] = []
        self._calls: list[Call] = []
        self._news: list[Ticket] = []  # whose last pass is still to be delivered
        self._closed = False
        self._still = 0  # how many passes in a row runs have stood still
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="sdlm-engine", daemon=True)
        self._thread.start()

    def submit(
        self,
        prompt: Prompt,
        config: DecodeConfig | None = None,
        on_news: Callable[[], None] | None = None,
        prefix: Prefix = (),
        resume: Sequence[Pass] = (),
    ) -> Ticket:
        """Queue a run; prefix as of `Run`.

        Raises SDLMError for one that cannot be run or never fits, EngineFull when the queue is full. on_news is called
        whenever there is something to `take`, and when the queue has moved, on any thread; it must return at once.
        resume: the passes of the same run as far as another engine took it; only new passes are delivered.
        """
        ticket = Ticket(self, Run(self.lm, prompt, config, self._pool, prefix, resume), on_news)
        alone = cache_bytes(self.lm.transformer.shape, ticket.rows + self._extra_rows, self.lm.dtype)
        if self.cache_budget is not None and alone > self.cache_budget:
            raise SDLMError(
                f"A prompt of {len(ticket.run.prompt_ids):,} tokens with an answer of up to "
                f"{ticket.run.max_new_tokens:,} needs {gigabytes(alone)} of memory, but there is "
                f"{gigabytes(self.cache_budget)} for all runs together. Shorten the prompt, or lower max_new_tokens."
            )
        with self._change:
            if self._closed:
                raise SDLMError("The engine is closed.")
            if len(self._waiting) >= self.max_waiting:
                raise EngineFull(f"{self.max_waiting} runs are waiting for this model. Please try again in a minute.")
            self._waiting.append(ticket)
            self._change.notify_all()
        return ticket

    def stream(self, prompt: Prompt, config: DecodeConfig | None = None) -> Iterator[Pass]:
        """`sdlm_core.stream`, in passes that other runs share."""
        return iter(self.submit(prompt, config))

    def decode(self, prompt: Prompt, config: DecodeConfig | None = None) -> Trace:
        """`sdlm_core.decode`, in passes that other runs share."""
        ticket = self.submit(prompt, config)
        for _ in ticket:
            pass
        return ticket.trace()

    def call(
        self, function: Callable[Concatenate[LanguageModel, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Have function(lm, *args) called on the engine's thread between two passes, for other work with the model."""
        future: Future[T] = Future()

        def work() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(self.lm, *args, **kwargs))
                except BaseException as error:  # whatever it is, it is the caller's, and the thread goes on
                    future.set_exception(error)

        with self._change:
            if self._closed:
                raise SDLMError("The engine is closed.")
            self._calls.append((work, future))
            self._change.notify_all()
        return future

    @property
    def load(self) -> tuple[int, int]:
        """Runs decoding and runs waiting."""
        with self._change:
            return len(self._running), len(self._waiting)

    @property
    def cache_memory(self) -> int:
        """Bytes that the KV caches take now, those kept for later runs included."""
        capacity, slots = self._pool.capacity, self._pool.slots
        return cache_bytes(self.lm.transformer.shape, capacity, self.lm.dtype, slots) if capacity else 0

    @property
    def closed(self) -> bool:
        """Whether it takes no more runs: closed, or stopped by a mistake of its own."""
        with self._change:
            return self._closed

    def close(self) -> None:
        """Stop within one pass; runs that have not ended count as cancelled."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._thread.join()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the engine's thread ------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            for ticket in run_batch(self._join, self._pass, lambda ticket: ticket._done or self._closed):
                with self._change:
                    self._running.remove(ticket)
                    ticket._end()
            self._end_all()
        except BaseException as error:  # a mistake of ours, outside any run: nobody may wait for a thread that is gone
            log.critical("The engine stopped", exc_info=error)
            self._end_all(SDLMError("The engine stopped; restart the server. Its log says why."))

    def _end_all(self, error: Exception | None = None) -> None:
        """End every ticket that is left, and take nothing more."""
        with self._change:
            self._closed = True
            for ticket in self._running + self._waiting:
                ticket._error = ticket._error or error
                ticket._end()
            for _, future in self._calls:
                future.cancel()
            self._running, self._waiting, self._calls = [], [], []

    def _join(self, members: Sequence[Ticket]) -> list[Ticket]:
        """The tickets that join before the next pass; waits while there is nothing to do. Empty-handed once closed."""
        while True:
            with self._change:
                while not (self._closed or members or self._calls or self._waiting):
                    self._change.wait()
                if self._closed:
                    return []
                joining = self._admitted()
                self._running += joining
                del self._waiting[: len(joining)]
                if joining:
                    for ticket in self._waiting:
                        ticket._inbox.notify()
                calls, self._calls = self._calls, []
            if calls:
                self._deliver_news()  # a call may take long
            for call, _ in calls:
                call()
            if members or joining:
                return joining

    def _pass(self, batch: Sequence[Ticket]) -> None:
        batch = self._first_come(batch)
        try:
            if self._extra_rows:
                # Growing buffers discard every graph: let them grow as a run joins, not in its answer.
                self._pool.reserve(max(ticket.rows for ticket in batch) + self._extra_rows)
            advance([ticket.run for ticket in batch], self.prefill_rows, self._deliver_news)
        except Exception as error:
            self._after_failure(batch, error)
        self._news += batch

    def _deliver_news(self) -> None:
        """Hand out the passes since the last time. While the next pass computes, this thread does not need Python:
        those who are woken then, to draw or send what they get, do not delay it."""
        news, self._news = self._news, []
        for ticket in news:
            ticket._deliver()

    def _first_come(self, batch: Sequence[Ticket]) -> Sequence[Ticket]:
        """Who is in the next pass: all, but new runs read their prompts without the others.

        Those who decode then cost a new run what is left of the pass in progress, and no more, unless they have just
        stood still for LONGEST_STILL passes in a row. What their rows cost is only put off.
        """
        new = [ticket for ticket in batch if not ticket._started]
        apart = 0 < len(new) < len(batch) and self._still < LONGEST_STILL
        self._still = self._still + 1 if apart else 0
        for ticket in new:
            ticket._started = True
        return new if apart else batch

    def _admitted(self) -> list[Ticket]:
        """Which of the waiting may join now. They join in order: a long run never waits for those that came later."""
        admitted: list[Ticket] = []
        for ticket in self._waiting[: self.max_runs - len(self._running)]:
            if not self._fit([*self._running, *admitted, ticket]):
                if self._running or admitted:
                    break
                self._pool.clear()  # it had grown for others; `submit` has seen that this run alone fits
            admitted.append(ticket)
        return admitted

    def _fit(self, tickets: list[Ticket]) -> bool:
        """Whether the pool, which has a slot of the longest run's rows for each, stays within the budget."""
        if self.cache_budget is None:
            return True
        rows = max(self._pool.capacity, *(ticket.rows + self._extra_rows for ticket in tickets))
        runs = max(self._pool.slots, len(tickets))
        return cache_bytes(self.lm.transformer.shape, rows, self.lm.dtype, runs) <= self.cache_budget

    def _after_failure(self, batch: Sequence[Ticket], error: Exception) -> None:
        """A pass of several runs failed: try each alone, so that only the one at fault ends, out of memory included."""
        if is_out_of_memory(error):
            error.__traceback__ = None  # its frames hold the tensors of the pass that failed
            with contextlib.suppress(Exception):
                torch.cuda.empty_cache()
        if len(batch) > 1:
            log.warning("A pass of %d runs failed (%s); trying each alone.", len(batch), error)
            for ticket in batch:
                if ticket.run.finish_reason is None:
                    try:
                        advance([ticket.run], self.prefill_rows)
                    except Exception as own:
                        self._after_failure([ticket], own)
            return
        if is_out_of_memory(error):
            error = SDLMError("There was not enough memory for this run. Use a shorter prompt, or try again later.")
        batch[0]._error = error

    # -- for tickets -------------------------------------------------------------------------------------------------

    def _position(self, ticket: Ticket) -> int:
        with self._change:
            return self._waiting.index(ticket) + 1 if ticket in self._waiting else 0

    def _cancel(self, ticket: Ticket) -> None:
        with self._change:
            ticket._cancelled = True
            if ticket not in self._waiting:
                return
            place = self._waiting.index(ticket)
            del self._waiting[place]
            later = self._waiting[place:]
        ticket._end()
        for other in later:
            other._inbox.notify()
