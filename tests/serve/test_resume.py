"""A run that goes on in another engine from its passes so far is the run that was never interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

import sdlm_core
from sdlm_core import DecodeConfig, LanguageModel, Pass, SDLMError, Trace
from sdlm_core.decoding.loop import Run
from sdlm_core.serve import Engine
from tests.conftest import random_sampler
from tests.serve.conftest import some_jobs


@pytest.fixture(params=["alone", "coherent"])
def engine(request: pytest.FixtureRequest, load: Callable[..., LanguageModel]) -> Iterator[Engine]:
    """Of a model without a sampler, and of one with."""
    lm = load(kind="qwen2", tied=False, causal_attn=True)
    if request.param == "coherent":
        lm = replace(lm, sampler=random_sampler())
    with Engine(lm, max_runs=8, prefill_rows=16) as engine:
        yield engine


def cut(whole: Trace) -> list[int]:
    """Where to interrupt a run: before, after its first pass, half-way, before its last pass."""
    n = len(whole.passes)
    return sorted({0, min(1, n - 1), n // 2, n - 1})


def resumed(engine: Engine, whole: Trace, prompt: list[int], known: int) -> tuple[Trace, Sequence[Pass]]:
    """The record of a run that goes on after so many passes of another, and the passes it delivers."""
    given = [token.token_id for token in whole.given]
    ticket = engine.submit(prompt, whole.config, prefix=given, resume=whole.passes[:known])
    fresh = list(ticket)
    trace = ticket.trace()
    assert trace.passes == (*whole.passes[:known], *fresh), "what came before is kept, and not delivered again"
    assert [p.index for p in trace.passes] == list(range(len(trace.passes)))
    assert Trace.from_json(trace.to_json()) == trace
    return trace, fresh


def test_from_any_pass_the_tokens_are_the_same(engine: Engine) -> None:
    for prompt, config in some_jobs(5, seed=4):
        whole = sdlm_core.decode(engine.lm, prompt, config)
        for known in cut(whole):
            trace, _ = resumed(engine, whole, prompt, known)
            assert (trace.token_ids, trace.text, trace.finish_reason) == (
                whole.token_ids,
                whole.text,
                whole.finish_reason,
            )
            if config.algorithm != "self_speculative":
                assert [p.accepted for p in trace.passes] == [p.accepted for p in whole.passes]


def test_after_given_tokens_too(engine: Engine) -> None:
    """What was given is neither accepted nor delivered, and counts in the answer's length once."""
    for i, (prompt, config) in enumerate(some_jobs(4, seed=3)):
        prefix = [70 + i, 71, 72][: 1 + i % 3]
        config = replace(config, max_new_tokens=config.max_new_tokens + len(prefix))
        whole = sdlm_core.decode(engine.lm, prompt, config, prefix)
        assert whole.token_ids[: len(prefix)] == prefix
        for known in cut(whole):
            trace, _ = resumed(engine, whole, prompt, known)
            assert trace.given == whole.given
            assert (trace.token_ids, trace.text, trace.finish_reason) == (
                whole.token_ids,
                whole.text,
                whole.finish_reason,
            )


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_of_automatic_width_the_text_is_the_same(engine: Engine, temperature: float) -> None:
    """Self-speculative: whatever widths the clock leads to, before the break and after it."""
    config = DecodeConfig("self_speculative", "auto", temperature=temperature, seed=4, max_new_tokens=30)
    for prompt in ([5, 6, 7], list(range(20, 60))):
        whole = sdlm_core.decode(engine.lm, prompt, config)
        for known in cut(whole):
            trace, _ = resumed(engine, whole, prompt, known)
            assert (trace.token_ids, trace.text) == (whole.token_ids, whole.text)


def test_by_a_threshold_and_automatic_width_each_pass_is_right(engine: Engine) -> None:
    """The widths follow the clock, and the text them, in any run. What a pass says for its width does not."""
    config = DecodeConfig("prob_conf", "auto", threshold=0.3, max_new_tokens=24)
    prompt = list(range(20, 60))
    whole = sdlm_core.decode(engine.lm, prompt, config)
    for known in cut(whole):
        trace, fresh = resumed(engine, whole, prompt, known)
        for p in fresh:
            before = [*prompt, *trace.token_ids[: p.start]]
            again = next(iter(Run(engine.lm, before, replace(config, block_size=p.width))))
            assert [c.token_id for c in again.candidates] == [c.token_id for c in p.candidates]
            assert again.accepted >= p.accepted, "fewer only where the answer ends"


def test_a_draft_lost_costs_a_pass_at_most(engine: Engine) -> None:
    prompt, config = [5, 6, 7], DecodeConfig("self_speculative", block_size=4, max_new_tokens=30)
    whole = sdlm_core.decode(engine.lm, prompt, config)
    for known in range(1, len(whole.passes), 4):
        trace, _ = resumed(engine, whole, prompt, known)
        assert trace.token_ids == whole.token_ids
        assert len(trace.passes) <= len(whole.passes) + 1


def test_a_run_that_was_done_ends_at_once(engine: Engine) -> None:
    config = DecodeConfig(max_new_tokens=9)
    whole = sdlm_core.decode(engine.lm, [9, 8, 7], config)
    trace, fresh = resumed(engine, whole, [9, 8, 7], len(whole.passes))
    assert fresh == []
    assert trace.token_ids == whole.token_ids
    assert trace.finish_reason == whole.finish_reason
    assert engine.load == (0, 0)


def test_an_answer_that_cannot_be_this_run_s_is_refused(engine: Engine) -> None:
    config = DecodeConfig(threshold=0.0, max_new_tokens=12)
    whole = sdlm_core.decode(engine.lm, [9, 8, 7], config)
    with pytest.raises(SDLMError, match="cannot be resumed"):
        engine.submit([9, 8, 7], replace(config, max_new_tokens=2), resume=whole.passes)
