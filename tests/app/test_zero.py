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
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch
from gradio.context import LocalContext

import sdlm_core
from app import limits, page_run
from app.events import End, Event, Failed, Waiting
from app.model import ServedModel
from app.sessions import Sessions
from sdlm_core import SDLMError
from sdlm_core.evaluate.likelihood import log_likelihoods
from tests.app.conftest import TOKENS, collect, kinds, request, run_id, tokens, until

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
        self.hold_after: int | None = None  # passes, of all runs together, after which each takes one of `permits`
        self.permits = FORK.Semaphore(0)
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
                self.lent.wait(120)
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
                    process.join(120)

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
                held = self.hold_after is not None and self.passes.value >= self.hold_after
                while held and not stop.is_set() and not self.permits.acquire(timeout=0.05):
                    pass
        except Exception as error:
            results.put(("error", type(error).__name__))
        self.at_work.value -= 1
        results.put(("end", None))
        os._exit(0)


@pytest.fixture
def spaces(monkeypatch: pytest.MonkeyPatch) -> Spaces:
    made = Spaces()
    monkeypatch.setitem(sys.modules, "spaces", made)
    return made


@pytest.fixture(autouse=True)
def fresh_module() -> Iterator[None]:
    """`app.zero` anew for each test, since it is imported under a stand-in."""
    sys.modules.pop("app.zero", None)
    yield
    sys.modules.pop("app.zero", None)


@pytest.fixture
def sessions(spaces: Spaces, lm: sdlm_core.LanguageModel) -> Iterator[Sessions]:
    zero = importlib.import_module("app.zero")
    model = ServedModel(lambda: lm, zero.ZeroEngine)
    model.load()
    yield Sessions(model)
    model.close()


def engine_of(sessions: Sessions) -> Any:
    return sessions.model.engine


def end_of(found: list[Event]) -> End:
    assert isinstance(found[-1], End)
    return found[-1]


def test_a_run_is_whole_and_in_order(sessions: Sessions) -> None:
    for n, changes in enumerate(({}, {"temperature": 0.8, "seed": 3}, {"algorithm": "self_speculative"})):
        asked = request(n, **changes)
        found = asyncio.run(collect(sessions, asked))
        trace = sdlm_core.decode(sessions.model.lm, asked.messages, asked.configs[0])
        made = end_of(found).trace
        assert kinds(found) == ["Start", *["Passes"] * len(trace.passes), "End"]
        assert tokens(found) == made.token_ids == trace.token_ids
        assert (made.text, made.finish_reason) == (trace.text, trace.finish_reason)
        assert len(made.passes) == len(trace.passes)
    assert sessions.model.status()["state"] == "ready"
    assert engine_of(sessions).load[1] == 0


def test_a_race_and_other_visitors_at_the_same_time(sessions: Sessions) -> None:
    async def scenario() -> list[list[Event]]:
        others = (collect(sessions, request(n)) for n in (2, 3))
        return await asyncio.gather(collect(sessions, request(1, race=True)), *others)

    race, *others = asyncio.run(scenario())
    assert [event.lane for event in race if isinstance(event, End)] == [0, 1, 2]
    assert tokens(others[0]) == tokens(others[1]) == end_of(others[0]).trace.token_ids
    assert not end_of(others[1]).shared_pass, "each has a GPU to itself"


def test_stopping_frees_the_gpu_within_a_pass(sessions: Sessions, spaces: Spaces) -> None:
    asked = request(1, max_new_tokens=200)
    spaces.hold_after = 3

    async def scenario() -> list[Event]:
        run = asyncio.create_task(collect(sessions, asked))
        await until(lambda: spaces.passes.value == 3)
        sessions.stop(asked.run_id)
        spaces.permits.release()
        found = await run
        await until(lambda: spaces.at_work.value == 0)
        return found

    found = asyncio.run(scenario())
    made = end_of(found).trace
    assert made.finish_reason == "cancelled"
    assert made.token_ids == tokens(found)
    assert made.text
    assert spaces.passes.value <= 5


def test_who_waits_for_a_gpu_knows_it_and_may_give_up(
    sessions: Sessions, spaces: Spaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_run, "PASS_SECONDS", 0)
    spaces.lent.clear()
    asked = request(1)

    async def scenario() -> list[Event]:
        run = asyncio.create_task(collect(sessions, asked))
        await until(lambda: sessions.texts(asked.run_id))
        sessions.stop(asked.run_id)
        found = await run
        spaces.lent.set()
        await until(lambda: engine_of(sessions).load[1] == 0)
        return found

    assert asyncio.run(scenario()) == [Waiting(1, "ready"), Failed("Stopped before it began.")]
    assert spaces.passes.value <= 2


def test_a_race_asks_for_a_gpu_once_and_stopping_it_returns_the_gpu(sessions: Sessions, spaces: Spaces) -> None:
    asked = request(1, race=True)
    spaces.hold_after = TOKENS + 3  # passes: the second lane has begun

    async def scenario() -> list[Event]:
        run = asyncio.create_task(collect(sessions, asked))
        await until(lambda: spaces.passes.value == TOKENS + 3)
        sessions.stop(asked.run_id)
        spaces.permits.release()
        found = await run
        await until(lambda: engine_of(sessions).load == (0, 0))
        return found

    found = asyncio.run(scenario())
    assert [e.trace.finish_reason for e in found if isinstance(e, End)] == ["length", "cancelled"]
    assert len(spaces.asked) == 1


def test_what_would_take_a_gpu_for_too_long_asks_again(
    sessions: Sessions, spaces: Spaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    zero = sys.modules["app.zero"]
    monkeypatch.setattr(zero, "SECONDS_PER_LAYER", zero.MOST_SECONDS / (3 * TOKENS))  # two layers: one lane in a call
    found = asyncio.run(collect(sessions, request(1, race=True)))
    assert [event.lane for event in found if isinstance(event, End)] == [0, 1, 2]
    assert len(spaces.asked) == 3
    assert max(spaces.asked) <= zero.MOST_SECONDS


def test_given_up_runs_that_still_wait_for_a_gpu_are_bounded(
    sessions: Sessions, spaces: Spaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["app.zero"], "MOST_RUNS", 2)
    spaces.lent.clear()

    async def scenario() -> Event:
        for n in range(2):
            run = asyncio.create_task(collect(sessions, request(n)))
            await until(lambda n=n: len(spaces.asked) == n + 1)  # type: ignore[misc]
            sessions.stop(run_id(n))
            await run
        refused = (await collect(sessions, request(2)))[-1]
        spaces.lent.set()
        await until(lambda: engine_of(sessions).load[1] == 0)
        return refused

    refused = asyncio.run(scenario())
    assert isinstance(refused, Failed)
    assert "Too many runs are waiting for a GPU" in refused.message


def test_a_reading_that_nobody_waits_for_asks_for_no_gpu(sessions: Sessions, spaces: Spaces) -> None:
    engine = engine_of(sessions)
    started: list[Any] = []
    engine._start = lambda work, *args: started.append(work)
    engine.call(abs).cancel()
    started[0]()
    assert not spaces.asked


def test_a_scheduler_that_fails_is_not_the_prompts_fault(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ConnectionError("no route to host")
        yield

    monkeypatch.setattr(engine_of(sessions), "_decode", broken)
    found = asyncio.run(collect(sessions, request(1)))
    assert found == [Failed("ZeroGPU gave this run no GPU. Please try again in a minute.")]


def test_a_used_up_quota_is_a_sentence(sessions: Sessions, spaces: Spaces) -> None:
    spaces.quota = 5.0
    short, long = request(1, max_new_tokens=20), request(2, max_new_tokens=1000)
    found = asyncio.run(collect(sessions, long))
    assert found == [Failed("ZeroGPU: You have exceeded your GPU quota. <b>Sign up</b>")]
    assert kinds(asyncio.run(collect(sessions, short)))[-1] == "End"
    assert spaces.asked == [7, 4]


def test_what_cannot_be_decoded_never_asks_for_a_gpu(sessions: Sessions, spaces: Spaces) -> None:
    (failed,) = asyncio.run(collect(sessions, request(1, content="word " * 700)))
    assert isinstance(failed, Failed)
    assert "Shorten the prompt" in failed.message
    assert not spaces.asked


class BrokenRun(sdlm_core.Run):
    """A run that fails where the GPU is."""

    error: Exception

    def __iter__(self) -> Iterator[sdlm_core.Pass]:
        raise self.error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [(SDLMError("There is no room."), "There is no room."), (ZeroDivisionError(), "ZeroGPU: ZeroDivisionError")],
)
def test_errors_where_the_gpu_is_come_back_as_sentences(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    monkeypatch.setattr(sys.modules["app.zero"], "Run", BrokenRun)
    monkeypatch.setattr(BrokenRun, "error", error, raising=False)
    assert asyncio.run(collect(sessions, request(1))) == [Failed(sentence)]


def test_the_quota_is_the_visitors(sessions: Sessions, spaces: Spaces) -> None:
    async def ask(n: int, visitor: str) -> None:
        LocalContext.request.set(visitor)  # as Gradio does before each step of an event
        await collect(sessions, request(n))

    async def scenario() -> None:
        await asyncio.gather(ask(1, "Ada"), ask(2, "Alan"))

    asyncio.run(scenario())
    assert sorted(spaces.visitors) == ["Ada", "Alan"]


def test_an_answer_is_read_back(sessions: Sessions) -> None:
    asked, lm = request(1), sessions.model.lm
    token_ids = end_of(asyncio.run(collect(sessions, asked))).trace.token_ids
    found = asyncio.run(sessions.model.log_likelihood(asked.messages, token_ids))
    scores = [x for x, _ in log_likelihoods(lm, [(lm.encode(asked.messages)[1], token_ids)])[0]]
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


def test_limits_ask_for_no_more_gpu_time_than_a_minute_or_so(sessions: Sessions) -> None:
    longest = request(1, max_new_tokens=limits.MAX_NEW_TOKENS).configs
    shape = types.SimpleNamespace(layers=36, hidden=2048, vocabulary=151_936)  # of SDLM-3B
    lm = types.SimpleNamespace(transformer=types.SimpleNamespace(shape=shape), dtype=torch.bfloat16)
    assert sys.modules["app.zero"].gpu_seconds(lm, longest) <= 65
