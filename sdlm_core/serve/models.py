"""Models that are loaded while requests already come: one, or several that take turns in memory.

Whoever asks for a model stands in its line (`fairness`). `Models` pauses the line of a model that is not loaded; who
waits there is what has it loaded. So a model whose runs are in progress is never taken from them, and nobody who asks
has to know what is loaded. It knows nothing of HTTP and pages.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch

from sdlm_core.errors import SDLMError
from sdlm_core.models.device import pick_device
from sdlm_core.models.heap import give_back
from sdlm_core.models.loading import missing_bytes
from sdlm_core.models.memory import free_bytes, gigabytes
from sdlm_core.serve.engine import Engine
from sdlm_core.serve.fairness import FairLine, LineLimits

log = logging.getLogger(__name__)


class LoadedModel:
    """A model that is loaded while requests already come.

    lm, engine: None while it is not loaded. error: why it could not be loaded, a sentence; else None.
    line:  where all that ask for it wait for their turn.
    began: when loading it began, by time.monotonic; None while it is not being loaded.
    took:  seconds that loading it took the last time; size: bytes it takes, where `Models` has looked; None before.
    on_loaded: called when it is loaded or has failed, on any thread.
    """

    def __init__(
        self,
        name: str | None,
        load: Callable[[], Any],
        make_engine: Callable[[Any], Any] = Engine,
        limits: LineLimits | None = None,
    ) -> None:
        """name: by which requests name it; None is the loaded model's own. load: returns the model, or what is known of
        one elsewhere; make_engine: what decodes with it. limits: of its line."""
        self._name, self._load, self._make_engine = name, load, make_engine
        self.lm: Any = None
        self.engine: Any = None
        self.error: str | None = None
        self.line = FairLine(limits)
        self.began: float | None = None
        self.took: float | None = None
        self.size: int | None = None
        self.on_loaded: Callable[[], None] = lambda: None

    @property
    def name(self) -> str | None:
        """By which requests name it; None while that is not known."""
        lm = self.lm
        return self._name if self._name is not None or lm is None else str(lm.name)

    @property
    def state(self) -> Literal["unloaded", "loading", "ready", "failed"]:
        """Unloaded: loaded when somebody asks for it. A model by itself is loading until it is ready or has failed."""
        if self.engine is not None:
            return "ready"
        if self.began is None and (self.error or self.line.paused):
            return "failed" if self.error else "unloaded"
        return "loading"

    def load_in_background(self) -> None:
        """Load on a thread of its own, which then ends: the engine wants the OpenMP threads for itself."""
        threading.Thread(target=self.load, name="load", daemon=True).start()

    def load(self) -> None:
        """Load on this thread. What goes wrong becomes `error`."""
        self.error, began, failed = None, time.monotonic(), None
        self.began = began
        try:
            self.lm = self._load()
            self.engine = self._make_engine(self.lm)
            self.took = time.monotonic() - began
            log.info("The model %s is ready.", self.name)
        except SDLMError as error:
            failed = str(error)
            log.error("%s", error)
        except Exception as error:
            failed = f"The model could not be loaded: {type(error).__name__}. The server's log says more."
            log.exception("The model could not be loaded")
        self.began = None
        self.error = failed  # last: whoever sees it finds the model failed, not loading
        self.on_loaded()

    def unload(self) -> None:
        """Give its memory back. Runs in progress end as cancelled."""
        engine, self.engine, self.lm = self.engine, None, None
        if engine is not None:
            engine.close()
        del engine
        gc.collect()
        give_back()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def close(self) -> None:
        """Stop decoding within one pass; runs in progress end as cancelled."""
        if self.engine is not None:
            self.engine.close()


class Models:
    """Several models, of which as many are loaded as there is room for.

    Each is loaded when it is first asked for. Where there is no room, the one that was asked for longest ago leaves,
    first of those without a run in progress. If all have runs, no new one of it begins until these have ended: then it
    leaves. So nobody waits for ever.

    Where a model could not be loaded, all that wait for it learn why; whoever asks after them has it tried again.
    A single model is loaded at the start, and stays.
    """

    def __init__(
        self,
        models: Sequence[LoadedModel],
        device: str = "auto",
        dtype: str = "auto",
        quantization: str | None = None,
        most: int | None = None,
    ) -> None:
        """models: each with a name of its own. device, dtype, quantization: with which all are loaded.

        most: how many stay loaded. None: as many as fit; on a CPU one, since the threads of a second one, even where it
        has nothing to do, keep those of the first from waiting actively (see `engine`).
        """
        self._how, self._most = (device, dtype, quantization), most
        self._changed = threading.Condition()
        self._used = dict.fromkeys(models)  # in the order in which they were asked for last
        self._wanted: dict[LoadedModel, None] = {}  # not loaded, in the order in which they were asked for
        self._loading: LoadedModel | None = None
        self._closed = False
        if len(models) > 1:
            for model in models:
                model.line.pause()
                model.line.on_change = partial(self._asked, model)

    def load_first(self) -> None:
        """Load the first model before anybody asks for it, in the background. Call it once, at the start."""
        first = next(iter(self._used))
        if len(self._used) == 1:
            first.load_in_background()
        else:
            with self._changed:
                if self._loading is None:  # else somebody has asked already
                    self._start(first, asked=False)

    def close(self) -> None:
        """Stop all engines within one pass; nothing is loaded any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for model in self._used:
            model.close()

    def _asked(self, model: LoadedModel) -> None:
        """Somebody has come into a model's line, or left it. Waits for nothing."""
        with self._changed:
            del self._used[model]
            self._used[model] = None
        self._line_changed(model)

    def _line_changed(self, model: LoadedModel) -> None:
        """See who stands in a model's line."""
        with self._changed:
            running, waiting = model.line.load
            if model.error and not running and not waiting:
                model.line.pause()  # all have heard of it
            if waiting and model.engine is None and model is not self._loading:
                model.error = None
                self._wanted.setdefault(model)
            self._changed.notify_all()
            self._load_next()

    def _load_next(self) -> None:
        while self._wanted and self._loading is None and not self._closed:
            model = next(iter(self._wanted))
            del self._wanted[model]
            if model.line.load[1]:
                self._start(model, asked=True)

    def _start(self, model: LoadedModel, asked: bool) -> None:
        self._loading, model.began = model, time.monotonic()
        # A thread for each: it must have ended when the engine decodes.
        threading.Thread(target=self._bring, args=(model, asked), name=f"load {model.name}", daemon=True).start()

    # -- the thread that loads ----------------------------------------------------------------------------------------

    def _bring(self, model: LoadedModel, asked: bool) -> None:
        """Load a model when there is room for it. asked: only if somebody still waits for it then."""
        try:
            if self._make_room(model, asked):
                model.load()
                self._share_memory()
                model.line.resume()
        except Exception:
            log.exception("Making room for a model failed")
            model.error = "There was no room for this model. The server's log says more."
            model.line.resume()
        with self._changed:
            self._loading = model.began = None
        self._line_changed(model)  # somebody may have come since, or everybody left
        if self._closed:
            model.close()

    def _make_room(self, model: LoadedModel, asked: bool) -> bool:
        """Whether there is room now, and the model still wanted."""
        while (other := self._in_the_way(model)) is not None:
            log.info("The model %s makes room for %s.", other.name, model.name)
            other.line.pause()
            if not self._wait_for_end(other, model, asked):
                other.line.resume()
                return False
            other.unload()
            self._line_changed(other)  # somebody may be waiting there
        return not self._closed

    def _wait_for_end(self, other: LoadedModel, model: LoadedModel, asked: bool) -> bool:
        """Wait until the other's runs have ended. False where the model is not wanted any more before that."""
        with self._changed:
            while other.line.load[0]:
                if self._closed or (asked and not model.line.load[1]):
                    return False
                model.began = None
                self._changed.wait()
            model.began = time.monotonic()
        return True

    def _in_the_way(self, model: LoadedModel) -> LoadedModel | None:
        """The loaded model that has to leave; None where there is room, and where `load` will say what is wrong."""
        with self._changed:
            loaded = [m for m in self._used if m.engine is not None]
        try:
            most = self._most or (1 if pick_device(self._how[0]).type == "cpu" else len(self._used))
            model.size, missing = missing_bytes(str(model.name), *self._how)
        except Exception:  # whatever it is, loading meets it again
            return None
        if not loaded or (len(loaded) < most and not missing):
            return None
        return min(loaded, key=lambda m: m.line.load[0] > 0)  # of several, the first: asked for longest ago

    def _share_memory(self) -> None:
        """Divide what is free among the KV caches of the loaded models: an engine by itself takes all of it."""
        engines = [e for m in list(self._used) if isinstance(e := m.engine, Engine)]
        free = free_bytes({layer.input_norm.device for e in engines for layer in e.lm.transformer.layers})
        if free is None or not engines:
            return
        share = (free + sum(e.cache_memory for e in engines)) * 9 // 10 // len(engines)
        for engine in engines:
            engine.cache_budget = share
        log.debug("%s of KV cache for each of %d models", gigabytes(share), len(engines))
