"""ZeroGPU, by a stand-in for `spaces` that does what matters here: each call in a forked process, values pickled."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import multiprocessing
import os
import runpy
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch
from gradio.context import LocalContext

import sdlm_core
from app import limits, runs
from sdlm_core import SDLMError
from sdlm_core.evaluate.likelihood import log_likelihoods
from tests.app.test_runs import request, tokens, told, until

FORK = multiprocessing.get_context("fork")


class Spaces(types.ModuleType):
    """`spaces`, as far as it is used. The forked process decodes on this machine's CPU."""

    def __init__(self) -> None:
        super().__init__("spaces")
        self.quota = 10_000.0  # seconds left
        self.decorated: list[Any] = []
        self.asked: list[float] = []
        self.visitors: list[Any] = []
        self.lent = threading.Event()  # whether there is a GPU to be had
        self.lent.set()
        self.passes = FORK.Value("i", 0)
        self.at_work = FORK.Value("i", 0)

    def GPU(self, duration: Any) -> Callable[[Any], Any]:
        def decorate(task: Any) -> Any:
            self.decorated.append(task)

            def values(*args: Any) -> Iterator[Any]:
                seconds = duration(*args) if callable(duration) else duration
                self.asked.append(seconds)
                self.visitors.append(LocalContext.request.get(None))
                if seconds > self.quota:
                    raise gr.Error("You have exceeded your GPU quota. <b>Sign up</b>")
                self.lent.wait(10)
                results, stop = FORK.SimpleQueue(), FORK.Event()
                process = FORK.Process(target=self._work, args=(task, args, results, stop), daemon=True)
                process.start()
                try:
                    while (result := results.get())[0] != "end":
                        if result[0] == "error":
                            raise gr.Error(result[1])
                        yield result[1]
                finally:
                    stop.set()
                    process.join(10)

            return values if inspect.isgeneratorfunction(task) else lambda *args: next(values(*args))

        return decorate

    def _work(self, task: Any, args: Any, results: Any, stop: Any) -> None:
        torch.set_num_threads(1)  # OpenMP's threads do not survive a fork
        self.at_work.value += 1
        try:
            made = task(*args)
            for value in made if hasattr(made, "__next__") else [made]:
                self.passes.value += 1
                if stop.is_set():
                    break
                results.put(("value", value))
                time.sleep(0.005)
        except Exception as error:
            results.put(("error", type(error).__name__))
        self.at_work.value -= 1
        results.put(("end", None))
        os._exit(0)


@pytest.fixture
def spaces(monkeypatch: pytest.MonkeyPatch) -> Spaces:
    made = Spaces()
    monkeypatch.setitem(sys.modules, "spaces", made)
    monkeypatch.setattr(runs, "HEARTBEAT_SECONDS", 0.02)
    return made


@pytest.fixture(autouse=True)
def fresh_module() -> Iterator[None]:
    """`app.zero` anew for each test, since it is imported under a stand-in."""
    sys.modules.pop("app.zero", None)
    yield
    sys.modules.pop("app.zero", None)


@pytest.fixture
def house(spaces: Spaces, load: Callable[..., sdlm_core.LanguageModel]) -> Iterator[runs.House]:
    zero = importlib.import_module("app.zero")
    lm = load(kind="qwen2", tied=False, causal_attn=True)
    made = runs.House(lambda: lm, zero.ZeroEngine)
    made.load()
    yield made
    made.close()


def test_a_run_is_told_whole_and_in_order(house: runs.House) -> None:
    for n, changes in enumerate(({}, {"temperature": 0.8, "seed": 3}, {"algorithm": "self_speculative"})):
        wish = request(n, **changes)
        messages = asyncio.run(told(house, wish))
        trace = sdlm_core.decode(house.lm, wish.messages, wish.configs[0])
        assert [m["kind"] for m in messages if m["kind"] != "waiting"] == [
            "start",
            *["passes"] * len(trace.passes),
            "end",
        ]
        assert tokens(messages) == messages[-1]["tail"]["token_ids"] == trace.token_ids
        assert messages[-1]["tail"]["text"] == trace.text
        assert messages[-1]["tail"]["finish_reason"] == trace.finish_reason
    assert house.status()["state"] == "ready"
    assert house._engine.load[1] == 0


def test_a_race_and_other_visitors_at_the_same_time(house: runs.House) -> None:
    async def scenario() -> list[list[dict[str, Any]]]:
        return await asyncio.gather(told(house, request(1, race=True)), *(told(house, request(n)) for n in (2, 3)))

    race, *others = asyncio.run(scenario())
    assert [m["lane"] for m in race if m["kind"] == "end"] == [0, 1, 2]
    assert [m[-1]["kind"] for m in others] == ["end", "end"]
    assert tokens(others[0]) == tokens(others[1])


def test_stopping_and_leaving_free_the_gpu_within_a_pass(house: runs.House, spaces: Spaces) -> None:
    wish = request(1, max_new_tokens=400)

    async def scenario() -> list[dict[str, Any]]:
        story = asyncio.create_task(told(house, wish))
        await until(lambda: spaces.passes.value >= 3)
        house.stop(wish.run_id)
        messages = await story
        await until(lambda: spaces.at_work.value == 0)
        return messages

    messages = asyncio.run(scenario())
    assert messages[-1]["tail"]["finish_reason"] == "cancelled"
    assert messages[-1]["tail"]["token_ids"] == tokens(messages)
    assert messages[-1]["tail"]["text"]
    assert spaces.passes.value < 100


def test_who_waits_for_a_gpu_is_told_so_and_may_give_up(
    house: runs.House, spaces: Spaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PASS_SECONDS", 0.05)
    spaces.lent.clear()
    wish = request(1)

    async def scenario() -> list[dict[str, Any]]:
        story = asyncio.create_task(told(house, wish))
        await until(lambda: house._engine.load[1] == 1)
        await asyncio.sleep(0.2)
        house.stop(wish.run_id)
        messages = await story
        spaces.lent.set()
        await until(lambda: house._engine.load[1] == 0)
        return messages

    messages = asyncio.run(scenario())
    assert messages[0] == {"kind": "waiting", "position": 1, "model": "ready"}
    assert [m["kind"] for m in messages[1:]] == ["failed"]
    assert "Stopped before it began" in messages[-1]["message"]
    assert spaces.passes.value <= 2


def test_stopping_between_the_lanes_of_a_race_does_not_wait_for_a_gpu(house: runs.House, spaces: Spaces) -> None:
    wish = request(1, race=True)

    async def scenario() -> list[dict[str, Any]]:
        story = asyncio.create_task(told(house, wish))
        await until(lambda: spaces.passes.value >= 3)
        spaces.lent.clear()
        await until(lambda: len(spaces.asked) == 2)
        house.stop(wish.run_id)
        messages = await story
        assert not spaces.lent.is_set()
        spaces.lent.set()
        return messages

    messages = asyncio.run(scenario())
    assert [m["tail"]["finish_reason"] for m in messages if m["kind"] == "end"] == ["length", "cancelled"]


def test_given_up_runs_that_still_wait_for_a_gpu_are_bounded(
    house: runs.House, spaces: Spaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["app.zero"], "MOST_RUNS", 2)
    spaces.lent.clear()

    async def scenario() -> dict[str, Any]:
        for n in range(2):
            story = asyncio.create_task(told(house, request(n)))
            await until(lambda n=n: len(spaces.asked) == n + 1)  # type: ignore[misc]
            house.stop(f"{n:032x}")
            await story
        refused = (await told(house, request(2)))[-1]
        spaces.lent.set()
        await until(lambda: house._engine.load[1] == 0)
        return refused

    assert "Too many runs are waiting for a GPU" in asyncio.run(scenario())["message"]


def test_a_reading_that_nobody_waits_for_asks_for_no_gpu(house: runs.House, spaces: Spaces) -> None:
    engine: Any = house._engine
    started: list[Any] = []
    engine._start = lambda work, *args: started.append(work)
    engine.call(abs).cancel()
    started[0]()
    assert not spaces.asked


def test_a_scheduler_that_fails_is_not_the_prompts_fault(house: runs.House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ConnectionError("no route to host")
        yield

    monkeypatch.setattr(house._engine, "_decode", broken)
    message = asyncio.run(told(house, request(1)))[-1]["message"]
    assert message == "ZeroGPU gave this run no GPU. Please try again in a minute."


def test_a_used_up_quota_is_a_sentence(house: runs.House, spaces: Spaces) -> None:
    spaces.quota = 11.0
    short, long = request(1, max_new_tokens=20), request(2, max_new_tokens=1000)
    assert asyncio.run(told(house, long))[-1] == {
        "kind": "failed",
        "message": "ZeroGPU: You have exceeded your GPU quota. <b>Sign up</b>",
    }
    assert asyncio.run(told(house, short))[-1]["kind"] == "end"
    assert spaces.asked == [60, 11]


def test_what_cannot_be_decoded_never_asks_for_a_gpu(house: runs.House, spaces: Spaces) -> None:
    messages = asyncio.run(told(house, request(1, content="word " * 700)))
    assert messages[-1]["kind"] == "failed"
    assert "Shorten the prompt" in messages[-1]["message"]
    assert not spaces.asked


def test_errors_where_the_gpu_is_come_back_as_sentences(house: runs.House, monkeypatch: pytest.MonkeyPatch) -> None:
    from sdlm_core import decoding

    def refuse(*_: Any) -> None:
        raise SDLMError("There is no room.")

    monkeypatch.setattr(decoding, "forward_rows", refuse)
    assert asyncio.run(told(house, request(1)))[-1] == {"kind": "failed", "message": "There is no room."}
    monkeypatch.setattr(decoding, "forward_rows", lambda *_: 1 // 0)
    assert asyncio.run(told(house, request(2)))[-1] == {"kind": "failed", "message": "ZeroGPU: ZeroDivisionError"}


def test_the_quota_is_the_visitors(house: runs.House, spaces: Spaces) -> None:
    async def ask(n: int, visitor: str) -> None:
        LocalContext.request.set(visitor)  # as Gradio does before each step of an event
        await told(house, request(n))

    async def scenario() -> None:
        await asyncio.gather(ask(1, "Ada"), ask(2, "Alan"))

    asyncio.run(scenario())
    assert sorted(spaces.visitors) == ["Ada", "Alan"]


def test_an_answer_is_read_back(house: runs.House) -> None:
    wish = request(1)
    token_ids = asyncio.run(told(house, wish))[-1]["tail"]["token_ids"]
    found = asyncio.run(house.log_likelihood(wish.messages, token_ids))
    scores = [x for x, _ in log_likelihoods(house.lm, [(house.lm.encode(wish.messages)[1], token_ids)])[0]]
    assert found == pytest.approx(sum(scores) / len(scores))


def test_the_app_has_its_model_before_the_page_is_launched(spaces: Spaces, monkeypatch: pytest.MonkeyPatch) -> None:
    main = runpy.run_path(str(Path(__file__).parents[2] / "app.py"))["main"]
    thread, done = threading.current_thread(), []

    def load_model(*_: Any, **__: Any) -> types.SimpleNamespace:
        assert threading.current_thread() is thread, "the stand-in for a GPU is there on one thread only"
        done.append("load")
        return types.SimpleNamespace(name="a model", block_size=4, description="a GPU")

    def launch(*_: Any, **__: Any) -> tuple[None, str, None]:
        assert len(spaces.decorated) == 2, "ZeroGPU wants to know its functions when the page is launched"
        done.append("launch")
        return None, "", None

    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setattr(sdlm_core, "load_model", load_model)
    monkeypatch.setattr(gr.Blocks, "launch", launch)
    monkeypatch.setattr(gr.Blocks, "block_thread", lambda _: None)
    main([])
    assert done == ["load", "launch"]


def test_limits_ask_for_no_more_gpu_time_than_a_minute_or_so(house: runs.House) -> None:
    from app import zero

    longest = request(1, max_new_tokens=limits.MAX_NEW_TOKENS).configs[0]
    assert zero.gpu_seconds([], longest) <= 65
