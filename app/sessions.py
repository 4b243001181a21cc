"""The runs of all visitors: who is let in, whose run is followed, what is kept when it is over.

It lives in the page's event loop and never waits there for the model. It knows nothing of Gradio, nor of how passes
are made.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator

from app import limits
from app.events import End, Event
from app.model import Decoder, ServedModel
from app.page_run import PageRun
from app.request import Request
from sdlm_core import SDLMError, Trace
from sdlm_core.serve import EngineFull

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.04  # events that come faster travel together
HEARTBEAT_SECONDS = 1.0  # how often a page that has gone is noticed while there is nothing new


class Sessions:
    """The runs of all browser sessions over one model, or several.

    A session is named by the string that its browser and Gradio share; when it closes, its runs end.
    """

    def __init__(self, model: ServedModel, *others: ServedModel) -> None:
        """model: of the runs that name none. others: these need a name, and then `model` does, too."""
        self.model, self.models = model, (model, *others)
        for one in self.models:
            one.on_loaded = self._wake_all
        self._followed: list[PageRun] = []  # in order of asking
        self._runs: dict[str, PageRun] = {}  # those, and the last finished ones, by run id; oldest first

    async def follow(
        self, request: Request, session: str, keep: bool = True, client: str | None = None
    ) -> AsyncGenerator[list[Event]]:
        """Decode what was asked; yields the events that are new. Closing the iterator ends the run within one pass.

        An empty list comes now and then while there is nothing new, so that the caller notices when its page has gone.
        keep: whether the events can be asked for again (`texts`, `last_answer`). A sweep's, whose ids no page knows,
        would only push out what visitors may still want.
        client: whose turn it takes in the line; without one, the session's.
        Raises SDLMError where the request is not let in; whatever goes wrong later is an event.
        """
        self._check_admission(request, session)
        run = PageRun(request, self.find(request.model), session, keep)
        run.place = run.model.line.enter(client or session, run.wake)
        self._forget_old()
        self._runs[request.run_id] = run
        self._followed.append(run)
        seen = 0
        try:
            while True:
                run.changed.clear()  # before looking, so that what comes meanwhile sets it again
                self._collect(run)
                if run.over:
                    run.place.leave()  # now, not when a slow reader has read the end
                fresh = run.events[seen:]
                if run.over and not fresh:
                    return
                yield fresh
                if fresh:
                    await asyncio.sleep(FLUSH_SECONDS)
                else:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(run.changed.wait(), HEARTBEAT_SECONDS)
                seen += len(fresh)
        finally:
            run.close()
            run.place.leave()
            self._followed.remove(run)
            if not keep:
                self._runs.pop(request.run_id, None)

    def find(self, name: str | None) -> ServedModel:
        """The model of this name; without one, the first. Raises SDLMError where there is none."""
        if name is None:
            return self.model
        for model in self.models:
            if model.name == name:
                return model
        known = ", ".join(str(model.name) for model in self.models if model.name)
        raise SDLMError(f"There is no model {name[:80]!r} here." + (f" Choose: {known}." if known else ""))

    def stop(self, run_id: str) -> None:
        """End a run within one pass."""
        run = self._runs.get(run_id)
        if run:
            run.stop()

    def end_session(self, session: str) -> None:
        """End all runs of a browser session."""
        for run in list(self._runs.values()):
            if run.session == session and not run.over:
                run.stop()

    def texts(self, run_id: str, first: int = 0) -> list[str]:
        """The encoded events of a run from number `first` on; none of a run that is not known any more."""
        run = self._runs.get(run_id)
        return run.texts[max(0, first) :] if run else []

    def last_answer(self, session: str) -> Trace | None:
        """The newest answer that a question of this browser session has got; None where none is known."""
        for run in reversed(list(self._runs.values())):
            if run.session == session and run.keep and len(run.request.configs) == 1 and run.events:
                last = run.events[-1]
                if isinstance(last, End):
                    return last.trace if last.trace.passes else None
        return None

    # -- inside -------------------------------------------------------------------------------------------------------

    def _check_admission(self, request: Request, session: str) -> None:
        """Raise SDLMError where there is no room, or the run has been asked for before."""
        if request.run_id in self._runs:
            raise SDLMError("This run has been asked for before. Reload the page and try again.")
        if len(self._followed) >= limits.MAX_RUNS + limits.MAX_WAITING:
            waiting = f"{limits.MAX_WAITING} runs are waiting for this model already"
            raise EngineFull(f"{waiting}. Please try again in a minute.")
        if sum(run.session == session for run in self._followed) >= limits.MAX_RUNS_PER_SESSION:
            own = f"{limits.MAX_RUNS_PER_SESSION} of your runs are in progress already"
            raise SDLMError(f"{own}. Stop one, or wait until one has ended.")

    def _collect(self, run: PageRun) -> None:
        """Bring a run up to date, and hand in its next lane when one has ended. Waits for nothing."""
        if run.over:
            return
        try:
            model = run.model
            if model.error:
                raise SDLMError(model.error)
            run.check_stopped()
            engine, state = model.engine, model.state
            position = run.place.position
            if engine is None or position:
                run.wait("ready" if engine else "unloaded" if state == "unloaded" else "loading", position)
                return
            if run.submit(engine):
                self._note_sharing(run, engine)
            run.collect(engine)
        except SDLMError as error:
            run.fail(str(error))
        except Exception as error:
            log.exception("A run failed")
            run.fail(f"The model failed on this prompt ({type(error).__name__}). The server's log says more.")

    def _note_sharing(self, run: PageRun, engine: Decoder) -> None:
        """A lane has just begun: from now on it shares its passes with all that are in the engine, and they with it."""
        others = [other for other in self._followed if other.in_engine and other is not run and engine.shares]
        run.shared_pass = bool(others)
        for other in others:
            other.shared_pass = True

    def _forget_old(self) -> None:
        """Forget the oldest finished runs, until what is kept is within the limits again."""
        finished = [run_id for run_id, run in self._runs.items() if run.over]
        size = sum(run.size for run in self._runs.values())
        for number, run_id in enumerate(finished):
            if len(finished) - number <= limits.KEEP_RUNS and size <= limits.KEEP_BYTES:
                break
            size -= self._runs.pop(run_id).size

    def _wake_all(self) -> None:
        for run in list(self._followed):
            run.wake()
