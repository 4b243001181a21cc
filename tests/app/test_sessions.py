"""Who is let in, what a run's events are, and when decoding ends."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

import sdlm_core
from app import limits, page_run
from app.events import End, Event, Failed, Passes, Start, Waiting
from app.sessions import Sessions
from sdlm_core import SDLMError, Trace
from sdlm_core.evaluate.likelihood import log_likelihoods
from tests.app.conftest import TOKENS, Stepped, collect, ends, kinds, request, run_id, tokens, until


def without_seconds(trace: Trace) -> Trace:
    return replace(trace, created="", passes=tuple(replace(p, seconds=0.0) for p in trace.passes))


def test_a_run_is_whole_and_in_order(served: Sessions) -> None:
    asked = request(1)
    found = asyncio.run(collect(served, asked))
    trace = sdlm_core.decode(served.model.lm, asked.messages, asked.configs[0])
    assert kinds(found) == ["Start", *["Passes"] * len(trace.passes), "End"]
    start, end = found[0], found[-1]
    assert isinstance(start, Start)
    assert (start.head.prompt, start.head.prompt_tokens) == (trace.prompt, trace.prompt_tokens)
    assert (start.head.passes, start.head.token_ids) == ((), [])
    assert isinstance(end, End)
    assert (end.lane, end.last, end.shared_pass) == (0, True, False)
    assert tokens(found) == end.trace.token_ids == trace.token_ids
    assert without_seconds(end.trace) == without_seconds(trace)
    assert end.trace.passes == tuple(p for event in found if isinstance(event, Passes) for p in event.passes)


def test_visitors_who_share_passes_get_their_own_answers(served: Sessions) -> None:
    words = ["the cat", "one two three", "the dog sat on the log", "ten", "four five", "the mat"]
    asked = [request(i, word, block_size=2 + i % 3, threshold=[1.0, 0.2][i % 2]) for i, word in enumerate(words)]
    engine: Any = served.model.engine
    gate = threading.Event()

    async def all_at_once() -> list[list[Event]]:
        engine.call(lambda _: gate.wait(120))
        runs = [asyncio.create_task(collect(served, one, f"visitor {i}")) for i, one in enumerate(asked)]
        await until(lambda: sum(engine.load) == len(words))
        gate.set()
        return await asyncio.gather(*runs)

    for one, found in zip(asked, asyncio.run(all_at_once()), strict=True):
        alone = sdlm_core.decode(served.model.lm, one.messages, one.configs[0])
        assert tokens(found) == ends(found)[-1].trace.token_ids == alone.token_ids
        assert ends(found)[-1].shared_pass


def test_those_who_wait_know_their_place(stepped: Stepped) -> None:
    made, engine = stepped(2, 5)

    async def crowd() -> list[list[Event]]:
        engine.free = False
        first = [asyncio.create_task(collect(made, request(i, max_new_tokens=30 + 4 * i))) for i in (0, 1)]
        await until(lambda: engine.load[1] == 2)
        engine.step()
        others = [asyncio.create_task(collect(made, request(i, max_new_tokens=12))) for i in (2, 3, 4)]
        await until(lambda: all(made.texts(run_id(i)) for i in (2, 3, 4)))
        engine.free = True
        return await asyncio.gather(*first, *others)

    found = asyncio.run(crowd())
    assert max(engine.sizes) == 2
    for place, own in zip([0, 0, 1, 2, 3], found, strict=True):
        positions = [event.position for event in own if isinstance(event, Waiting)]
        assert max(positions, default=0) == place
        assert positions == sorted(positions, reverse=True)
        assert isinstance(own[-1], End)


def test_a_run_that_waits_for_longer_than_a_pass_knows_it_even_where_there_is_a_row(
    stepped: Stepped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine may hold a run back for the memory of its cache."""
    made, engine = stepped()
    engine.free = False

    async def held_back() -> list[Event]:
        task = asyncio.create_task(collect(made, request(1, max_new_tokens=1)))
        await until(lambda: engine.load[1] == 1)
        assert made.texts(run_id(1)) == [], "it may be its turn at any moment"
        monkeypatch.setattr(page_run, "PASS_SECONDS", 0)
        await until(lambda: made.texts(run_id(1)))
        engine.free = True
        return await task

    found = asyncio.run(held_back())
    assert found[0] == Waiting(1, "ready")
    assert kinds(found[1:]) == ["Start", "Passes", "End"]


def test_a_page_that_closes_ends_its_run_and_frees_its_row(stepped: Stepped) -> None:
    made, engine = stepped(1, 1)

    async def leave_early() -> None:
        following = made.follow(request(1), "me")
        async for fresh in following:
            if any(isinstance(event, Passes) for event in fresh):
                break
        engine.free = False
        other = asyncio.create_task(collect(made, request(2, max_new_tokens=4), "other"))
        await until(lambda: made.texts(run_id(2)))
        passes = len(engine.sizes)
        await following.aclose()
        engine.free = True
        found = await other
        assert found[0] == Waiting(1, "ready")
        assert len(tokens(found)) == 4
        assert len(engine.sizes) == passes + 4, "none for the page that went"

    asyncio.run(leave_early())


@pytest.mark.parametrize("how", ["stop", "end the session"])
def test_stopping(stepped: Stepped, how: str) -> None:
    made, engine = stepped()

    async def stop_early() -> list[Event]:
        engine.free = False
        task = asyncio.create_task(collect(made, request(1), "me"))
        await until(lambda: engine.load[1] == 1)
        engine.step(5)
        made.stop(run_id(2))  # somebody else's, or nobody's
        made.end_session("someone else")
        await until(lambda: len(made.texts(run_id(1))) == 6)
        assert not engine.running[0].cancelled
        made.stop(run_id(1)) if how == "stop" else made.end_session("me")
        assert engine.running[0].cancelled
        engine.step()
        return await task

    found = asyncio.run(stop_early())
    end = ends(found)[-1]
    assert end.last
    assert end.trace.finish_reason == "cancelled"
    assert tokens(found) == end.trace.token_ids
    assert len(tokens(found)) == 5


def test_the_real_engine_stops_too(served: Sessions) -> None:
    async def stop_early() -> list[Event]:
        task = asyncio.create_task(collect(served, request(1, max_new_tokens=150)))
        await until(lambda: len(served.texts(run_id(1))) > 1)
        served.stop(run_id(1))
        return await task

    found = asyncio.run(stop_early())
    assert tokens(found) == ends(found)[-1].trace.token_ids
    assert ends(found)[-1].last


def test_stopping_before_the_turn_has_come(stepped: Stepped) -> None:
    made, engine = stepped(1, 4)

    async def stop_in_line() -> list[Event]:
        engine.free = False
        first = asyncio.create_task(collect(made, request(1)))
        await until(lambda: engine.load[1] == 1)
        engine.step()
        second = asyncio.create_task(collect(made, request(2)))
        await until(lambda: made.texts(run_id(2)))
        made.stop(run_id(2))
        found = await second
        assert not first.done()
        engine.free = True
        await first
        return found

    assert asyncio.run(stop_in_line()) == [Waiting(1, "ready"), Failed("Stopped before it began.")]


def test_one_visitor_does_not_take_all_places(stepped: Stepped) -> None:
    made, engine = stepped()

    async def greedy() -> None:
        engine.free = False
        most = limits.MAX_RUNS_PER_SESSION
        own = [asyncio.create_task(collect(made, request(i), "greedy")) for i in range(most)]
        await until(lambda: engine.load[1] == most)
        with pytest.raises(SDLMError, match="4 of your runs are in progress already"):
            await collect(made, request(50), "greedy")
        engine.free = True
        assert isinstance((await collect(made, request(51, max_new_tokens=5), "modest"))[-1], End)
        made.end_session("greedy")
        await asyncio.gather(*own)
        assert isinstance((await collect(made, request(52, max_new_tokens=5), "greedy"))[-1], End)

    asyncio.run(greedy())


def test_a_race_decodes_three_runs_one_after_another(stepped: Stepped) -> None:
    made, engine = stepped()
    found = asyncio.run(collect(made, request(1, race=True)))
    assert [event.lane for event in found if isinstance(event, Start)] == [0, 1, 2]
    assert [(end.lane, end.last, end.shared_pass) for end in ends(found)] == [
        (0, False, False), (1, False, False), (2, True, False)
    ]  # fmt: skip
    assert [end.trace.config.algorithm for end in ends(found)] == list(limits.RACE)
    assert max(engine.sizes) == 1


def test_a_race_that_has_begun_is_not_turned_away(stepped: Stepped) -> None:
    made, engine = stepped(1, 2)

    async def crowd() -> list[list[Event]]:
        engine.free = False
        race = asyncio.create_task(collect(made, request(1, race=True, max_new_tokens=8)))
        await until(lambda: engine.load[1] == 1)
        others = [asyncio.create_task(collect(made, request(i), f"visitor {i}")) for i in (2, 3)]
        await until(lambda: sum(made.model.line.load) == 3)
        with pytest.raises(SDLMError, match="2 runs are waiting"):  # the race and both others take all places
            await collect(made, request(4))
        engine.free = True
        return await asyncio.gather(race, *others)

    race, *others = asyncio.run(crowd())
    assert [end.lane for end in ends(race)] == [0, 1, 2]
    assert all(isinstance(own[-1], End) for own in others)
    assert not any(end.shared_pass for end in ends(race)), "its place is its own until it ends"
    alone = asyncio.run(collect(made, request(5)))
    assert not ends(alone)[-1].shared_pass, "and there is room again"


def test_a_race_stopped_between_two_lanes_ends_as_stopped(stepped: Stepped) -> None:
    made, engine = stepped(1, 4)

    async def stop_second_lane() -> list[Event]:
        engine.free = False
        race = asyncio.create_task(collect(made, request(1, race=True, max_new_tokens=4)))
        await until(lambda: engine.load[1] == 1)
        engine.step(5)
        await until(lambda: '"end"' in "".join(made.texts(run_id(1))))
        made.stop(run_id(1))
        return await race

    end = ends(asyncio.run(stop_second_lane()))[-1]
    assert (end.lane, end.last, end.trace.finish_reason) == (1, True, "cancelled")


def test_where_nobody_shares_a_gpu_nobody_shares_a_pass(stepped: Stepped) -> None:
    made, engine = stepped()
    engine.shares = False  # type: ignore[misc]

    async def both() -> list[list[Event]]:
        return await asyncio.gather(*(collect(made, request(i)) for i in (1, 2)))

    assert [ends(found)[-1].shared_pass for found in asyncio.run(both())] == [False, False]


def test_mistakes_and_crashes_become_sentences(stepped: Stepped) -> None:
    made, engine = stepped()

    async def crowd() -> list[list[Event]]:
        engine.free = False
        fine = asyncio.create_task(collect(made, request(1), "someone"))
        await until(lambda: engine.load[1] == 1)
        engine.free = True
        return [await collect(made, request(2, "break it")), await collect(made, request(3, "cat " * 400)), await fine]

    broken, long, fine = asyncio.run(crowd())
    assert broken == [Failed("The model failed on this prompt (ZeroDivisionError). The server's log says more.")]
    assert isinstance(long[-1], Failed)
    assert kinds(long) == ["Failed"]
    assert "Shorten the prompt" in long[-1].message
    assert len(tokens(fine)) == TOKENS, "one run's failure is not another's"


def test_an_id_is_used_once(stepped: Stepped) -> None:
    made, _ = stepped()
    asyncio.run(collect(made, request(1)))
    with pytest.raises(SDLMError, match="asked for before"):
        asyncio.run(collect(made, request(1)))


def test_an_answer_is_read_back_between_passes(served: Sessions) -> None:
    asked = request(1)
    lm = served.model.lm

    async def read() -> float | None:
        busy = asyncio.create_task(collect(served, request(2, max_new_tokens=100)))
        await until(lambda: served.texts(run_id(2)))
        found = await served.model.log_likelihood(asked.messages, [20, 21, 22])
        await busy
        return found

    reading = log_likelihoods(lm, [(lm.encode(asked.messages)[1], [20, 21, 22])])[0]
    assert asyncio.run(read()) == pytest.approx(sum(x for x, _ in reading) / 3, rel=1e-4)
    assert asyncio.run(served.model.log_likelihood(asked.messages, [])) is None
