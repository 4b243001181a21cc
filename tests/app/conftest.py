"""Sessions over a tiny model: with the real engine, and with one that makes a pass when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sdlm_core
from app import limits, page_run, sessions, wire
from app.events import End, Event, Passes
from app.model import ServedModel
from app.request import Request, parse_request
from app.sessions import Sessions
from tests.app.stepped import SteppedEngine

TOKENS = 40  # of every answer here, and as many passes
SETTINGS = {"algorithm": "prob_conf", "block_size": 4, "threshold": 1.0, "max_new_tokens": TOKENS}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events do not wait for others to travel with, a page that has gone is noticed soon, and no pass is a long one."""
    monkeypatch.setattr(sessions, "FLUSH_SECONDS", 0)
    monkeypatch.setattr(sessions, "HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(page_run, "PASS_SECONDS", 1_000)


@pytest.fixture
def lm(load: Callable[..., sdlm_core.LanguageModel]) -> sdlm_core.LanguageModel:
    return load(kind="qwen2", tied=False, causal_attn=True)


@pytest.fixture
def served(lm: sdlm_core.LanguageModel) -> Iterator[Sessions]:
    """Sessions with the real engine."""
    model = ServedModel(lambda: lm)
    model.load()
    yield Sessions(model)
    model.close()


Stepped = Callable[..., tuple[Sessions, SteppedEngine]]


@pytest.fixture
def stepped(lm: sdlm_core.LanguageModel, monkeypatch: pytest.MonkeyPatch) -> Stepped:
    """Makes sessions with a stepped engine, for so many runs at once and so many in line."""

    def make(max_runs: int = 32, max_waiting: int = 64) -> tuple[Sessions, SteppedEngine]:
        monkeypatch.setattr(limits, "MAX_RUNS", max_runs)
        monkeypatch.setattr(limits, "MAX_WAITING", max_waiting)
        engine = SteppedEngine(lm, max_runs)
        model = ServedModel(lambda: lm, lambda _: engine)
        model.load()
        return Sessions(model), engine

    return make


def run_id(n: int) -> str:
    """An id for run n."""
    return f"{n:032x}"


def request(n: int, content: str = "the cat", race: bool = False, **changes: Any) -> Request:
    """A request with run n's id."""
    data = {"run": run_id(n), "messages": [{"role": "user", "content": content}], "settings": SETTINGS | changes}
    return parse_request(data, race)


async def collect(sessions: Sessions, asked: Request, session: str = "", keep: bool = True) -> list[Event]:
    """All events of a run; without a session, of one that asks nothing else."""
    events: list[Event] = []
    async for fresh in sessions.follow(asked, session or asked.run_id, keep):
        events += fresh
    if keep:
        assert sessions.texts(asked.run_id) == [wire.encode(event) for event in events]
    return events


async def until(condition: Callable[[], Any]) -> None:
    """Let the loop go on until something is so; the limit only ends a test that would hang."""
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.001)


def ends(events: list[Event]) -> list[End]:
    """The ends among the events; a race has one for each lane."""
    return [event for event in events if isinstance(event, End)]


def kinds(events: list[Event]) -> list[str]:
    """The events' classes."""
    return [type(event).__name__ for event in events]


def tokens(events: list[Event]) -> list[int]:
    """What the accepted candidates of a run's passes add up to."""
    passes = [p for event in events if isinstance(event, Passes) for p in event.passes]
    assert [p.index for p in passes] == list(range(len(passes)))
    return [token_id for p in passes for token_id in p.accepted_ids]
