"""Decoding on ZeroGPU, where a Hugging Face Space has its GPU only for the length of a function call.

What `spaces.GPU` marks runs in a forked process that has the GPU and the weights; values cross by pickling. So runs
cannot share passes here: each has such a process to itself while it lasts, on its visitor's own quota. To the house it
looks like the engine. Importing this module puts the stand-in for a GPU that `spaces` brings along into torch;
the model must then be loaded on the same thread, and before the page is launched.
"""

from __future__ import annotations

import contextvars
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from typing import Any, TypeVar

import gradio as gr
import spaces

from app.runs import MAX_RUNS, MAX_WAITING
from sdlm_core import DecodeConfig, Pass, SDLMError, Trace
from sdlm_core.decoding import Run
from sdlm_core.language_model import LanguageModel, Prompt
from sdlm_core.serve import EngineFull
from sdlm_core.serve.inbox import Inbox

log = logging.getLogger(__name__)

os.environ.setdefault("HF_DEACTIVATE_ASYNC_LOAD", "1")  # transformers' threads would look for a real GPU

T = TypeVar("T")

START_SECONDS = 10  # GPU time asked for beside the passes: the weights' way to the GPU
SECONDS_PER_PASS = 0.05
MOST_RUNS = MAX_RUNS + MAX_WAITING  # decoding, waiting for a GPU, or given up while waiting: each is a thread here
News = tuple[Pass, Trace] | SDLMError  # a pass and the record so far, without passes


class ZeroTicket:
    """A run's place; the same as the engine's."""

    def __init__(self, prompt: Prompt, run: Run, on_news: Callable[[], None] | None) -> None:
        self.prompt, self.config = prompt, run.config
        self.inbox = Inbox(on_news)
        self.waits, self.cancelled = True, False
        self._trace = run.trace()

    @property
    def position(self) -> int:
        """0 once it decodes. The line for the GPU is not ours to see, so who waits is next."""
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
                self.inbox.end()  # what `_follow` says later, nobody hears

    def hear(self, done: Pass, trace: Trace) -> None:
        self.waits, self._trace = False, trace
        self.inbox.put([done])


class ZeroEngine:
    """A model on ZeroGPU, with as many GPUs as the Space is lent."""

    shares = False  # each run has its GPU to itself

    def __init__(self, lm: LanguageModel) -> None:
        self._lm = lm
        self._tickets: list[ZeroTicket] = []

        def decode(prompt: Prompt, config: DecodeConfig) -> Iterator[News]:
            try:
                run = Run(lm, prompt, config)
                for done in run:
                    yield done, replace(run.trace(), passes=())
            except SDLMError as error:  # raised, only its class would come across
                yield error

        def call(function: Callable[..., T], args: tuple[Any, ...]) -> T:
            return function(lm, *args)

        self._decode: Callable[..., Iterator[News]] = spaces.GPU(duration=gpu_seconds)(decode)
        self._call: Callable[..., Any] = spaces.GPU(duration=START_SECONDS)(call)

    def submit(self, prompt: Prompt, config: DecodeConfig, on_news: Callable[[], None] | None = None) -> ZeroTicket:
        """Ask for a GPU and decode. Raises SDLMError for a run that cannot be run, EngineFull when too many wait."""
        if len(self._tickets) >= MOST_RUNS:
            raise EngineFull("Too many runs are waiting for a GPU already. Please try again in a minute.")
        ticket = ZeroTicket(prompt, Run(self._lm, prompt, config), on_news)
        self._tickets.append(ticket)
        self._start(self._follow, ticket)
        return ticket

    def call(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Have function(lm, *args) called where the GPU is; both must be picklable."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(self._call(function, args))
            except Exception as error:
                future.set_exception(told(error))

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

    def _follow(self, ticket: ZeroTicket) -> None:
        error: Exception | None = None
        try:
            with closing(self._decode(ticket.prompt, ticket.config)) as results:  # type: ignore[type-var]
                for news in results:
                    if ticket.cancelled:
                        break
                    if isinstance(news, SDLMError):
                        raise news
                    ticket.hear(*news)
        except Exception as raised:
            error = told(raised)
        self._tickets.remove(ticket)
        ticket.inbox.end(error)

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        """On a thread that knows, as this one, whose request it is: the quota is the visitor's."""
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(work, *args), name="zerogpu", daemon=True).start()


def gpu_seconds(prompt: Prompt, config: DecodeConfig) -> int:
    """GPU time to ask for; a run that takes longer is ended by ZeroGPU. As if each pass gave one token."""
    return round(START_SECONDS + SECONDS_PER_PASS * config.max_new_tokens)


def told(error: Exception) -> SDLMError:
    """An error as a visitor should hear it: no GPU to be had, a quota used up, a time limit passed."""
    if isinstance(error, SDLMError):
        return error
    if isinstance(error, gr.Error):  # what ZeroGPU says to visitors, or the name of what was raised where the GPU is
        return SDLMError(f"ZeroGPU: {error.message}")
    log.error("ZeroGPU could not be asked", exc_info=error)
    return SDLMError("ZeroGPU gave this run no GPU. Please try again in a minute.")
