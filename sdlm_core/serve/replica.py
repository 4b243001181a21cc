"""One engine of a cluster: the code that runs in a replica's process, and the messages it sends.

A run is one streaming call, so it belongs to its replica for as long as it lasts, and cancelling the call cancels the
run. It knows nothing of Ray: `cluster` deploys it, `remote` calls it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from sdlm_core.config import DecodeConfig
from sdlm_core.errors import SDLMError
from sdlm_core.models.language_model import LanguageModel, Prefix, Prompt
from sdlm_core.serve.engine import Engine, EngineFull
from sdlm_core.trace import FinishReason, Pass, Trace


@dataclass(frozen=True)
class ModelInfo:
    """What a client may know of the replicas' model without having it; the fields are those of `LanguageModel`."""

    name: str
    block_size: int | None
    context_length: int
    end_token_ids: frozenset[int]
    description: str
    versions: dict[str, str]
    has_sampler: bool


@dataclass(frozen=True)
class Update:
    """What has happened to a run since the last update.

    head:     in the first update: the trace without its passes.
    position: place in the replica's line, from 1; 0 while decoding or done.
    finished: in the last update: why the run ended.
    refused:  in the last update, instead: why the run cannot be done, a sentence.
    full:     with `refused`: the replica's line is full, so another time or place may take it.
    leaving:  in the last update, instead: the replica's engine has stopped; the run should go on elsewhere.
    """

    head: Trace | None = None
    position: int = 0
    passes: tuple[Pass, ...] = ()
    finished: FinishReason | None = None
    refused: str | None = None
    full: bool = False
    leaving: bool = False


class Replica:
    """An `Engine` and its model, behind calls that travel. load: makes the model, in a thread of its own that ends (see
    `engine`)."""

    def __init__(self, load: Callable[[], LanguageModel], max_runs: int, max_waiting: int) -> None:
        with ThreadPoolExecutor(1) as pool:
            lm = pool.submit(load).result()
        self._info = ModelInfo(
            lm.name,
            lm.block_size,
            lm.context_length,
            lm.end_token_ids,
            lm.description,
            dict(lm.versions),
            lm.has_sampler,
        )
        self._engine = Engine(lm, max_runs=max_runs, max_waiting=max_waiting)

    async def info(self) -> ModelInfo:
        """The model's facts."""
        return self._info

    async def run(
        self, prompt: Prompt, config: DecodeConfig | None, prefix: Prefix = (), resume: Sequence[Pass] = ()
    ) -> AsyncIterator[Update]:
        """A run's updates as they come.

        prefix: as of `Run`. resume: its passes so far, where another replica began it.
        """
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def ring() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the replica with it
                loop.call_soon_threadsafe(news.set)

        try:
            ticket = self._engine.submit(prompt, config, ring, prefix, resume)
        except SDLMError as error:
            leaving = self._engine.closed
            yield Update(refused=None if leaving else str(error), full=isinstance(error, EngineFull), leaving=leaving)
            return
        try:
            head = replace(ticket.trace(), passes=(), token_ids=[], text="", finish_reason="cancelled")
            told = ticket.position
            yield Update(head=head, position=told)
            ended = False
            while not ended:
                await news.wait()
                news.clear()  # before looking, so that what comes meanwhile rings again
                passes, ended = ticket.take()
                position = ticket.position
                if ended:
                    reason = ticket.trace().finish_reason
                    if reason == "cancelled":  # not by the caller, who would not read this
                        yield Update(passes=tuple(passes), leaving=True)
                    else:
                        yield Update(passes=tuple(passes), finished=reason)
                elif passes or position != told:
                    told = position
                    yield Update(position=position, passes=tuple(passes))
        except SDLMError as error:
            leaving = self._engine.closed
            yield Update(refused=None if leaving else str(error), leaving=leaving)
        finally:
            ticket.cancel()

    async def call(self, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """function(lm, *args, **kwargs) between two passes; `Engine.call`."""
        return await asyncio.wrap_future(self._engine.call(function, *args, **kwargs))

    async def load(self) -> tuple[int, int]:
        """Runs decoding and runs waiting here."""
        return self._engine.load

    async def check_health(self) -> None:
        """Raises where the engine has stopped; whoever watches then replaces this replica."""
        if self._engine.closed:
            raise RuntimeError("The engine has stopped.")
