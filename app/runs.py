"""Who may decode now, and how a run's passes travel to the page that asked for it.

One model answers one run at a time, in the order of asking. Decoding happens on a thread of its own, so that drawing
never holds it up; a closed page, a press on stop or a newer run ends it within one pass. It knows nothing of Gradio,
and of decoding only `sdlm_core.Run`: an engine that answers several runs at once replaces `_decode` and SLOTS.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import sdlm_core
from app.limits import Request
from sdlm_core import SDLMError

log = logging.getLogger(__name__)

SLOTS = 1  # runs decoded at once
MAX_WAITING = 24
KEEP_RUNS = 64  # finished runs whose messages can still be asked for
FLUSH_SECONDS = 0.04  # passes that come faster travel together
OVERLAP = 4  # messages said again, since a browser may skip an update; what has been said costs no wire
HEARTBEAT_SECONDS = 1.0  # how often someone who waits hears of it

Message = dict[str, Any]


@dataclass
class Feed:
    """One run as the page sees it: numbered messages, appended by the decoding thread, read by the page's event."""

    owner: str  # the browser session, which takes its runs along when it closes
    messages: list[str] = field(default_factory=list)  # JSON
    stop: threading.Event = field(default_factory=threading.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False


class House:
    """The model, the line before it, and the runs of all visitors."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self.error: str | None = None
        self.lm: Any = None
        self._load = load
        self._loaded = threading.Event()
        self._line: list[Feed] = []  # in order of asking; the first SLOTS are decoding
        self._feeds: OrderedDict[str, Feed] = OrderedDict()
        self._workers = ThreadPoolExecutor(SLOTS, thread_name_prefix="decode")

    # -- the model ----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Load the model on the decoding thread; `status` tells how far that is."""
        self._workers.submit(self._open)

    def _open(self) -> None:
        try:
            self.lm = self._load()
        except SDLMError as error:
            self.error = str(error)
            log.error("%s", error)
        except Exception as error:
            self.error = f"The model could not be loaded: {type(error).__name__}. The server's log says more."
            log.exception("The model could not be loaded")
        self._loaded.set()

    def status(self) -> Message:
        """What the page says about the model."""
        if self.error:
            return {"state": "failed", "message": self.error}
        if self.lm is None:
            return {"state": "loading"}
        return {
            "state": "ready",
            "model": str(self.lm.name),
            "block_size": self.lm.block_size,
            "device": str(getattr(self.lm, "description", "")),
            "waiting": max(0, len(self._line) - SLOTS),
        }

    # -- one run ------------------------------------------------------------------------------------------------------

    async def follow(self, request: Request, owner: str) -> AsyncIterator[dict[int, str]]:
        """Decode what was asked; yields the newest messages by number. Closing it ends the run within one pass."""
        if request.run_id in self._feeds:
            raise SDLMError("This run has been asked for before. Reload the page and try again.")
        if len(self._line) - SLOTS >= MAX_WAITING:
            raise SDLMError(f"{MAX_WAITING} runs are waiting for this model already. Please try again in a minute.")
        feed = Feed(owner)
        self._remember(request.run_id, feed)
        self._line.append(feed)
        loop = asyncio.get_running_loop()

        def notify() -> None:
            loop.call_soon_threadsafe(feed.news.set)

        job: Future[None] | None = None
        sent = 0
        try:
            while True:
                if feed.over:
                    pass  # what is left to say is said below
                elif job is None and feed.stop.is_set():
                    _say(feed, {"kind": "failed", "message": "Stopped before it began."})
                    feed.over = True
                elif job is None and self._loaded.is_set() and self._line.index(feed) < SLOTS:
                    job = self._workers.submit(self._decode, request, feed, notify)
                    job.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave, feed))
                elif job is None:
                    self._say_where(feed)
                total = len(feed.messages)
                if total == sent and feed.over:
                    return
                yield dict(enumerate(feed.messages[max(0, sent - OVERLAP) : total], max(0, sent - OVERLAP)))
                with contextlib.suppress(TimeoutError):
                    if total > sent:
                        await asyncio.sleep(FLUSH_SECONDS)
                    else:  # nothing new: the yield above only lets Gradio notice a page that has gone
                        await asyncio.wait_for(feed.news.wait(), HEARTBEAT_SECONDS)
                sent = total
                feed.news.clear()
        finally:
            feed.stop.set()
            if job is None:
                self._leave(feed)

    def stop(self, run_id: str) -> None:
        """End a run within one pass."""
        feed = self._feeds.get(run_id)
        if feed:
            feed.stop.set()

    def leave(self, owner: str) -> None:
        """End all runs of a browser session."""
        for feed in list(self._feeds.values()):
            if feed.owner == owner:
                feed.stop.set()

    def missed(self, run_id: str, after: int) -> list[str]:
        """The messages of a run from number `after` on, for a page that slept while they came."""
        feed = self._feeds.get(run_id)
        return feed.messages[max(0, after) :] if feed else []

    # -- inside -------------------------------------------------------------------------------------------------------

    def _decode(self, request: Request, feed: Feed, notify: Callable[[], None]) -> None:
        """On the decoding thread: every config of the request in turn, told message by message."""
        lanes = len(request.configs)
        try:
            if self.error:
                raise SDLMError(self.error)
            for lane, config in enumerate(request.configs):
                if feed.stop.is_set():
                    break
                run = sdlm_core.Run(self.lm, request.messages, config)
                head = run.trace().to_dict()
                head.pop("passes")
                _say(feed, {"kind": "start", "lane": lane, "head": head})
                notify()
                for p in run:
                    _say(feed, {"kind": "passes", "lane": lane, "passes": [p.to_dict()]})
                    notify()
                    if feed.stop.is_set():
                        break
                trace = run.trace()
                tail = {"text": trace.text, "token_ids": list(trace.token_ids), "finish_reason": trace.finish_reason}
                _say(feed, {"kind": "end", "lane": lane, "tail": tail, "last": lane == lanes - 1 or feed.stop.is_set()})
        except SDLMError as error:
            _say(feed, {"kind": "failed", "message": str(error)})
        except Exception as error:
            log.exception("A run failed")
            message = f"The model failed on this prompt ({type(error).__name__}). The server's log says more."
            _say(feed, {"kind": "failed", "message": message})
        finally:
            feed.over = True
            notify()

    def _say_where(self, feed: Feed) -> None:
        """Tell someone who waits their place in the line, when it has changed."""
        position = max(0, self._line.index(feed) - SLOTS + 1)
        place = {"kind": "waiting", "position": position, "model": self.status()["state"]}
        if feed.messages[-1:] != [_encoded(place)]:
            _say(feed, place)

    def _leave(self, feed: Feed) -> None:
        if feed in self._line:
            self._line.remove(feed)
            for other in self._line:
                other.news.set()

    def _remember(self, run_id: str, feed: Feed) -> None:
        self._feeds[run_id] = feed
        for old_id, old in list(self._feeds.items()):
            if len(self._feeds) <= KEEP_RUNS:
                break
            if old.over:
                del self._feeds[old_id]


def _say(feed: Feed, message: Message) -> None:
    feed.messages.append(_encoded(message))


def _encoded(message: Message) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))
