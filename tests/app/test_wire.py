"""What the browser reads of each event."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from app.events import End, Event, Failed, Passes, Start, Waiting
from app.handlers import OVERLAP, follow
from app.wire import encode
from sdlm_core import Trace
from tests.app.conftest import Stepped, request, run_id
from tests.app.synthetic import HOSTILE, make_trace

TRACE = make_trace(texts=HOSTILE)


@pytest.mark.parametrize(
    ("event", "read"),
    [
        (Waiting(3, "ready"), {"kind": "waiting", "position": 3, "model": "ready"}),
        (Waiting(0, "loading"), {"kind": "waiting", "position": 0, "model": "loading"}),
        (Passes(1, TRACE.passes[:1]), {"kind": "passes", "lane": 1, "passes": [TRACE.passes[0].to_dict()]}),
        (Failed("Not “so”. 🌍"), {"kind": "failed", "message": "Not “so”. 🌍"}),
        (
            End(2, TRACE, True, False),
            {
                "kind": "end",
                "lane": 2,
                "tail": {"text": TRACE.text, "token_ids": TRACE.token_ids, "finish_reason": TRACE.finish_reason},
                "last": True,
                "shared_pass": False,
            },
        ),
    ],
)
def test_an_event_is_one_object(event: Event, read: dict[str, Any]) -> None:
    assert json.loads(encode(event)) == read
    assert encode(event) == json.dumps(read, ensure_ascii=False, separators=(",", ":")), "and in this order"


def test_the_events_of_a_run_make_its_trace() -> None:
    head = replace(TRACE, passes=(), token_ids=[], text="", finish_reason="cancelled")
    events = (Start(0, head), Passes(0, TRACE.passes), End(0, TRACE, True, False))
    start, passes, end = (json.loads(encode(event)) for event in events)
    assert (start["kind"], start["lane"], "passes" in start["head"]) == ("start", 0, False)
    assert Trace.from_json(json.dumps({**start["head"], **end["tail"], "passes": passes["passes"]})) == TRACE


def data(n: int, **settings: Any) -> dict[str, Any]:
    """A request as the page sends it."""
    asked = request(n, **settings)
    return {"run": asked.run_id, "messages": asked.messages, "settings": asked.configs[0].to_dict()}


def test_a_components_values_hold_each_event_once_and_the_newest_again(stepped: Stepped) -> None:
    sessions, _ = stepped()

    async def values() -> list[dict[str, Any]]:
        return [value async for value in follow(sessions, data(1, block_size=8), "me")]

    found = asyncio.run(values())
    texts = sessions.texts(run_id(1))
    assert {value["run"] for value in found} == {run_id(1)}
    sent = 0
    for value in found:
        numbers = [int(n) for n in value["messages"]]
        assert numbers == list(range(max(0, sent - OVERLAP), numbers[-1] + 1))
        assert [value["messages"][str(n)] for n in numbers] == texts[numbers[0] : numbers[-1] + 1]
        sent = numbers[-1] + 1
    assert sent == len(texts)
    assert max(len(json.dumps(text)) for text in texts if '"passes"' in text) <= 6144, "what a pass may cost"


def test_what_is_not_let_in_is_a_sentence(stepped: Stepped) -> None:
    sessions, _ = stepped()

    async def values(sent: Any) -> list[dict[str, Any]]:
        return [value async for value in follow(sessions, sent, "me")]

    for sent, run in ((None, None), ({"run": 7}, None), (data(1) | {"messages": []}, run_id(1))):
        (value,) = asyncio.run(values(sent))
        assert value["run"] == run
        assert list(value["messages"]) == ["0"]
        assert json.loads(value["messages"]["0"])["kind"] == "failed"
