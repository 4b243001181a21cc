"""Who decodes next: a line before the engine that is fair between clients, not between requests.

A client is an API key, a signed-in user or an address (`client_of_address`), whatever number of sessions it opens.
Each may have so many requests decoding and so many waiting; when a place becomes free, the waiting clients take turns.
This module knows nothing of HTTP, pages or models. It is safe to use from any thread.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from sdlm_core.serve.engine import EngineFull

log = logging.getLogger(__name__)


class LineFull(EngineFull):
    """This client has too many requests waiting, or all clients together have."""


@dataclass(frozen=True)
class LineLimits:
    """How many requests may be where.

    running:            of all clients, with the engine; at most its max_runs, so that its own queue stays short.
    waiting:            of all clients, in this line.
    running_per_client: less than `running`, so that a client who comes later finds a place.
    waiting_per_client: less than `waiting`, for the same reason.
    """

    running: int = 16
    waiting: int = 256
    running_per_client: int = 4
    waiting_per_client: int = 64


class Place:
    """A request's place in the line, and after its turn has come, among those running. Give it back with `leave`."""

    def __init__(self, line: FairLine, client: str, on_turn: Callable[[], None]) -> None:
        self.client = client
        self._line, self._on_turn = line, on_turn
        self._running = False

    @property
    def position(self) -> int:
        """0 once its turn has come, or after `leave`; else the place in line if nobody else comes, from 1."""
        return self._line._position(self)

    def leave(self) -> None:
        """Free the place, whether its turn has come or not. Calling it again does nothing."""
        self._line._leave(self)


class FairLine:
    """The line of one engine. `enter` gives a place; on_turn is called once, when the request may start."""

    def __init__(self, limits: LineLimits | None = None) -> None:
        self.limits = limits or LineLimits()
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, deque[Place]] = OrderedDict()  # by client, in the order of their next turns
        self._running: dict[str, int] = {}  # by client
        self._paused = False
        self.on_change: Callable[[], None] = lambda: None  # called when a request has come or gone, on any thread

    def enter(self, client: str, on_turn: Callable[[], None]) -> Place:
        """Take a place. on_turn may be called before this returns, on this or on any thread; it must return at once.

        Raises LineFull where the client, or all together, have too many requests waiting.
        """
        place = Place(self, client, on_turn)
        with self._lock:
            own = len(self._waiting.get(client, ()))
            must_wait = not self._can_start(client)
            if must_wait and own >= self.limits.waiting_per_client:
                raise LineFull(f"{own} of your requests are waiting already. Try again when one has ended.")
            if must_wait and sum(map(len, self._waiting.values())) >= self.limits.waiting:
                raise LineFull(f"{self.limits.waiting} requests are waiting for this model. Try again in a minute.")
            self._waiting.setdefault(client, deque()).append(place)
            started = self._start()
        _call(started)
        self.on_change()
        return place

    def pause(self) -> None:
        """Nobody's turn comes until `resume`; whose turn has come goes on."""
        with self._lock:
            self._paused = True

    def resume(self) -> None:
        """Turns come again."""
        with self._lock:
            self._paused = False
            started = self._start()
        _call(started)

    @property
    def paused(self) -> bool:
        """Whether nobody's turn comes."""
        return self._paused

    @property
    def load(self) -> tuple[int, int]:
        """Requests running and requests waiting."""
        with self._lock:
            return sum(self._running.values()), sum(map(len, self._waiting.values()))

    def _can_start(self, client: str) -> bool:
        running = sum(self._running.values())
        own = self._running.get(client, 0)
        return not self._paused and running < self.limits.running and own < self.limits.running_per_client

    def _start(self) -> list[Place]:
        """Give free places to the waiting clients, one each in turn."""
        started = []
        while (client := next(filter(self._can_start, self._waiting), None)) is not None:
            queue = self._waiting[client]
            place = queue.popleft()
            self._waiting.move_to_end(client)
            if not queue:
                del self._waiting[client]
            self._running[client] = self._running.get(client, 0) + 1
            place._running = True
            started.append(place)
        return started

    def _leave(self, place: Place) -> None:
        with self._lock:
            if place._running:
                place._running = False
                self._running[place.client] -= 1
                if not self._running[place.client]:
                    del self._running[place.client]
            elif place in (queue := self._waiting.get(place.client, deque())):
                queue.remove(place)
                if not queue:
                    del self._waiting[place.client]
            started = self._start()
        _call(started)
        self.on_change()

    def _position(self, place: Place) -> int:
        with self._lock:
            own = self._waiting.get(place.client, deque())
            if place not in own:
                return 0
            rank = own.index(place)
            position, before = 1, True
            for client, queue in self._waiting.items():
                if client == place.client:
                    position, before = position + rank, False
                else:  # others have as many turns as this client has until then
                    position += min(len(queue), rank + before)
            return position


def client_of_address(address: str | None) -> str:
    """The client behind an address: an IPv4 address, the /64 network of an IPv6 address, which one host may own."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return f"address:{(address or 'unknown')[:60]}"
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return f"address:{ip.ipv4_mapped}"
        return f"address:{ipaddress.ip_network((int(ip), 64), strict=False)}"
    return f"address:{ip}"


def _call(started: list[Place]) -> None:
    for place in started:
        try:
            place._on_turn()
        except Exception:  # a caller whose event loop has ended must not take the turns of others with it
            log.debug("A request could not be told that its turn has come", exc_info=True)
