"""The line before the engine: turns go round between clients, whatever number of requests each has."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdlm_core import SDLMError
from sdlm_core.serve.fairness import FairLine, LineFull, LineLimits, Place, client_of_address

NARROW = LineLimits(running=3, waiting=100, running_per_client=2, waiting_per_client=50)


def enter(line: FairLine, client: str, started: list[str]) -> Place:
    return line.enter(client, lambda: started.append(client))


def test_a_thousand_requests_of_one_client_do_not_delay_another() -> None:
    line = FairLine(LineLimits(running=4, waiting=1100, running_per_client=3, waiting_per_client=1000))
    started: list[str] = []
    for _ in range(1000):
        enter(line, "many", started)
    assert started == ["many"] * 3
    other = enter(line, "one", started)
    assert other.position == 0, "there is a place that the first client may not take"


def test_waiting_clients_take_turns() -> None:
    line = FairLine(NARROW)
    clients = "aaaaaabbbbbbcccccc"
    order: list[int] = []  # of turns, in which the requests also end
    places = [line.enter(name, lambda number=i: order.append(number)) for i, name in enumerate(clients)]
    for ended in range(len(clients)):
        places[order[ended]].leave()
    started = [clients[number] for number in order]
    assert Counter(started) == {"a": 6, "b": 6, "c": 6}
    for end in range(3, 15):  # while all three wait, nobody is two turns ahead
        counts = Counter(started[3:end])
        assert max(counts[n] for n in "abc") - min(counts[n] for n in "abc") <= 1, started


def test_positions_foretell_the_order() -> None:
    line = FairLine(LineLimits(running=1, waiting=100, running_per_client=1, waiting_per_client=50))
    order: list[int] = []
    draw = random.Random(3)
    first = line.enter("x", lambda: None)
    names = [draw.choice("abcd") for _ in range(20)]
    places = [line.enter(name, lambda number=i: order.append(number)) for i, name in enumerate(names)]
    foretold = sorted(range(20), key=lambda i: places[i].position)
    assert sorted(p.position for p in places) == list(range(1, 21))
    first.leave()
    while len(order) < 20:
        places[order[-1]].leave()
    assert order == foretold


def test_a_line_that_is_full_says_whose_it_is() -> None:
    line = FairLine(LineLimits(running=1, waiting=3, running_per_client=1, waiting_per_client=2))
    for _ in range(3):
        line.enter("a", lambda: None)
    with pytest.raises(LineFull, match="2 of your requests"):
        line.enter("a", lambda: None)
    line.enter("b", lambda: None)
    with pytest.raises(LineFull, match="3 requests are waiting"):
        line.enter("c", lambda: None)
    assert issubclass(LineFull, SDLMError)


def test_leaving_twice_or_from_the_line_frees_one_place() -> None:
    line, started = FairLine(NARROW), []
    a, b = enter(line, "a", started), enter(line, "a", started)
    waiting, last = enter(line, "a", started), enter(line, "a", started)
    waiting.leave()
    waiting.leave()
    assert (line.load, last.position) == ((2, 1), 1)
    a.leave()
    a.leave()
    assert (line.load, last.position) == ((2, 0), 0)
    b.leave()
    last.leave()
    assert line.load == (0, 0)


def test_a_listener_that_fails_harms_nobody() -> None:
    line, started = FairLine(LineLimits(running=1, running_per_client=1)), []
    first = line.enter("a", lambda: None)

    def gone() -> None:
        raise RuntimeError("the loop has ended")

    broken = line.enter("b", gone)
    enter(line, "c", started)
    first.leave()
    broken.leave()
    assert started == ["c"]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.integers(0, 30)), max_size=80))
def test_whatever_happens_limits_hold_and_nobody_is_forgotten(events: list[tuple[str, bool, int]]) -> None:
    line, places = FairLine(NARROW), []
    for client, enters, which in events:
        if enters:
            places.append(line.enter(client, lambda: None))
        elif places:
            places.pop(which % len(places)).leave()
        running = Counter(p.client for p in places if p._running)
        waiting = [p for p in places if not p._running]
        assert sum(running.values()) <= 3
        assert all(count <= 2 for count in running.values())
        assert line.load == (sum(running.values()), len(waiting))
        if sum(running.values()) < 3:
            assert all(running[p.client] == 2 for p in waiting), "a free place is taken by whoever may"
    for place in places:
        place.leave()
    assert line.load == (0, 0)


def test_many_threads() -> None:
    line, most = FairLine(NARROW), []
    lock = threading.Lock()
    inside = 0

    def visit(client: str) -> None:
        nonlocal inside
        for _ in range(50):
            turn = threading.Event()
            place = line.enter(client, turn.set)
            assert turn.wait(20)
            with lock:
                inside += 1
                most.append(inside)
            with lock:
                inside -= 1
            place.leave()

    threads = [threading.Thread(target=visit, args=(f"{i % 4}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) <= 3
    assert line.load == (0, 0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        (None, "", True),
    ],
)
def test_what_one_client_is(one: Any, other: Any, same: bool) -> None:
    assert (client_of_address(one) == client_of_address(other)) is same
