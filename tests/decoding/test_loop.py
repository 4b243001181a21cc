"""Decoding against the slow, plain reference: token for token, pass for pass."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import sdlm_core
from sdlm_core import DecodeConfig, reference
from sdlm_core.decoding import algorithms
from sdlm_core.decoding.algorithms import LEAST_CHANCE

MODELS: list[dict[str, Any]] = [
    {"kind": "qwen2", "tied": True},
    {"kind": "qwen2", "tied": False, "causal_attn": True},
    {"kind": "llama", "tied": True, "causal_attn": True},
    {"kind": "llama", "tied": False, "attention_bias": True, "num_key_value_heads": 1},
    {"kind": "qwen3", "tied": False},
]
# Random models with large weights are sometimes sure of themselves; with small ones their guesses sometimes come true.
SURE = {"initializer_range": 0.5, "seed": 1}
STEADY = {"initializer_range": 0.15, "seed": 2}
THRESHOLDS = (0.0, 0.3, 0.6, 0.9, 1.0)
ENDS = {2, 0}


def prompts(seed: int, lengths: tuple[int, ...]) -> list[list[int]]:
    draw = random.Random(seed)
    return [[draw.randrange(4, 300) for _ in range(n)] for n in lengths]


def spans(trace: sdlm_core.Trace) -> list[list[int]]:
    return [p.accepted_ids for p in trace.passes]


# Every model with a block large enough to be accepted in part. How a block is read depends on no model's kind, so the
# smaller ones are tried with one model each; one token a pass is tried with all of them below.
BLOCKS = [(MODELS[0], 1), (MODELS[1], 2), *zip(MODELS, (8, 4, 8, 4, 8), strict=True)]


@pytest.mark.parametrize(("settings", "d"), BLOCKS, ids=str)
def test_cached_and_uncached_match_the_reference(
    settings: dict[str, Any], d: int, load: Callable[..., sdlm_core.LanguageModel]
) -> None:
    lm = load(**settings, **SURE)
    several = 0
    settings_and_prompts = zip(  # two rules, five thresholds, three prompts: ten of the thirty
        itertools.product(("prob_conf", "entropy_conf"), THRESHOLDS), itertools.cycle(prompts(d, (1, 33, 9)))
    )
    for (rule, tau), prompt in settings_and_prompts:
        config = DecodeConfig(algorithm=rule, block_size=d, threshold=tau, max_new_tokens=10)
        expected = list(reference.threshold(lm, prompt, rule, d, tau, 10))
        assert spans(sdlm_core.decode(lm, prompt, config)) == expected
        assert spans(sdlm_core.decode(lm, prompt, replace(config, use_cache=False))) == expected
        several += sum(1 < len(span) < d for span in expected)
    assert d <= 2 or several > 0, "no pass accepted a part of its block, so the thresholds were not tried"


@pytest.mark.parametrize("settings", MODELS, ids=str)
def test_self_speculative_matches_the_reference(
    settings: dict[str, Any], load: Callable[..., sdlm_core.LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = load(**settings, **STEADY)
    several = 0
    short, long, middle = prompts(7, (1, 30, 12))
    for d, prompt in ((1, short), (2, long), (4, middle), (8, short)):
        config = DecodeConfig("self_speculative", block_size=d, max_new_tokens=14)
        expected = list(reference.self_speculative(lm, prompt, d, 14))
        fast = sdlm_core.decode(lm, prompt, config)
        assert fast.token_ids == list(itertools.chain(*expected))
        with monkeypatch.context() as patched:
            patched.setattr(algorithms, "LEAST_CHANCE", 0.0)  # the reference verifies every draft to its end
            for use_cache in (True, False):
                assert spans(sdlm_core.decode(lm, prompt, replace(config, use_cache=use_cache))) == expected
        several += sum(len(span) > 1 for span in expected)
    assert several > 0, "no draft was ever right, so acceptance was not tried"


@pytest.mark.parametrize("settings", MODELS, ids=str)
def test_one_token_a_pass_is_transformers_greedy(
    settings: dict[str, Any], load: Callable[..., sdlm_core.LanguageModel], checkpoint: Callable[..., Path]
) -> None:
    lm = load(**settings)
    model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint(**settings), dtype=torch.float32).eval()
    for prompt in prompts(5, (1, 40)):
        expected = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt)),
            max_new_tokens=14,
            do_sample=False,
            eos_token_id=list(ENDS),
        )[0, len(prompt) :].tolist()
        assert list(itertools.chain(*reference.autoregressive(lm, prompt, 14))) == expected
        for config in (
            DecodeConfig(algorithm="autoregressive", max_new_tokens=14),
            DecodeConfig(algorithm="autoregressive", max_new_tokens=14, use_cache=False),
            DecodeConfig(algorithm="prob_conf", block_size=1, threshold=0.0, max_new_tokens=14),
            DecodeConfig(algorithm="self_speculative", block_size=1, max_new_tokens=14),
        ):
            assert list(sdlm_core.decode(lm, prompt, config).token_ids) == expected


# A sample's noise is drawn after the model has run, so one model shows temperature and cache together, and each other
# one shows one pair of them.
PAIRS = list(itertools.product((True, False), (0.0, 0.7)))


@pytest.mark.parametrize(
    ("settings", "use_cache", "temperature"),
    [(MODELS[0], *pair) for pair in PAIRS] + [(m, *pair) for m, pair in zip(MODELS[1:], PAIRS, strict=True)],
    ids=str,
)
def test_self_speculative_is_threshold_one_in_fewer_passes(
    settings: dict[str, Any], use_cache: bool, temperature: float, load: Callable[..., sdlm_core.LanguageModel]
) -> None:
    lm = load(**settings, **STEADY)
    saved = full = 0
    short, middle, long = prompts(6, (1, 12, 60))
    for d, prompt in ((1, short), (2, middle), (4, long), (8, short), (8, middle)):
        shared = {"block_size": d, "max_new_tokens": 28, "temperature": temperature, "seed": 3, "use_cache": use_cache}
        slow = sdlm_core.decode(lm, prompt, DecodeConfig(threshold=1.0, **shared))
        fast = sdlm_core.decode(lm, prompt, DecodeConfig(algorithm="self_speculative", **shared))
        assert fast.token_ids == slow.token_ids
        assert fast.finish_reason == slow.finish_reason
        assert len(fast.passes) <= len(slow.passes)
        saved += len(slow.passes) - len(fast.passes)
        for earlier, later in itertools.pairwise(fast.passes):
            guessed = [c.token_id for c in later.draft]
            verified = [c.token_id for c in later.candidates[: later.accepted]]
            # Every accepted token but the last was a drafted one, in place; the last is the model's own.
            if later.index < len(fast.passes) - 1:
                assert guessed[: later.accepted - 1] == verified[:-1]
            shown = earlier.candidates[earlier.accepted :]
            both = list(zip(later.draft, shown, strict=False))
            assert all(a == b for a, b in both), "what a pass showed beyond its accepted span is the next draft"
            chance = math.prod(c.probability for c in later.draft)
            assert not later.draft or chance >= LEAST_CHANCE
            if len(later.draft) < len(shown):
                assert chance * shown[len(later.draft)].probability < LEAST_CHANCE, "hopeless drafts alone are left out"
            full += len(later.draft) == d - 1 > 0
    assert saved > 0, "no draft was ever right, so acceptance was not tried"
    assert full > 0, "no draft was ever verified to its end"


def test_rows_and_cache_are_recorded(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    lm = load(kind="qwen2", tied=True)
    prompt = prompts(1, (10,))[0]
    trace = sdlm_core.decode(lm, prompt, DecodeConfig(block_size=4, threshold=0.5, max_new_tokens=40))
    length, newest = 0, len(prompt)
    for p in trace.passes:
        assert (p.rows, p.rows_reused, p.rows_written) == (newest + 4, length, newest)
        length, newest = length + newest, p.accepted
    speculative = sdlm_core.decode(
        lm, prompt, DecodeConfig(algorithm="self_speculative", block_size=4, max_new_tokens=40)
    )
    # The newest token and the draft, and a block of D a branch; there is one branch more than drafted tokens.
    assert all(p.rows == 1 + len(p.draft) + 4 * (len(p.draft) + 1) for p in speculative.passes[1:])
    assert len({len(p.draft) for p in speculative.passes}) > 1


def test_limits_are_exact(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    lm = replace(load(kind="qwen2", tied=True), end_token_ids=frozenset())  # nothing else ends an answer
    prompt = prompts(2, (5,))[0]
    for limit in (1, 2, 3, 7, 8, 9):
        trace = sdlm_core.decode(lm, prompt, DecodeConfig(block_size=8, threshold=0.0, max_new_tokens=limit))
        assert (len(trace.token_ids), trace.finish_reason) == (limit, "length")
    long = sdlm_core.decode(lm, prompts(3, (250,))[0], DecodeConfig(block_size=8, threshold=0.0, max_new_tokens=100))
    assert len(long.token_ids) == 6, "prompt and answer fill the context of 256 together"
    assert long.finish_reason == "length"


def test_an_end_token_ends_the_answer_and_is_not_its_text(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    lm = load(kind="llama", tied=True, causal_attn=True)
    for prompt in prompts(11, (3,) * 40):
        trace = sdlm_core.decode(lm, prompt, DecodeConfig(block_size=8, threshold=0.0, max_new_tokens=60))
        if trace.finish_reason == "eos":
            break
    assert trace.finish_reason == "eos", "no prompt of the forty led to an end token"
    *inside, end = trace.token_ids
    assert end in ENDS
    assert not ENDS & set(inside)
    assert trace.text == lm.decode(inside)


def test_closing_the_stream_stops_the_work(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    run = sdlm_core.Run(load(kind="qwen2", tied=True), "hello", DecodeConfig(max_new_tokens=50, threshold=1.0))
    for p in run:
        if p.index == 2:
            break
    assert len(run.passes) == 3
    assert run.trace().finish_reason == "cancelled"


def test_a_batch_changes_no_run(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    """Runs of every kind together give the tokens they give alone."""
    lm = load(kind="qwen2", tied=False, causal_attn=True)
    draw = random.Random(8)
    jobs = [
        (
            prompt,
            DecodeConfig(
                algorithm=draw.choice(sdlm_core.ALGORITHMS),
                block_size=draw.choice([1, 2, 4, 8]),
                threshold=draw.choice(THRESHOLDS),
                temperature=draw.choice([0.0, 0.8]),
                top_k=draw.choice([0, 3]),
                top_p=draw.choice([1.0, 0.5]),
                max_new_tokens=draw.randint(1, 30),
                use_cache=draw.random() < 0.8,
                seed=draw.randint(0, 9),
            ),
        )
        for prompt in prompts(9, tuple(draw.randint(1, 60) for _ in range(20)))
    ]
    alone = [sdlm_core.decode(lm, prompt, config).token_ids for prompt, config in jobs]
    runs = [sdlm_core.Run(lm, prompt, config) for prompt, config in jobs]
    while left := [run for run in runs if run.finish_reason is None]:
        sdlm_core.advance(left)
    assert [run.token_ids for run in runs] == alone


def test_passes_fall_as_tau_falls(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    """On a whole set: for a single prompt other tokens may follow, but one token a pass is τ 1 and D a pass is τ 0."""
    lm = load(kind="qwen2", tied=True)
    rates = []
    for tau in THRESHOLDS:
        traces = [
            sdlm_core.decode(lm, p, DecodeConfig(block_size=8, threshold=tau, max_new_tokens=20))
            for p in prompts(4, (8,) * 6)
        ]
        rates.append(sum(len(t.token_ids) for t in traces) / sum(len(t.passes) for t in traces))
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == 1.0


def test_sampling_is_repeatable(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    lm = load(kind="qwen2", tied=True, initializer_range=0.05)
    prompt = prompts(1, (6,))[0]
    config = DecodeConfig(algorithm="autoregressive", temperature=1.3, top_k=4, max_new_tokens=1)
    first = sdlm_core.decode(lm, prompt, config)
    assert first.token_ids == sdlm_core.decode(lm, prompt, config).token_ids
    alternatives = {a.token_id: a.probability for a in first.passes[0].candidates[0].alternatives}
    assert len(alternatives) == 4
    assert sum(alternatives.values()) == pytest.approx(1, abs=1e-5)
    assert first.token_ids[0] in alternatives


def test_a_trace_taken_in_the_middle_of_a_pass_is_complete(
    load: Callable[..., sdlm_core.LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = load(kind="qwen2", tied=True, initializer_range=0.5)
    run = sdlm_core.Run(lm, "the cat", DecodeConfig(threshold=0.3, max_new_tokens=12))
    keep, taken = type(run.cache).keep, []

    def trace_meanwhile(*arguments: Any) -> None:  # as another thread may, wherever this one stands
        keep(*arguments)
        taken.append(run.trace())

    monkeypatch.setattr(type(run.cache), "keep", trace_meanwhile)
    text = run.recorder._answer
    extend = text.extend
    monkeypatch.setattr(text, "extend", lambda ids: (extend(ids), taken.append(run.trace())))
    for _ in run:
        taken.append(run.trace())
    assert len(taken) == 3 * len(run.passes)
    for trace in taken:
        assert sdlm_core.Trace.from_json(trace.to_json()) == trace
        assert len(trace.token_ids) == sum(p.accepted for p in trace.passes)
    assert [t.finish_reason for t in taken[-2:]] == ["cancelled", run.finish_reason]
    assert taken[-1].text == run.text


@pytest.mark.parametrize("message", [{"role": "user"}, {"role": "user", "content": None}, {"content": "Hi"}])
def test_a_message_without_its_texts_is_refused(
    message: dict[str, Any], load: Callable[..., sdlm_core.LanguageModel]
) -> None:
    with pytest.raises(sdlm_core.SDLMError, match="Each message needs two texts"):
        load(kind="llama", tied=True).encode([message])
