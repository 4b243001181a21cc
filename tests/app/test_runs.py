"""The house: whose turn it is, what a page is told, and when decoding ends. The engine and its tiny model are real."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import sdlm_core
from app import limits, runs
from sdlm_core import SDLMError
from sdlm_core.evaluate.likelihood import log_likelihoods
from tests.app.conftest import Passes

TOKENS = 40  # of every answer here, and as many passes
SETTINGS = {"algorithm": "prob_conf", "block_size": 4, "threshold": 1.0, "max_new_tokens": TOKENS}


def request(n: int, content: str = "the cat", race: bool = False, **changes: Any) -> limits.Request:
    data = {"run": f"{n:032x}", "messages": [{"role": "user", "content": content}], "settings": SETTINGS | changes}
    return limits.parse_request(data, race)


async def told(house: runs.House, wish: limits.Request, owner: str = "") -> list[dict[str, Any]]:
    """All messages of a run, as a page would put them together; without an owner, someone who asks nothing else."""
    seen: dict[int, str] = {}
    async for messages in house.follow(wish, owner or wish.run_id):
        seen |= messages
    assert sorted(seen) == list(range(len(seen)))
    return [json.loads(seen[n]) for n in sorted(seen)]


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.002)


def tokens(story: list[dict[str, Any]]) -> list[int]:
    """What the accepted candidates of a story's passes add up to."""
    told_passes = [p for m in story if m["kind"] == "passes" for p in m["passes"]]
    assert [p["index"] for p in told_passes] == list(range(len(told_passes)))
    return [c["token_id"] for p in told_passes for c in p["candidates"][: p["accepted"]]]


def test_a_run_is_told_whole_and_in_order(house: runs.House) -> None:
    wish = request(1)
    messages = asyncio.run(told(house, wish))
    trace = sdlm_core.decode(house.lm, wish.messages, wish.configs[0])
    assert [m["kind"] for m in messages] == ["start", *["passes"] * len(trace.passes), "end"]
    assert tokens(messages) == messages[-1]["tail"]["token_ids"] == trace.token_ids
    assert messages[-1]["tail"] == {"text": trace.text, "token_ids": trace.token_ids, "finish_reason": "length"}
    head = messages[0]["head"]
    assert (head["prompt"], head["prompt_tokens"], head["token_ids"]) == (trace.prompt, trace.prompt_tokens, [])
    assert len(trace.token_ids) == TOKENS


def test_a_pass_fits_the_wire(house: runs.House) -> None:
    messages = asyncio.run(told(house, request(1, block_size=8)))
    sizes = [len(json.dumps(json.dumps(m))) for m in messages if m["kind"] == "passes"]
    assert max(sizes) <= 6144


def test_visitors_share_forward_passes_and_get_their_own_answers(house: runs.House, passes: Passes) -> None:
    words = ["the cat", "one two three", "the dog sat on the log", "ten", "four five", "the mat"]
    wishes = [request(i, word, block_size=2 + i % 3, threshold=[1.0, 0.2][i % 2]) for i, word in enumerate(words)]

    async def crowd() -> list[list[dict[str, Any]]]:
        return await asyncio.gather(*(told(house, wish, f"visitor {i}") for i, wish in enumerate(wishes)))

    stories = asyncio.run(crowd())
    assert max(passes.sizes) == len(words)
    assert passes.made < 2 * TOKENS
    for wish, story in zip(wishes, stories, strict=True):
        alone = sdlm_core.decode(house.lm, wish.messages, wish.configs[0])
        assert tokens(story) == story[-1]["tail"]["token_ids"] == alone.token_ids
        assert story[-1]["company"] is True
        assert "waiting" not in [m["kind"] for m in story], "there was room for all"


def test_those_who_wait_hear_their_place(narrow: Callable[[int, int], runs.House], passes: Passes) -> None:
    house = narrow(2, 5)

    async def crowd() -> list[list[dict[str, Any]]]:
        first = [asyncio.create_task(told(house, request(i, max_new_tokens=30 + 4 * i))) for i in (0, 1)]
        await until(lambda: max(passes.sizes, default=0) == 2)
        others = [asyncio.create_task(told(house, request(i, max_new_tokens=12))) for i in (2, 3, 4)]
        return await asyncio.gather(*first, *others)

    stories = asyncio.run(crowd())
    assert max(passes.sizes) == 2
    for place, story in zip([0, 0, 1, 2, 3], stories, strict=True):
        positions = [m["position"] for m in story if m["kind"] == "waiting"]
        assert max(positions, default=0) == place
        assert positions == sorted(positions, reverse=True)
        assert story[-1]["kind"] == "end"


def test_who_waits_for_more_than_a_pass_hears_it_even_where_there_is_a_row(
    house: runs.House, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine may hold someone back for the memory of their cache; here a long pass does."""
    monkeypatch.setattr(runs, "PASS_SECONDS", 0.05)
    passes.free.clear()

    async def two() -> list[dict[str, Any]]:
        first = asyncio.create_task(told(house, request(1, max_new_tokens=2)))
        await until(passes.entered.is_set)
        second = asyncio.create_task(told(house, request(2, max_new_tokens=1), "other"))
        await until(lambda: house.missed(f"{2:032x}", 0) != [])
        passes.free.set()
        await first
        return await second

    story = asyncio.run(two())
    assert story[0] == {"kind": "waiting", "position": 1, "model": "ready"}
    assert [m["kind"] for m in story[1:]] == ["start", "passes", "end"]


def test_a_closed_page_ends_its_run_within_a_pass_and_frees_its_row(
    narrow: Callable[[int, int], runs.House], passes: Passes
) -> None:
    house = narrow(1, 1)

    async def leave_early() -> None:
        following: Any = house.follow(request(1), "me")
        async for messages in following:
            if any('"passes"' in text for text in messages.values()):
                break
        other = asyncio.create_task(told(house, request(2, max_new_tokens=4), "other"))
        await until(lambda: house.missed(f"{2:032x}", 0) != [])
        made = passes.made
        await following.aclose()
        story = await other
        assert story[0] == {"kind": "waiting", "position": 1, "model": "ready"}
        assert len(tokens(story)) == 4
        assert passes.made <= made + 1 + 4, "the pass in hand was the last one of the page that went"

    asyncio.run(leave_early())
    assert passes.made < TOKENS


@pytest.mark.parametrize("how", ["stop", "leave"])
def test_stopping(house: runs.House, passes: Passes, how: str) -> None:
    async def stop_early() -> list[dict[str, Any]]:
        task = asyncio.create_task(told(house, request(1), "me"))
        await until(lambda: passes.made >= 5)
        house.stop(f"{2:032x}")  # somebody else's, or nobody's
        house.leave("someone else")
        made = passes.made
        house.stop(f"{1:032x}") if how == "stop" else house.leave("me")
        story = await task
        assert passes.made <= made + 2
        return story

    messages = asyncio.run(stop_early())
    assert (messages[-1]["kind"], messages[-1]["last"]) == ("end", True)
    assert messages[-1]["tail"]["finish_reason"] == "cancelled"
    assert tokens(messages) == messages[-1]["tail"]["token_ids"]
    assert 5 <= len(tokens(messages)) < TOKENS


def test_stopping_before_the_turn_has_come(narrow: Callable[[int, int], runs.House]) -> None:
    house = narrow(1, 4)

    async def stop_in_line() -> list[dict[str, Any]]:
        first = asyncio.create_task(told(house, request(1)))
        second = asyncio.create_task(told(house, request(2)))
        await until(lambda: house.missed(f"{2:032x}", 0) != [])
        house.stop(f"{2:032x}")
        story = await second
        assert not first.done()
        await first
        return story

    messages = asyncio.run(stop_in_line())
    assert [m["kind"] for m in messages] == ["waiting", "failed"]
    assert messages[-1]["message"] == "Stopped before it began."


def test_one_visitor_does_not_take_all_places(house: runs.House) -> None:
    async def greedy() -> None:
        own = [asyncio.create_task(told(house, request(i, max_new_tokens=200), "greedy")) for i in range(runs.MAX_OWN)]
        await asyncio.sleep(0.01)
        with pytest.raises(SDLMError, match="4 of your runs are going on already"):
            await told(house, request(50), "greedy")
        assert (await told(house, request(51, max_new_tokens=5), "modest"))[-1]["kind"] == "end"
        house.leave("greedy")
        await asyncio.gather(*own)
        assert (await told(house, request(52, max_new_tokens=5), "greedy"))[-1]["kind"] == "end"

    asyncio.run(greedy())


def test_a_race_decodes_three_runs_one_after_another(house: runs.House, passes: Passes) -> None:
    messages = asyncio.run(told(house, request(1, race=True)))
    assert [m["lane"] for m in messages if m["kind"] == "start"] == [0, 1, 2]
    assert [(m["last"], m["company"]) for m in messages if m["kind"] == "end"] == [
        (False, False), (False, False), (True, False)
    ]  # fmt: skip
    assert max(passes.sizes) == 1, "alone in the house, each lane has the machine to itself"


def test_a_race_that_has_begun_is_not_turned_away(narrow: Callable[[int, int], runs.House]) -> None:
    house = narrow(1, 2)

    async def crowd() -> list[list[dict[str, Any]]]:
        race = asyncio.create_task(told(house, request(1, race=True, max_new_tokens=8)))
        await asyncio.sleep(0.01)
        others = [asyncio.create_task(told(house, request(i), f"visitor {i}")) for i in (2, 3)]
        await asyncio.sleep(0.01)
        with pytest.raises(SDLMError, match="2 runs are waiting"):  # the house is full: the race and both others
            await told(house, request(4))
        return await asyncio.gather(race, *others)

    stories = asyncio.run(crowd())
    assert [m["lane"] for m in stories[0] if m["kind"] == "end"] == [0, 1, 2]
    assert all(story[-1]["kind"] == "end" for story in stories)
    assert next(m["company"] for m in stories[0] if m["kind"] == "end") is True
    assert asyncio.run(told(house, request(5)))[-1]["company"] is False, "and there is room again"


def test_a_race_stopped_between_two_lanes_ends_as_stopped(narrow: Callable[[int, int], runs.House]) -> None:
    house = narrow(1, 4)

    async def stop_second_lane() -> list[dict[str, Any]]:
        race = asyncio.create_task(told(house, request(1, race=True, max_new_tokens=4)))
        await asyncio.sleep(0)
        other = asyncio.create_task(told(house, request(2)))
        await until(lambda: any('"end"' in text for text in house.missed(f"{1:032x}", 0)))
        house.stop(f"{1:032x}")
        await other
        return await race

    messages = asyncio.run(stop_second_lane())
    assert [(m["lane"], m["last"]) for m in messages if m["kind"] == "end"][-1][1] is True
    assert messages[-1]["tail"]["finish_reason"] == "cancelled"


def test_what_was_missed_can_be_asked_for(house: runs.House) -> None:
    messages = asyncio.run(told(house, request(7)))
    assert [json.loads(m) for m in house.missed(f"{7:032x}", 3)] == messages[3:]
    assert house.missed(f"{8:032x}", 0) == []


def test_only_so_many_finished_runs_are_kept(house: runs.House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEEP_RUNS", 2)
    for n in range(4):
        asyncio.run(told(house, request(n, max_new_tokens=1)))
    assert [bool(house.missed(f"{n:032x}", 0)) for n in range(4)] == [False, True, True, True]


def test_nor_more_than_fit_the_memory(house: runs.House, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(told(house, request(0)))
    monkeypatch.setattr(runs, "KEEP_BYTES", int(2.5 * sum(map(sys.getsizeof, house.missed(f"{0:032x}", 0)))))
    for n in range(1, 5):
        asyncio.run(told(house, request(n)))
    assert [bool(house.missed(f"{n:032x}", 0)) for n in range(5)] == [False, False, True, True, True]


def test_what_a_message_takes_is_counted_in_bytes() -> None:
    """Python keeps a text with one emoji in it at four bytes a character."""
    loop = asyncio.new_event_loop()
    plain, wide = (runs.Feed(request(n), "me", loop) for n in range(2))
    plain.say({"text": "a" * 10_000})
    wide.say({"text": "a" * 9_999 + "😀"})
    loop.close()
    assert 10_000 < plain.size < 11_000
    assert 40_000 < wide.size < 41_000


def test_the_newest_answer_of_a_session(house: runs.House) -> None:
    async def ask(n: int, owner: str, **changes: Any) -> list[dict[str, Any]]:
        return await told(house, request(n, **changes), owner)

    assert house.latest("me") == []
    asyncio.run(ask(1, "me", max_new_tokens=3))
    mine = asyncio.run(ask(2, "me", max_new_tokens=4))
    asyncio.run(ask(3, "me", max_new_tokens=2, race=True))
    asyncio.run(ask(4, "other", max_new_tokens=2))
    asyncio.run(ask(5, "me", content="break it"))
    assert [json.loads(text) for text in house.latest("me")] == mine


def test_mistakes_and_crashes_are_told_as_sentences(house: runs.House) -> None:
    async def crowd() -> list[list[dict[str, Any]]]:
        fine = asyncio.create_task(told(house, request(1), "someone"))
        await asyncio.sleep(0.03)
        return [await told(house, request(2, "break it")), await told(house, request(3, "cat " * 400)), await fine]

    broken, long, fine = asyncio.run(crowd())
    assert broken[-1]["kind"] == "failed"
    assert "ZeroDivisionError" in broken[-1]["message"]
    assert "secret" not in json.dumps(broken)
    assert long == [long[-1]]
    assert long[-1]["kind"] == "failed"
    assert "Shorten the prompt" in long[-1]["message"]
    assert len(tokens(fine)) == TOKENS, "nobody's trouble is another's"


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
    house.close()


def test_who_asks_while_the_model_loads_waits_in_order(
    passes: Passes, lm: sdlm_core.LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MAX_RUNS", 1)
    gate = threading.Event()
    house = runs.House(lambda: gate.wait(5) and lm)
    house.open()

    async def crowd() -> list[list[dict[str, Any]]]:
        tasks = [asyncio.create_task(told(house, request(i, max_new_tokens=4))) for i in range(4)]
        await asyncio.sleep(0.05)
        house.stop(f"{3:032x}")
        await tasks[3]
        gate.set()
        return await asyncio.gather(*tasks)

    stories = asyncio.run(crowd())
    assert [story[0]["position"] for story in stories] == [0, 1, 2, 3]
    assert [story[-1]["kind"] for story in stories] == ["end"] * 3 + ["failed"]
    house.close()


def test_closing_the_house_ends_its_runs(house: runs.House, passes: Passes) -> None:
    async def close() -> list[dict[str, Any]]:
        task = asyncio.create_task(told(house, request(1)))
        await until(lambda: passes.made >= 3)
        house.close()
        return await task

    assert asyncio.run(close())[-1]["tail"]["finish_reason"] == "cancelled"
    assert "closed" in asyncio.run(told(house, request(2)))[-1]["message"]


def test_an_id_is_used_once(house: runs.House) -> None:
    asyncio.run(told(house, request(1)))
    with pytest.raises(SDLMError, match="asked for before"):
        asyncio.run(told(house, request(1)))


def test_an_answer_is_read_back_between_passes(house: runs.House) -> None:
    wish = request(1)

    async def read() -> float | None:
        busy = asyncio.create_task(told(house, request(2)))
        await asyncio.sleep(0.02)
        found = await house.log_likelihood(wish.messages, [20, 21, 22])
        assert not busy.done()
        await busy
        return found

    reading = log_likelihoods(house.lm, [(house.lm.encode(wish.messages)[1], [20, 21, 22])])[0]
    assert asyncio.run(read()) == pytest.approx(sum(x for x, _ in reading) / 3, rel=1e-4)
    assert asyncio.run(house.log_likelihood(wish.messages, [])) is None
