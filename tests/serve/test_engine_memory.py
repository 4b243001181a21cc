"""The engine where memory is short: caches that do not fit wait, and running out ends one run."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch

import sdlm_core
from sdlm_core import DecodeConfig, SDLMError
from sdlm_core.decoding.loop import Run
from sdlm_core.execution.cache import cache_bytes
from sdlm_core.serve import Engine
from tests.serve.conftest import some_jobs, wait_until


def test_a_run_too_large_for_the_budget_is_refused(lm: sdlm_core.LanguageModel) -> None:
    budget = cache_bytes(lm.transformer.shape, 200, lm.dtype)
    with Engine(lm, cache_budget=budget - 1) as engine:
        with pytest.raises(SDLMError, match=r"A prompt of 100 tokens .* up to 20 needs .*max_new_tokens"):
            engine.submit(list(range(4, 104)), DecodeConfig(max_new_tokens=20))
        assert engine.load == (0, 0)
    with Engine(lm, cache_budget=budget) as engine:
        assert engine.decode([5] * 100, DecodeConfig(max_new_tokens=20)).token_ids


def test_caches_that_do_not_fit_together_wait_in_line(lm: sdlm_core.LanguageModel) -> None:
    jobs = some_jobs(9, seed=3)
    with Engine(lm, max_runs=8, cache_budget=2 * cache_bytes(lm.transformer.shape, 200, lm.dtype)) as engine:
        gate = threading.Event()
        engine.call(lambda _: gate.wait(10))
        tickets = [engine.submit(prompt, config) for prompt, config in jobs]
        seen: list[tuple[int, int]] = []
        for ticket in tickets:
            ticket._inbox.on_news = lambda: seen.append(engine.load)
        gate.set()
        for ticket, (prompt, config) in zip(tickets, jobs, strict=True):
            list(ticket)
            assert ticket.trace().token_ids == sdlm_core.decode(lm, prompt, config).token_ids
        wait_until(lambda: engine.load == (0, 0))
        assert max(running for running, _ in seen) == 2, "a third waits although max_runs would let it in"
        assert not engine._pool.caches, "a ticket that is kept keeps no cache"
        assert sum(b.nbytes for b in engine._pool.keys + engine._pool.values) <= (engine.cache_budget or 0)


def test_nobody_overtakes_the_first_in_line(lm: sdlm_core.LanguageModel, gate: threading.Event) -> None:
    small, large = (cache_bytes(lm.transformer.shape, rows, lm.dtype) for rows in (256, 512))
    assert large == 2 * small
    with Engine(lm, max_runs=8, cache_budget=small + small) as engine:
        first = engine.submit([5] * 9, DecodeConfig(max_new_tokens=4))
        wait_until(lambda: engine.load == (1, 0))
        speculative = DecodeConfig(algorithm="self_speculative", block_size=16, max_new_tokens=4)
        wide = engine.submit([6] * 9, speculative)
        assert first.rows <= 256 < wide.rows <= 512
        last = engine.submit([7] * 9, DecodeConfig(max_new_tokens=4))
        wait_until(lambda: engine.load == (1, 2))
        assert (wide.position, last.position) == (1, 2)
        gate.set()
        for ticket in (first, wide, last):
            assert list(ticket)
        pair = [engine.submit([8] * 9, DecodeConfig(max_new_tokens=4)) for _ in range(2)]
        assert all(list(ticket) for ticket in pair)
        assert list(engine.submit([6] * 9, speculative)), (
            "a pool that grew for two short runs makes room for a long one"
        )


def test_out_of_memory_ends_one_run_with_a_sentence(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = [5] * 7
    plan = Run.plan

    def starved(run: Run, *arguments: Any) -> Any:
        if run.prompt_ids == bad and len(run.passes) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return plan(run, *arguments)

    jobs = some_jobs(6, seed=2)
    alone = [sdlm_core.decode(engine.lm, prompt, config).token_ids for prompt, config in jobs]
    monkeypatch.setattr(Run, "plan", starved)
    tickets = [engine.submit(prompt, config) for prompt, config in jobs]
    victim = engine.submit(bad, DecodeConfig(threshold=1.0, max_new_tokens=30))
    with pytest.raises(SDLMError, match="not enough memory for this run"):
        list(victim)
    assert len(victim.trace().passes) == 2, "what it had is still there to see"
    for ticket, expected in zip(tickets, alone, strict=True):
        list(ticket)
        assert ticket.trace().token_ids == expected
    assert engine.decode([7, 8, 9], DecodeConfig(max_new_tokens=3)).finish_reason == "length", "it goes on afterwards"
