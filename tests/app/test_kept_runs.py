"""What the server keeps of runs that have ended, and how much memory that takes."""

from __future__ import annotations

import asyncio
import sys
import tracemalloc
from dataclasses import replace

import pytest

from app import events, limits, page_run
from app.events import End, Passes
from app.sessions import Sessions
from sdlm_core import Pass, Trace
from tests.app.conftest import TOKENS, Stepped, collect, ends, kinds, request, run_id
from tests.app.synthetic import make_trace


def test_events_can_be_asked_for_again(stepped: Stepped) -> None:
    made, _ = stepped()
    asyncio.run(collect(made, request(7)))
    texts = made.texts(run_id(7))
    assert len(texts) == TOKENS + 2
    assert made.texts(run_id(7), 3) == texts[3:]
    assert made.texts(run_id(7), 3)[0] is texts[3], "encoded once"
    assert made.texts(run_id(8)) == []


def test_a_run_that_no_page_knows_is_neither_encoded_nor_kept(
    stepped: Stepped, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = stepped()
    monkeypatch.setattr(page_run.wire, "encode", None)  # what it would be called for
    assert isinstance(asyncio.run(collect(made, request(1), keep=False))[-1], End)
    assert made.texts(run_id(1)) == []
    assert made.last_answer(run_id(1)) is None


def test_only_so_many_finished_runs_are_kept(stepped: Stepped, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = stepped()
    monkeypatch.setattr(limits, "KEEP_RUNS", 2)
    for n in range(4):
        asyncio.run(collect(made, request(n, max_new_tokens=1)))
    assert [bool(made.texts(run_id(n))) for n in range(4)] == [False, True, True, True]


def memory_of(made: Sessions, n: int) -> int:
    """What run n is counted as, by way of what it takes to push it out."""
    return made._runs[run_id(n)].size


def test_nor_more_than_fit_the_memory(stepped: Stepped, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = stepped()
    asyncio.run(collect(made, request(0)))
    monkeypatch.setattr(limits, "KEEP_BYTES", int(2.5 * memory_of(made, 0)))
    for n in range(1, 5):
        asyncio.run(collect(made, request(n)))
    assert [bool(made.texts(run_id(n))) for n in range(5)] == [False, False, True, True, True]


def test_texts_are_counted_in_bytes(stepped: Stepped) -> None:
    """Python keeps a text with one emoji in it at four bytes a character."""
    made, _ = stepped()
    asyncio.run(collect(made, request(1)))
    texts = sum(map(sys.getsizeof, made.texts(run_id(1))))
    assert memory_of(made, 1) > texts
    assert memory_of(made, 1) - texts == sum(events.memory(event) for event in made._runs[run_id(1)].events)


@pytest.mark.parametrize(("block_size", "alternatives"), [(1, 0), (8, 1), (8, 5)])
def test_the_memory_of_passes_is_counted_as_it_is(block_size: int, alternatives: int) -> None:
    passes = make_trace(200, block_size).passes
    cut = [[replace(c, alternatives=c.alternatives[:alternatives]) for c in p.candidates] for p in passes]
    text = replace(
        make_trace(200, block_size),
        passes=tuple(replace(p, candidates=tuple(c)) for p, c in zip(passes, cut, strict=True)),
    ).to_json()
    tracemalloc.start()
    read: tuple[Pass, ...] = Trace.from_json(text).passes
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.75 * taken < events.memory(Passes(0, read)) < 1.35 * taken


def test_the_newest_answer_of_a_session(stepped: Stepped) -> None:
    made, _ = stepped()
    assert made.last_answer("me") is None
    asyncio.run(collect(made, request(1, max_new_tokens=3), "me"))
    mine = asyncio.run(collect(made, request(2, max_new_tokens=4), "me"))
    asyncio.run(collect(made, request(3, max_new_tokens=2, race=True), "me"))
    asyncio.run(collect(made, request(4, max_new_tokens=2), "other"))
    broken = asyncio.run(collect(made, request(5, content="break it"), "me"))
    assert kinds(broken)[-1] == "Failed"
    assert made.last_answer("me") == ends(mine)[-1].trace
