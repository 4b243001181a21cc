"""Visitors take turns by their address, whatever number of sessions one opens."""

from __future__ import annotations

import asyncio

import pytest

from app import limits
from app.events import End, Event, Failed, Waiting
from sdlm_core import SDLMError
from tests.app.conftest import Stepped, collect, request, run_id, until


def test_a_crowd_of_one_address_does_not_keep_others_out(stepped: Stepped, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_RUNS_PER_CLIENT", 3)
    made, engine = stepped(4, 64)
    engine.free = False

    async def scenario() -> tuple[list[list[Event]], list[Event]]:
        crowd = [asyncio.create_task(_follow(made, n, f"session {n}", "crowd")) for n in range(20)]
        await until(lambda: sum(map(len, (engine.running, engine.waiting))) == 3)
        await until(lambda: made.texts(run_id(19)))
        other = asyncio.create_task(_follow(made, 50, "other", "other"))
        await until(lambda: len(engine.waiting) == 4)  # at once, past the seventeen that wait
        engine.free = True
        return await asyncio.gather(*crowd), await other

    crowd, other = asyncio.run(scenario())
    assert not [event for event in other if isinstance(event, Waiting)]
    assert isinstance(other[-1], End)
    assert all(isinstance(events[-1], End) for events in crowd)
    assert made.model.line.load == (0, 0)


def test_one_address_may_not_fill_the_line(stepped: Stepped, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_RUNS_PER_CLIENT", 1)
    monkeypatch.setattr(limits, "MAX_WAITING_PER_CLIENT", 2)
    made, engine = stepped(4, 64)
    engine.free = False

    async def scenario() -> None:
        crowd = [asyncio.create_task(_follow(made, n, f"session {n}", "crowd")) for n in range(3)]
        await until(lambda: made.model.line.load == (1, 2))
        with pytest.raises(SDLMError, match="2 of your requests are waiting"):
            await _follow(made, 3, "session 3", "crowd")
        for n in range(3):
            made.stop(run_id(n))
        engine.free = True
        await asyncio.gather(*crowd)

    asyncio.run(scenario())
    assert made.model.line.load == (0, 0), "stopped runs have left the line"


def test_a_place_is_given_back_when_the_page_goes(stepped: Stepped) -> None:
    made, engine = stepped(1, 4)
    engine.free = False

    async def scenario() -> list[Event]:
        gone = asyncio.create_task(collect(made, request(0), "gone"))
        await until(lambda: engine.waiting)
        other = asyncio.create_task(collect(made, request(1), "other"))
        await until(lambda: made.texts(run_id(1)))
        gone.cancel()
        engine.free = True
        return await other

    found = asyncio.run(scenario())
    assert not isinstance(found[-1], Failed)
    assert made.model.line.load == (0, 0)


async def _follow(made: object, number: int, session: str, client: str) -> list[Event]:
    events: list[Event] = []
    async for fresh in made.follow(request(number, max_new_tokens=4), session, client=client):  # type: ignore[attr-defined]
        events += fresh
    return events
