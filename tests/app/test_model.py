"""The model while it loads, where it cannot be loaded, and when it is closed."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import sdlm_core
from app import limits, sessions
from app.events import Event, Failed, Waiting
from app.model import ServedModel
from app.sessions import Sessions
from sdlm_core import SDLMError
from tests.app.conftest import Stepped, collect, ends, kinds, request, run_id, until
from tests.app.stepped import SteppedEngine


def test_a_model_that_does_not_load() -> None:
    gate = threading.Event()

    def load() -> Any:
        gate.wait(120)
        raise SDLMError("There is no folder 'x'. Give another.")

    model = ServedModel(load)
    made = Sessions(model)
    model.load_in_background()
    assert model.status() == {"state": "loading"}

    async def ask() -> list[Event]:
        task = asyncio.create_task(collect(made, request(1)))
        await until(lambda: made.texts(run_id(1)))
        gate.set()
        return await task

    assert asyncio.run(ask()) == [Waiting(0, "loading"), Failed("There is no folder 'x'. Give another.")]
    assert model.status() == {"state": "failed", "message": "There is no folder 'x'. Give another."}
    model.close()


def test_who_asks_while_the_model_loads_waits_in_order(
    lm: sdlm_core.LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_RUNS", 1)
    monkeypatch.setattr(sessions, "HEARTBEAT_SECONDS", 1000)  # the model's arrival wakes them, not the clock
    model = ServedModel(lambda: lm, lambda lm: SteppedEngine(lm, 1))
    made = Sessions(model)

    async def crowd() -> list[list[Event]]:
        tasks = [asyncio.create_task(collect(made, request(i, max_new_tokens=4))) for i in range(4)]
        await until(lambda: all(made.texts(run_id(i)) for i in range(4)))
        made.stop(run_id(3))
        await tasks[3]
        model.load_in_background()
        return await asyncio.gather(*tasks)

    found = asyncio.run(crowd())
    assert [own[0] for own in found] == [Waiting(place, "loading") for place in range(4)]
    assert [kinds(own)[-1] for own in found] == ["End"] * 3 + ["Failed"]


def test_closing_the_model_ends_its_runs(stepped: Stepped) -> None:
    made, engine = stepped()

    async def close() -> list[Event]:
        engine.free = False
        task = asyncio.create_task(collect(made, request(1)))
        await until(lambda: engine.load[1] == 1)
        engine.step(3)
        made.model.close()
        return await task

    assert ends(asyncio.run(close()))[-1].trace.finish_reason == "cancelled"
    assert asyncio.run(collect(made, request(2))) == [Failed("The engine is closed.")]
