"""The model behind the page: loaded while the page is already there, and asked through an engine.

It knows nothing of visitors and their runs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from types import SimpleNamespace
from typing import Any, Protocol

from app import limits
from sdlm_core import DecodeConfig, Pass, SDLMError, Trace
from sdlm_core.evaluate.likelihood import mean_log_likelihood
from sdlm_core.models.language_model import Prefix, Prompt
from sdlm_core.models.memory import gigabytes
from sdlm_core.serve import Engine
from sdlm_core.serve.fairness import LineLimits
from sdlm_core.serve.models import LoadedModel


class Ticket(Protocol):
    """A run's place in the engine; `sdlm_core.serve.Ticket` says what each member means."""

    @property
    def position(self) -> int: ...
    def take(self) -> tuple[list[Pass], bool]: ...
    def trace(self) -> Trace: ...
    def cancel(self) -> None: ...


class Decoder(Protocol):
    """What the page needs of an engine; `sdlm_core.serve.Engine` says what each member means."""

    shares: bool

    @property
    def load(self) -> tuple[int, int]: ...
    def submit(
        self, prompt: Prompt, config: DecodeConfig, on_news: Callable[[], None], prefix: Prefix = ()
    ) -> Ticket: ...
    def call(self, function: Callable[..., Any], *args: Any) -> Future[Any]: ...
    def close(self) -> None: ...


class ServedModel(LoadedModel):
    """A model that visitors share: those of the page and the callers of its APIs, who wait in one line."""

    engine: Decoder | None

    def __init__(
        self,
        load: Callable[[], Any],
        make_engine: Callable[[Any], Decoder] | None = None,
        name: str | None = None,
    ) -> None:
        """load: returns the model; make_engine: returns what decodes with it, an `Engine` unless said otherwise. name:
        by which requests name it, where there are several."""
        # Whose turn has come has one place in the engine, so the engine's own line never refuses: a race or a sweep
        # that has begun is not turned away between two of its lanes.
        in_line = limits.MAX_RUNS + limits.MAX_WAITING
        engine = partial(Engine, max_runs=limits.MAX_RUNS, max_waiting=in_line)
        line = LineLimits(
            running=limits.MAX_RUNS,
            waiting=limits.MAX_WAITING,
            running_per_client=limits.MAX_RUNS_PER_CLIENT,
            waiting_per_client=limits.MAX_WAITING_PER_CLIENT,
        )
        super().__init__(name, load, make_engine or engine, line)
        self._was: Any = None  # what is known of the model when it is not loaded any more

    def unload(self) -> None:
        """Give its memory back. Runs in progress end as cancelled."""
        if (lm := self.lm) is not None:
            names = ("name", "block_size", "has_sampler", "end_token_ids")
            self._was = SimpleNamespace(**{name: getattr(lm, name) for name in names})
        super().unload()

    @property
    def block_size(self) -> int | None:
        """D of the model's training; None until it has been loaded once, and for a model without one."""
        known = self.lm or self._was
        return None if known is None else known.block_size

    @property
    def end_token_ids(self) -> frozenset[int]:
        """Tokens that end an answer; none until it has been loaded once."""
        known = self.lm or self._was
        return frozenset() if known is None else known.end_token_ids

    def status(self) -> dict[str, Any]:
        """What the page shows of the model, as plain JSON values. seconds: since loading it began; of: that it took the
        last time; size: of the model in memory, in words."""
        state, lm, began = self.state, self.lm, self.began
        if state == "ready" and lm is not None:
            facts = {"block_size": lm.block_size, "sampler": lm.has_sampler}
            return {"state": "ready", "model": self.name, "device": str(lm.description), **facts}
        if state == "failed":
            return {"state": state, "message": self.error}
        if self._name is None:
            return {"state": "loading"}
        known = {} if self._was is None else {"block_size": self._was.block_size, "sampler": self._was.has_sampler}
        if began is None:
            return {"state": "unloaded", "model": self.name, **known}
        size = None if self.size is None else gigabytes(self.size)
        progress = {"seconds": round(time.monotonic() - began), "of": self.took and round(self.took), "size": size}
        return {"state": "loading", "model": self.name, **progress, **known}

    async def log_likelihood(self, messages: list[dict[str, str]], token_ids: Sequence[int]) -> float | None:
        """The answer's mean log-likelihood when the model reads it autoregressively, in nats a token.

        None without an answer or a model. It is computed between two passes; cancelling the wait cancels it. Raises
        SDLMError where the model makes room for another one meanwhile.
        """
        engine = self.engine
        if engine is None or not token_ids:
            return None
        try:
            return await asyncio.wrap_future(engine.call(mean_log_likelihood, messages, token_ids))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise SDLMError("The model has been unloaded.") from None
