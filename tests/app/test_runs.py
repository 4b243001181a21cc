"""The house: whose turn it is, what a page is told, and when decoding ends."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import sdlm_core
from app import limits, runs
from sdlm_core import SDLMError
from tests.app.synthetic import make_trace

TRACE = make_trace(40)


class FakeRun:
    """Forty passes of a few milliseconds; counts how many were made."""

    made = 0
    at_once = 0
    most_at_once = 0

    def __init__(self, lm: Any, prompt: Any, config: Any) -> None:
        if prompt[-1]["content"] == "too long":
            raise SDLMError("This prompt is too long. Shorten it.")
        self.prompt = prompt

    def __iter__(self) -> Iterator[Any]:
        FakeRun.at_once += 1
        FakeRun.most_at_once = max(FakeRun.most_at_once, FakeRun.at_once)
        try:
            for p in TRACE.passes:
                time.sleep(0.005)
                FakeRun.made += 1
                yield p
        finally:
            FakeRun.at_once -= 1

    def trace(self) -> Any:
        return TRACE


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> runs.House:
    monkeypatch.setattr(sdlm_core, "Run", FakeRun)
    monkeypatch.setattr(runs, "HEARTBEAT_SECONDS", 0.02)
    FakeRun.made = FakeRun.at_once = FakeRun.most_at_once = 0
    made = runs.House(lambda: None)
    made.lm = SimpleNamespace(name="fake", block_size=8)
    made._loaded.set()
    return made


def request(n: int, content: str = "Why?", race: bool = False) -> limits.Request:
    data = {"run": f"{n:032x}", "messages": [{"role": "user", "content": content}], "settings": {}}
    return limits.parse_request(data, race)


async def told(house: runs.House, wish: limits.Request, owner: str = "me") -> list[dict[str, Any]]:
    """All messages of a run, as a page would put them together."""
    seen: dict[int, str] = {}
    async for messages in house.follow(wish, owner):
        seen |= messages
    assert sorted(seen) == list(range(len(seen)))
    return [json.loads(seen[n]) for n in sorted(seen)]


def test_a_run_is_told_whole_and_in_order(house: runs.House) -> None:
    messages = asyncio.run(told(house, request(1)))
    kinds = [m["kind"] for m in messages]
    assert kinds[kinds.index("start") :] == ["start", *["passes"] * 40, "end"]
    passes = [p for m in messages if m["kind"] == "passes" for p in m["passes"]]
    assert passes == [p.to_dict() for p in TRACE.passes]
    assert messages[-1]["tail"]["token_ids"] == list(TRACE.token_ids)


def test_a_pass_fits_the_wire(house: runs.House) -> None:
    messages = asyncio.run(told(house, request(1)))
    sizes = [len(json.dumps(json.dumps(m))) for m in messages if m["kind"] == "passes"]
    assert max(sizes) <= 6144


def test_runs_take_turns_in_the_order_of_asking(house: runs.House) -> None:
    async def crowd() -> list[list[dict[str, Any]]]:
        return await asyncio.gather(*(told(house, request(i), f"visitor {i}") for i in range(4)))

    stories = asyncio.run(crowd())
    assert FakeRun.most_at_once == 1
    assert [max([m.get("position", 0) for m in story]) for story in stories] == [0, 1, 2, 3]
    assert all(story[-1]["kind"] == "end" for story in stories)


def test_a_closed_page_ends_its_run_within_a_pass_and_frees_the_line(house: runs.House) -> None:
    async def leave_early() -> int:
        following: Any = house.follow(request(1), "me")
        async for messages in following:
            if any('"passes"' in text for text in messages.values()):
                break
        made = FakeRun.made
        await following.aclose()
        await asyncio.sleep(0.05)
        assert FakeRun.made <= made + 12  # what came while the last messages travelled, and one more
        assert FakeRun.made < 40
        await told(house, request(2))
        return made

    asyncio.run(leave_early())


@pytest.mark.parametrize("how", ["stop", "leave"])
def test_stopping(house: runs.House, how: str) -> None:
    async def stop_early() -> list[dict[str, Any]]:
        task = asyncio.create_task(told(house, request(1), "me"))
        while FakeRun.made < 5:
            await asyncio.sleep(0.002)
        house.stop(f"{2:032x}")  # somebody else's, or nobody's
        house.leave("someone else")
        house.stop(f"{1:032x}") if how == "stop" else house.leave("me")
        return await task

    messages = asyncio.run(stop_early())
    assert messages[-1]["kind"] == "end"
    assert messages[-1]["last"] is True
    assert 5 <= FakeRun.made <= 12


def test_stopping_before_the_turn_has_come(house: runs.House) -> None:
    async def stop_in_line() -> list[dict[str, Any]]:
        first = asyncio.create_task(told(house, request(1)))
        second = asyncio.create_task(told(house, request(2)))
        await asyncio.sleep(0.03)
        house.stop(f"{2:032x}")
        story = await second
        assert not first.done()
        await first
        return story

    messages = asyncio.run(stop_in_line())
    assert [m["kind"] for m in messages] == ["waiting", "failed"]


def test_a_race_decodes_three_runs_one_after_another(house: runs.House) -> None:
    messages = asyncio.run(told(house, request(1, race=True)))
    assert [m["lane"] for m in messages if m["kind"] == "start"] == [0, 1, 2]
    assert [m["last"] for m in messages if m["kind"] == "end"] == [False, False, True]


def test_what_was_missed_can_be_asked_for(house: runs.House) -> None:
    messages = asyncio.run(told(house, request(7)))
    assert [json.loads(m) for m in house.missed(f"{7:032x}", 3)] == messages[3:]
    assert house.missed(f"{8:032x}", 0) == []


def test_mistakes_and_crashes_are_told_as_sentences(house: runs.House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(told(house, request(1, "too long")))[-1]["message"] == "This prompt is too long. Shorten it."
    monkeypatch.setattr(sdlm_core, "Run", lambda *_: 1 / 0)
    message = asyncio.run(told(house, request(2)))[-1]["message"]
    assert "ZeroDivisionError" in message
    assert "Traceback" not in message


def test_a_model_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "HEARTBEAT_SECONDS", 0.02)
    gate = threading.Event()

    def load() -> Any:
        gate.wait(5)
        raise SDLMError("There is no folder 'x'. Give another.")

    house = runs.House(load)
    house.open()
    assert house.status() == {"state": "loading"}

    async def ask() -> list[dict[str, Any]]:
        task = asyncio.create_task(told(house, request(1)))
        await asyncio.sleep(0.05)
        gate.set()
        return await task

    messages = asyncio.run(ask())
    assert messages[0] == {"kind": "waiting", "position": 0, "model": "loading"}
    assert messages[-1] == {"kind": "failed", "message": "There is no folder 'x'. Give another."}
    assert house.status()["state"] == "failed"


def test_a_full_house_says_so(house: runs.House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MAX_WAITING", 0)

    async def two() -> None:
        first = asyncio.create_task(told(house, request(1)))
        await asyncio.sleep(0.02)
        with pytest.raises(SDLMError, match="waiting"):
            await told(house, request(2))
        await first

    asyncio.run(two())


def test_an_id_is_used_once(house: runs.House) -> None:
    asyncio.run(told(house, request(1)))
    with pytest.raises(SDLMError, match="asked for before"):
        asyncio.run(told(house, request(1)))
