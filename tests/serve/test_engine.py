"""Continuous batching: a run among others gives what it gives alone, and one that fails ends no other."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sdlm_core
from sdlm_core import DecodeConfig, SDLMError
from sdlm_core.decoding.loop import Run
from sdlm_core.execution.executor import executor_for
from sdlm_core.serve import Engine, EngineFull
from sdlm_core.serve import engine as engine_module
from tests.serve.conftest import some_jobs, wait_until

ROWS_ARE_EXACT = torch.cpu._is_avx512_bf16_supported() and not torch.cpu._is_amx_tile_supported()


def test_many_runs_together_are_the_runs_alone(engine: Engine) -> None:
    jobs = some_jobs(18)
    tickets = [engine.submit(prompt, config) for prompt, config in jobs]
    for ticket, (prompt, config) in zip(tickets, jobs, strict=True):
        seen = list(ticket)
        alone = sdlm_core.decode(engine.lm, prompt, config)
        assert ticket.trace().token_ids == alone.token_ids
        assert [p.accepted for p in seen] == [p.accepted for p in alone.passes]
        assert [(p.rows, p.rows_reused, p.rows_written) for p in seen] == [
            (p.rows, p.rows_reused, p.rows_written) for p in alone.passes
        ], "reading the prompt in chunks does not show in the record"
    assert engine.load == (0, 0)


@pytest.mark.skipif(not ROWS_ARE_EXACT, reason="here a bfloat16 product's rows depend on how many they are")
def test_in_bfloat16_too(checkpoint: Callable[..., Path]) -> None:
    """Self-speculative decoding as well gives what τ = 1 gives, although it verifies in passes of many rows."""
    lm = sdlm_core.load_model(str(checkpoint(kind="llama", tied=True)), device="cpu", dtype="bfloat16")
    jobs = some_jobs(16, seed=4)
    with Engine(lm, max_runs=8, prefill_rows=16) as engine:
        tickets = [engine.submit(prompt, config) for prompt, config in jobs]
        for ticket, (prompt, config) in zip(tickets, jobs, strict=True):
            list(ticket)
            assert ticket.trace().token_ids == sdlm_core.decode(lm, prompt, config).token_ids
            if config.algorithm == "self_speculative":
                plain = replace(config, algorithm="prob_conf", threshold=1.0)
                assert ticket.trace().token_ids == sdlm_core.decode(lm, prompt, plain).token_ids


def test_prompts_of_one_token_together(lm: sdlm_core.LanguageModel) -> None:
    """Their block may see nothing but itself: not even the first row of the cache, which holds its own token's copy."""
    pool = executor_for(lm).new_pool()
    configs = [DecodeConfig(block_size=4, threshold=0.0, max_new_tokens=4) for _ in range(6)]
    together = [Run(lm, [7 + i], config, pool) for i, config in enumerate(configs)]
    for i, (p, config) in enumerate(zip(sdlm_core.advance(together), configs, strict=True)):
        alone = next(sdlm_core.stream(lm, [7 + i], config))
        assert p is not None
        assert [c.token_id for c in p.candidates] == [c.token_id for c in alone.candidates]
        assert [c.probability for c in p.candidates] == pytest.approx([c.probability for c in alone.candidates], 1e-4)


def test_a_run_that_raises_takes_only_itself_down(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = engine.lm.encode([5] * 7)[1]
    plan = Run.plan

    def poisoned(run: Run, *arguments: Any) -> Any:
        if run.prompt_ids == bad and len(run.passes) == 2:
            raise RuntimeError("poisoned")
        return plan(run, *arguments)

    monkeypatch.setattr(Run, "plan", poisoned)
    jobs = some_jobs(6, seed=1)
    tickets = [engine.submit(prompt, config) for prompt, config in jobs]
    victim = engine.submit([5] * 7, DecodeConfig(threshold=1.0, max_new_tokens=30))
    with pytest.raises(RuntimeError, match="poisoned"):
        list(victim)
    for ticket, (prompt, config) in zip(tickets, jobs, strict=True):
        list(ticket)
        assert ticket.trace().token_ids == sdlm_core.decode(engine.lm, prompt, config).token_ids
    assert engine.decode([7, 8, 9], DecodeConfig(max_new_tokens=3)).finish_reason == "length", "it goes on afterwards"


def test_a_new_run_reads_its_prompt_without_the_others_who_stand_still_twice_at_most(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three are decoding; others join before some of the passes, three of them one after the other."""
    together: list[list[Run]] = []
    late = [[7, 8, 9], [5] * 12, [6] * 9, [6] * 40, [4, 5]]
    config = DecodeConfig(threshold=1.0, max_new_tokens=30)
    tickets = []

    def counted(runs: list[Run], *rest: Any) -> Any:
        together.append(list(runs))
        if len(together) in (4, 5, 6, 10, 12):
            tickets.append(engine.submit(late.pop(0), config))
        return sdlm_core.advance(runs, *rest)

    monkeypatch.setattr(engine_module, "advance", counted)
    tickets += [engine.submit([9, 8, 7 + i], config) for i in range(3)]
    wait_until(lambda: len(tickets) == 8 and engine.load == (0, 0))
    for ticket in tickets:
        assert ticket.trace().token_ids == sdlm_core.decode(engine.lm, ticket.run.prompt_ids, config).token_ids
        alive = [i for i, runs in enumerate(together) if ticket.run in runs]
        apart = [i for i in range(alive[0], alive[-1]) if ticket.run not in together[i]]
        assert not {i + 2 for i in apart} & {i + 1 for i in apart} & set(apart), "nobody stands still three times"
    for i in (4, 5, 10, 12):
        assert len(together[i]) == 1, "a prompt is read alone"
    assert len(together[6]) > 3, "the third one's in company, since the others have waited twice"


def test_a_full_line_is_said_and_positions_are_known(lm: sdlm_core.LanguageModel, gate: threading.Event) -> None:
    with Engine(lm, max_runs=1, max_waiting=2) as engine:
        first = engine.submit("one")
        wait_until(lambda: engine.load == (1, 0))
        rung: list[int] = []
        second, third = engine.submit("two"), engine.submit("three", on_news=lambda: rung.append(third.position))
        assert (first.position, second.position, third.position) == (0, 1, 2)
        with pytest.raises(EngineFull, match="2 runs are waiting"):
            engine.submit("four")
        second.cancel()
        assert third.position == 1
        assert rung == [1], "who stands behind hears that the line has moved"
        assert list(second) == []
        first.cancel()
        gate.set()
        wait_until(lambda: third.position == 0)
        third.cancel()
        wait_until(lambda: engine.load == (0, 0))
    with pytest.raises(SDLMError, match="closed"):
        engine.submit("late")


def test_leaving_the_loop_frees_the_place_within_a_pass(engine: Engine) -> None:
    ticket = engine.submit("hello", DecodeConfig(threshold=1.0, max_new_tokens=200))
    passes = iter(ticket)
    next(passes)
    passes.close()  # type: ignore[attr-defined]  # it is a generator
    wait_until(lambda: engine.load == (0, 0))
    assert ticket.trace().finish_reason == "cancelled"


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from(["stay", "leave", "leave at once"])), max_size=24))
def test_joins_and_leaves_at_random_leak_nothing(engine: Engine, moves: list[tuple[int, str]]) -> None:
    jobs = some_jobs(len(moves), seed=len(moves))
    stayed = []
    for (seed, move), (prompt, config) in zip(moves, jobs, strict=True):
        try:
            ticket = engine.submit(prompt, config)
        except EngineFull:
            continue
        if move == "leave at once":
            ticket.cancel()
        elif move == "leave":
            for index, _ in enumerate(ticket):
                if index == seed % 3:
                    break
        else:
            stayed.append((ticket, prompt, config))
    for ticket, prompt, config in stayed:
        list(ticket)
        assert ticket.trace().token_ids == sdlm_core.decode(engine.lm, prompt, config).token_ids
    wait_until(lambda: engine.load == (0, 0))


@pytest.mark.slow
def test_a_thousand_passes_of_coming_and_going_leave_nothing_behind(
    lm: sdlm_core.LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Visitors come, leave half-way or before they begin, or stay; those who stay get what they would get alone."""
    passes = 0
    advance = engine_module.advance

    def counted(*arguments: Any) -> Any:
        nonlocal passes
        passes += 1
        return advance(*arguments)

    monkeypatch.setattr(engine_module, "advance", counted)
    draw = random.Random(5)
    here: list[tuple[Any, Any, Any]] = []
    stayed = 0
    with Engine(lm, max_runs=6, max_waiting=4, prefill_rows=16) as engine:
        while passes < 1000:
            prompt, config = some_jobs(1, seed=draw.randrange(10**6))[0]
            try:
                here.append((engine.submit(prompt, config), prompt, config))
            except EngineFull:
                ticket, prompt, config = here.pop(draw.randrange(len(here)))
                if draw.random() < 0.5:
                    ticket.cancel()
                else:
                    list(ticket)
                    stayed += 1
                    assert ticket.trace().finish_reason in ("eos", "length")
                    if stayed % 5 == 0:
                        assert ticket.trace().token_ids == sdlm_core.decode(lm, prompt, config).token_ids
        for ticket, _, _ in here:
            ticket.cancel()
        wait_until(lambda: engine.load == (0, 0))
        assert engine._pool.caches == []
        assert engine.decode([5, 6], DecodeConfig(max_new_tokens=2)).token_ids
    assert stayed > 10


def test_take_gives_what_came_without_waiting(engine: Engine) -> None:
    told = threading.Event()
    ticket = engine.submit("hello", DecodeConfig(threshold=1.0, max_new_tokens=12), told.set)
    passes: list[Any] = []
    over = False
    while not over:
        assert told.wait(10)
        told.clear()
        news, over = ticket.take()
        passes += news
    assert tuple(passes) == ticket.trace().passes
    assert ticket.take() == ([], True)
    assert list(ticket) == [], "a run that is over keeps nobody waiting"


def test_what_came_before_an_error_is_told_first(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = Run.commit

    def breaks(run: Run, *arguments: Any) -> Any:
        if len(run.passes) == 3:
            raise RuntimeError("the third pass was the last")
        return commit(run, *arguments)

    monkeypatch.setattr(Run, "commit", breaks)
    told = threading.Event()
    ticket = engine.submit("hello", DecodeConfig(threshold=1.0, max_new_tokens=12), told.set)
    wait_until(lambda: engine.load == (0, 0))
    told.clear()
    passes, over = ticket.take()
    assert (len(passes), over) == (3, False)
    assert told.is_set(), "there is more to take"
    with pytest.raises(RuntimeError, match="third pass"):
        ticket.take()
    assert ticket.take() == ([], True)


def test_a_device_that_cannot_give_a_cache_back_keeps_nobody_waiting(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(run: Run) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(Run, "leave", broken)
    tickets = [engine.submit("hello", DecodeConfig(max_new_tokens=n)) for n in (4, 9, 14)]
    assert [len(ticket.run.token_ids) for ticket in tickets if list(ticket)] == [4, 9, 14]


def test_a_listener_that_fails_harms_nobody(engine: Engine) -> None:
    def gone() -> None:
        raise RuntimeError("the page is closed")

    ticket = engine.submit("hello", DecodeConfig(max_new_tokens=5), gone)
    wait_until(lambda: engine.load == (0, 0))
    assert ticket.trace().finish_reason in ("length", "eos")


def test_a_call_runs_on_the_engines_thread_and_its_error_comes_back(lm: sdlm_core.LanguageModel) -> None:
    with Engine(lm, max_runs=2) as engine:
        busy = engine.submit("hello", DecodeConfig(threshold=1.0, max_new_tokens=100))
        assert engine.call(lambda _: threading.current_thread().name).result(10) == "sdlm-engine"
        with pytest.raises(ZeroDivisionError):
            engine.call(lambda _: 1 // 0).result(10)
        busy.cancel()
        assert list(engine.submit("again", DecodeConfig(max_new_tokens=2))), "it goes on afterwards"
    with pytest.raises(SDLMError, match="closed"):
        engine.call(lambda _: None)


def test_closing_tells_everyone_who_still_waits(lm: sdlm_core.LanguageModel, gate: threading.Event) -> None:
    engine = Engine(lm, max_runs=1)
    running = engine.submit("one", DecodeConfig(threshold=1.0, max_new_tokens=200))
    wait_until(lambda: engine.load == (1, 0))
    told = [threading.Event(), threading.Event()]
    waiting = [engine.submit("two", on_news=one.set) for one in told]
    calls = [engine.call(lambda _: pytest.fail("called after the end")) for _ in range(2)]
    closing = threading.Thread(target=engine.close)
    closing.start()
    wait_until(lambda: engine._closed)
    assert not any(one.is_set() for one in told), "the pass in hand is still held back"
    gate.set()
    closing.join(10)
    assert not closing.is_alive()
    passes, over = running.take()
    assert over
    assert len(passes) <= 1
    assert [ticket.take() for ticket in waiting] == [([], True)] * 2
    assert all(one.is_set() for one in told)
    assert {ticket.trace().finish_reason for ticket in (running, *waiting)} == {"cancelled"}
    assert all(call.cancelled() for call in calls), "who waits for a result gets an error"
    assert engine.load == (0, 0)
    assert engine._pool.caches == []


def test_nobody_waits_for_an_engine_that_broke(lm: sdlm_core.LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(lm)

    def broken() -> None:
        raise ArithmeticError("a mistake of ours")

    ticket = engine.submit("hello", DecodeConfig(threshold=1.0, max_new_tokens=200))
    monkeypatch.setattr(engine, "_admitted", broken)
    with pytest.raises(SDLMError, match="The engine stopped"):
        list(ticket)
    with pytest.raises(SDLMError, match="closed"):
        engine.submit("later")
