"""Decoding on ZeroGPU, where a Hugging Face Space has its GPU only for the length of a function call.

What `spaces.GPU` marks runs in a forked process that has the GPU and the weights; values cross by pickling. So runs
cannot share passes here: each has such a process to itself while it lasts, on its visitor's own quota. To the page it
looks like the engine (`app.model.Decoder`). Importing this module puts the stand-in for a GPU that `spaces` brings
along into torch; the model must then be loaded on the same thread, and before the page is launched.
"""

from __future__ import annotations

import contextvars
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from typing import Any, TypeVar

import spaces

from app import limits
from app.quick_gradio import gr
from sdlm_core import DecodeConfig, LanguageModel, Pass, Run, SDLMError, Trace
from sdlm_core.models.language_model import Prefix, Prompt
from sdlm_core.serve import EngineFull
from sdlm_core.serve.inbox import Inbox

log = logging.getLogger(__name__)

os.environ.setdefault("HF_DEACTIVATE_ASYNC_LOAD", "1")  # transformers' threads would look for a real GPU

T = TypeVar("T")

# GPU time to ask for; ZeroGPU ends a call that takes longer, and a visitor has some minutes a day.
START_SECONDS = 4  # until the first pass, without the weights
WEIGHTS_PER_SECOND = 2e9  # bytes on their way to the GPU
SECONDS_PER_LAYER = 0.0015  # of a pass, whose layers' operations are started one by one; twice what an H200 should need
READ_SECONDS = 5  # of a call that reads an answer in one pass
MOST_SECONDS = 110  # in one call; what would take longer asks again
# Decoding, waiting for a GPU, or given up while waiting: each is a thread here.
MOST_RUNS = limits.MAX_RUNS + limits.MAX_WAITING
Result = tuple[int, Pass, Trace] | SDLMError  # number of the run, its pass, and its record so far, without passes


class ZeroTicket:
    """A run's place, as `sdlm_core.serve.Ticket` is one in an engine."""

    def __init__(self, prompt: Prompt, prefix: Prefix, run: Run, on_news: Callable[[], None] | None) -> None:
        self.prompt, self.config, self.prefix = prompt, run.config, prefix
        self.inbox = Inbox(on_news)
        self.waits, self.cancelled = True, False
        self._trace = run.trace()

    @property
    def position(self) -> int:
        """0 once it decodes, else 1: how long the line for a GPU is, ZeroGPU does not say."""
        return int(self.waits)

    def take(self) -> tuple[list[Pass], bool]:
        """The passes since the last `take`, without waiting, and whether that was all. Raises what the run raised."""
        return self.inbox.take()

    def trace(self) -> Trace:
        """The record of the run so far, without its passes."""
        return self._trace

    def cancel(self) -> None:
        """The run stops within one pass; one that waits for a GPU ends here, and returns the GPU when it comes."""
        if not self.cancelled:
            self.cancelled = True
            if self.waits:
                self.inbox.end()  # what `_follow` puts there later, nobody takes

    def add(self, done: Pass, trace: Trace) -> None:
        """One more pass, and the record up to it."""
        self.waits, self._trace = False, trace
        self.inbox.put([done])


class ZeroEngine:
    """A model on ZeroGPU, with as many GPUs as the Space is lent."""

    shares = False  # each run has its GPU to itself

    def __init__(self, lm: LanguageModel) -> None:
        self._lm = lm
        self._tickets: list[ZeroTicket] = []

        def decode(prompt: Prompt, configs: Sequence[DecodeConfig], prefix: Prefix) -> Iterator[Result]:
            try:
                for number, config in enumerate(configs):
                    run = Run(lm, prompt, config, prefix=prefix)
                    for done in run:
                        yield number, done, replace(run.trace(), passes=())
            except SDLMError as error:  # raised, only its class would come across
                yield error

        def call(function: Callable[..., T], args: tuple[Any, ...]) -> T:
            return function(lm, *args)

        self._decode: Callable[..., Iterator[Result]] = spaces.GPU(duration=self._duration)(decode)
        self._call: Callable[..., Any] = spaces.GPU(duration=lambda *_: gpu_seconds(lm, ()) + READ_SECONDS)(call)

    def submit(
        self,
        prompt: Prompt,
        config: DecodeConfig,
        on_news: Callable[[], None] | None = None,
        prefix: Prefix = (),
    ) -> ZeroTicket:
        """Ask for a GPU and decode. Raises SDLMError for a run that cannot be run, EngineFull when too many wait."""
        return self.submit_all(prompt, [config], on_news, prefix)[0]

    def submit_all(
        self,
        prompt: Prompt,
        configs: Sequence[DecodeConfig],
        on_news: Callable[[], None] | None = None,
        prefix: Prefix = (),
    ) -> list[ZeroTicket]:
        """Ask for a GPU once and decode with several settings, one after the other: with the first of them, as many as
        fit into MOST_SECONDS. Cancelling one ends all. Raises as `submit`."""
        if len(self._tickets) >= MOST_RUNS:
            raise EngineFull("Too many runs are waiting for a GPU already. Please try again in a minute.")
        count = 1
        while count < len(configs) and self._duration(prompt, configs[: count + 1]) <= MOST_SECONDS:
            count += 1
        tickets = [
            ZeroTicket(prompt, prefix, Run(self._lm, prompt, config, prefix=prefix), on_news)
            for config in configs[:count]
        ]
        self._tickets += tickets
        self._start(self._follow, tickets)
        return tickets

    def _duration(self, prompt: Prompt, configs: Sequence[DecodeConfig], prefix: Prefix = ()) -> int:
        return gpu_seconds(self._lm, configs)

    def call(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Have function(lm, *args) called where the GPU is; both must be picklable."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(self._call(function, args))
            except Exception as error:
                future.set_exception(as_sentence(error))

        self._start(work)
        return future

    @property
    def load(self) -> tuple[int, int]:
        """Runs decoding and runs waiting for a GPU."""
        waiting = sum(ticket.waits for ticket in list(self._tickets))
        return len(self._tickets) - waiting, waiting

    def close(self) -> None:
        """Stop within one pass."""
        for ticket in list(self._tickets):
            ticket.cancel()

    def _follow(self, tickets: list[ZeroTicket]) -> None:
        error: Exception | None = None
        current = 0
        try:
            configs = [ticket.config for ticket in tickets]
            with closing(self._decode(tickets[0].prompt, configs, tickets[0].prefix)) as results:  # type: ignore[type-var]
                for result in results:
                    if any(ticket.cancelled for ticket in tickets):
                        break
                    if isinstance(result, SDLMError):
                        raise result
                    number, done, trace = result
                    for ticket in tickets[current:number]:
                        self._end(ticket)
                    current = number
                    tickets[number].add(done, trace)
                    for ticket in tickets:
                        ticket.waits = False  # they have their GPU
        except Exception as raised:
            error = as_sentence(raised)
        for ticket in tickets[current:]:
            self._end(ticket, error)

    def _end(self, ticket: ZeroTicket, error: Exception | None = None) -> None:
        self._tickets.remove(ticket)
        ticket.inbox.end(error)

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        """On a thread with this one's context, which says whose request it is: the quota is the visitor's."""
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(work, *args), name="zerogpu", daemon=True).start()


def gpu_seconds(lm: LanguageModel, configs: Sequence[DecodeConfig]) -> int:
    """GPU time to ask for, enough for one token a pass."""
    shape = lm.transformer.shape
    weights = (16 * shape.layers * shape.hidden + shape.vocabulary) * shape.hidden * lm.dtype.itemsize  # about
    passes = sum(config.max_new_tokens for config in configs)
    return round(START_SECONDS + weights / WEIGHTS_PER_SECOND + SECONDS_PER_LAYER * shape.layers * passes)


def as_sentence(error: Exception) -> SDLMError:
    """An error as a visitor should read it: no GPU is free, a quota is used up, a time limit has passed."""
    if isinstance(error, SDLMError):
        return error
    if isinstance(error, gr.Error):  # what ZeroGPU says to visitors, or the name of what was raised where the GPU is
        return SDLMError(f"ZeroGPU: {error.message}")
    log.error("ZeroGPU could not be asked", exc_info=error)
    return SDLMError("ZeroGPU gave this run no GPU. Please try again in a minute.")
