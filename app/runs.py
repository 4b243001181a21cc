"""The visitors' runs: who is let in, how a run's passes travel to the page that asked for it, and when it ends.

All runs are decoded by one `Engine` (or what stands for it, see `Decoder`); here its tickets become numbered messages.
The house lives in the page's event loop and never waits there for the model: the engine decodes on a thread of its own
and rings. It knows nothing of Gradio, nor of how passes are made and batched. What the page is told, as JSON objects
with a "kind":

waiting: position (place in line, from 1; 0 while the model loads for those it can take at once), model ("loading",
         "ready")
start:   lane, and head: the trace without its passes
passes:  lane, passes
end:     lane, tail (what the trace's end adds), last, and company: whether anyone else's run shared its passes
failed:  message, a sentence
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from app.limits import Request
from sdlm_core import DecodeConfig, Pass, SDLMError, Trace
from sdlm_core.evaluate.likelihood import log_likelihoods
from sdlm_core.language_model import LanguageModel, Prompt
from sdlm_core.serve import Engine, EngineFull

log = logging.getLogger(__name__)

MAX_RUNS = 32  # runs in one forward pass
MAX_WAITING = 64  # visitors in line for them
MAX_OWN = 4  # runs of one browser session: an answer, a race, a sweep, and one that is just being stopped
KEEP_RUNS = 64  # finished runs whose messages can still be asked for,
KEEP_BYTES = 200_000_000  # while all messages together take no more memory than this
FLUSH_SECONDS = 0.04  # passes that come faster travel together
OVERLAP = 4  # messages said again, since a browser may skip an update; what has been said costs no wire
PASS_SECONDS = 3.0  # more than a pass takes; who is in line for longer waits for room, be it memory
HEARTBEAT_SECONDS = 1.0  # how often a page that has gone is noticed while there is nothing new

Message = dict[str, Any]


class Ticket(Protocol):
    """A run's place with whoever decodes; `sdlm_core.serve.Ticket` says what each means."""

    @property
    def position(self) -> int: ...
    def take(self) -> tuple[list[Pass], bool]: ...
    def trace(self) -> Trace: ...
    def cancel(self) -> None: ...


class Decoder(Protocol):
    """What the house needs of whoever decodes; `sdlm_core.serve.Engine` says what each means."""

    shares: bool

    @property
    def load(self) -> tuple[int, int]: ...
    def submit(self, prompt: Prompt, config: DecodeConfig, on_news: Callable[[], None]) -> Ticket: ...
    def call(self, function: Callable[..., Any], *args: Any) -> Future[Any]: ...
    def close(self) -> None: ...


@dataclass(eq=False)
class Feed:
    """One request as the page sees it: numbered messages, made in the event loop from what the engine has to tell."""

    request: Request  # its configs are the lanes, decoded one after the other
    owner: str  # the browser session, which takes its runs along when it closes
    loop: asyncio.AbstractEventLoop
    messages: list[str] = field(default_factory=list)  # JSON
    news: asyncio.Event = field(default_factory=asyncio.Event)
    ticket: Ticket | None = None  # the lane in hand
    lane: int = 0
    handed_in: float = 0.0  # when, by time.monotonic
    started: bool = False  # whether the page knows that it decodes
    company: bool = False  # whether someone else has been in the engine with the lane in hand
    stopped: bool = False
    over: bool = False
    size: int = 0  # bytes of memory that the messages take

    def say(self, message: Message) -> None:
        text = _encoded(message)
        self.messages.append(text)
        self.size += sys.getsizeof(text)  # one emoji makes Python keep a text at 4 bytes a character

    def ring(self) -> None:
        """There is news. From any thread, at once."""
        with contextlib.suppress(RuntimeError):  # the app has ended, and its loop with it
            self.loop.call_soon_threadsafe(self.news.set)

    def stop(self) -> None:
        """Free the run's rows within one pass. From any thread."""
        self.stopped = True
        ticket = self.ticket
        if ticket is not None:
            ticket.cancel()
        self.ring()


class House:
    """The model, the engine that shares it, and the runs of all visitors."""

    def __init__(self, load: Callable[[], Any], make_engine: Callable[[Any], Decoder] | None = None) -> None:
        """load: makes the model; make_engine: what decodes with it, an `Engine` unless said otherwise."""
        self.error: str | None = None
        self.lm: Any = None
        self._load = load
        # Whoever is let in has one place in the engine, so the engine's own line never refuses: a race or a sweep that
        # has begun is not turned away between two of its lanes.
        self._make_engine = make_engine or partial(Engine, max_runs=MAX_RUNS, max_waiting=MAX_RUNS + MAX_WAITING)
        self._engine: Decoder | None = None
        self._present: list[Feed] = []  # all that are being followed, in order of asking
        self._feeds: OrderedDict[str, Feed] = OrderedDict()  # those and the last finished ones, by run id

    # -- the model ----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Load the model on a thread of its own; `status` tells how far that is."""
        threading.Thread(target=self.load, name="load", daemon=True).start()

    def load(self) -> None:
        """Load the model on this thread. What goes wrong becomes `error`."""
        try:
            self.lm = self._load()
            self._engine = self._make_engine(self.lm)
        except SDLMError as error:
            self.error = str(error)
            log.error("%s", error)
        except Exception as error:
            self.error = f"The model could not be loaded: {type(error).__name__}. The server's log says more."
            log.exception("The model could not be loaded")
        for feed in list(self._present):
            feed.ring()

    def close(self) -> None:
        """Stop decoding within one pass; runs in hand end as cancelled."""
        if self._engine is not None:
            self._engine.close()

    def status(self) -> Message:
        """What the page says about the model."""
        if self.error:
            return {"state": "failed", "message": self.error}
        if self._engine is None:
            return {"state": "loading"}
        return {
            "state": "ready",
            "model": str(self.lm.name),
            "block_size": self.lm.block_size,
            "device": str(self.lm.description),
        }

    # -- one request --------------------------------------------------------------------------------------------------

    async def follow(self, request: Request, owner: str, keep: bool = True) -> AsyncIterator[dict[int, str]]:
        """Decode what was asked; yields the newest messages by number. Closing it ends the run within one pass.

        keep: whether its messages can be asked for when it is over. A sweep's, whose ids no page knows, would only
        push out what visitors may still want.
        Raises SDLMError where the request is not let in; whatever goes wrong later is a message.
        """
        if request.run_id in self._feeds:
            raise SDLMError("This run has been asked for before. Reload the page and try again.")
        if len(self._present) >= MAX_RUNS + MAX_WAITING:
            raise EngineFull(f"{MAX_WAITING} runs are waiting for this model already. Please try again in a minute.")
        if sum(feed.owner == owner for feed in self._present) >= MAX_OWN:
            raise SDLMError(f"{MAX_OWN} of your runs are going on already. Stop one, or wait until one has ended.")
        feed = Feed(request, owner, asyncio.get_running_loop())
        self._remember(feed)
        self._present.append(feed)
        sent = 0
        try:
            while True:
                feed.news.clear()  # before looking, so that what comes meanwhile rings again
                self._tell(feed)
                total = len(feed.messages)
                if total == sent and feed.over:
                    return
                first = max(0, sent - OVERLAP)
                yield dict(enumerate(feed.messages[first:total], first))
                if total > sent:
                    await asyncio.sleep(FLUSH_SECONDS)
                else:  # nothing new: the yield above only lets Gradio notice a page that has gone
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(feed.news.wait(), HEARTBEAT_SECONDS)
                sent = total
        finally:
            feed.stop()
            feed.ticket, feed.over = None, True  # and with the ticket its cache
            self._present.remove(feed)
            if not keep:
                self._feeds.pop(request.run_id, None)

    def stop(self, run_id: str) -> None:
        """End a run within one pass."""
        feed = self._feeds.get(run_id)
        if feed:
            feed.stop()

    def leave(self, owner: str) -> None:
        """End all runs of a browser session."""
        for feed in list(self._feeds.values()):
            if feed.owner == owner and not feed.over:
                feed.stop()

    def missed(self, run_id: str, after: int) -> list[str]:
        """The messages of a run from number `after` on, for a page that slept while they came."""
        feed = self._feeds.get(run_id)
        return feed.messages[max(0, after) :] if feed else []

    def latest(self, owner: str) -> list[str]:
        """The messages of a browser session's newest answered question (a request of one lane), or none."""
        asked = [f for f in list(self._feeds.values()) if f.owner == owner and len(f.request.configs) == 1]
        own = [f.messages for f in asked if f.messages]
        return next((told for told in reversed(own) if json.loads(told[-1])["kind"] == "end"), [])

    async def log_likelihood(self, messages: list[dict[str, str]], token_ids: Sequence[int]) -> float | None:
        """How probable the model finds an answer (nats a token) when it reads it autoregressively; None without one.

        The reading waits its turn between two passes; giving up the wait gives up the reading.
        """
        engine = self._engine
        if engine is None or not token_ids:
            return None
        return await asyncio.wrap_future(engine.call(_mean_log_likelihood, messages, token_ids))

    # -- inside -------------------------------------------------------------------------------------------------------

    def _tell(self, feed: Feed) -> None:
        """Say what has happened since the last time; hand in the next lane when one has ended. Waits for nothing."""
        if feed.over:
            return
        try:
            self._tell_lane(feed)
        except SDLMError as error:
            self._fail(feed, str(error))
        except Exception as error:
            log.exception("A run failed")
            self._fail(feed, f"The model failed on this prompt ({type(error).__name__}). The server's log says more.")

    def _tell_lane(self, feed: Feed) -> None:
        if self.error:
            raise SDLMError(self.error)
        if feed.stopped and feed.lane == 0 and not feed.started:
            raise SDLMError("Stopped before it began.")
        if self._engine is None:
            self._say_where(feed, "loading", self._present.index(feed) + 1 - MAX_RUNS)
            return
        if feed.ticket is None:
            config = feed.request.configs[feed.lane]
            feed.ticket = self._engine.submit(feed.request.messages, config, feed.ring)
            feed.handed_in = time.monotonic()
            others = [f for f in self._present if f.ticket is not None and f is not feed and self._engine.shares]
            feed.company = bool(others)
            for other in others:
                other.company = True
        if feed.stopped:  # perhaps before there was a ticket to cancel
            feed.ticket.cancel()
        ticket = feed.ticket
        passes, ended = ticket.take()
        if not passes and not ended and (position := ticket.position):
            # Everybody is in line until the pass in hand ends; who has to wait longer hears their place.
            if self._engine.load[0] >= MAX_RUNS or time.monotonic() - feed.handed_in > PASS_SECONDS:
                self._say_where(feed, "ready", position)
            return
        if not feed.started:
            begun = replace(ticket.trace(), passes=(), token_ids=[], text="", finish_reason="cancelled")
            head = {key: value for key, value in begun.to_dict().items() if key != "passes"}
            feed.say({"kind": "start", "lane": feed.lane, "head": head})
            feed.started = True
        for p in passes:
            feed.say({"kind": "passes", "lane": feed.lane, "passes": [p.to_dict()]})
        if ended:
            self._end_lane(feed, ticket.trace())

    def _end_lane(self, feed: Feed, trace: Trace) -> None:
        tail = {"text": trace.text, "token_ids": list(trace.token_ids), "finish_reason": trace.finish_reason}
        last = feed.stopped or feed.lane == len(feed.request.configs) - 1
        feed.say({"kind": "end", "lane": feed.lane, "tail": tail, "last": last, "company": feed.company})
        feed.ticket, feed.started, feed.over = None, False, last
        feed.lane += 1

    def _fail(self, feed: Feed, message: str) -> None:
        feed.say({"kind": "failed", "message": message})
        if feed.ticket is not None:
            feed.ticket.cancel()
        feed.ticket, feed.over = None, True

    def _say_where(self, feed: Feed, model: str, position: int) -> None:
        """Tell someone who waits their place in the line, when it has changed."""
        place = {"kind": "waiting", "position": max(0, position), "model": model}
        if feed.messages[-1:] != [_encoded(place)]:
            feed.say(place)

    def _remember(self, feed: Feed) -> None:
        self._feeds[feed.request.run_id] = feed
        finished = [old_id for old_id, old in self._feeds.items() if old.over]
        size = sum(old.size for old in self._feeds.values())
        for number, old_id in enumerate(finished):
            if len(finished) - number <= KEEP_RUNS and size <= KEEP_BYTES:
                break
            size -= self._feeds.pop(old_id).size


def _mean_log_likelihood(lm: LanguageModel, messages: list[dict[str, str]], token_ids: Sequence[int]) -> float:
    found = log_likelihoods(lm, [(lm.encode(messages)[1], token_ids)])[0]
    return sum(x for x, _ in found) / len(found)


def _encoded(message: Message) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))
