"""Decoding on from given tokens: what the reference makes of a prompt with them at its end."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

import sdlm_core
from sdlm_core import DecodeConfig, LanguageModel, SDLMError, Trace, reference
from sdlm_core.text import answer_text

LIMIT = 18


def passes_of(lm: LanguageModel, prompt: list[int], config: DecodeConfig, limit: int) -> Iterator[list[int]]:
    if config.algorithm == "autoregressive":
        return reference.autoregressive(lm, prompt, limit)
    d = int(config.block_size or 1)
    if config.algorithm == "self_speculative":
        return reference.self_speculative(lm, prompt, d, limit)
    return reference.threshold(lm, prompt, config.algorithm, d, config.threshold, limit)


@pytest.mark.parametrize("algorithm", sdlm_core.ALGORITHMS)
@pytest.mark.parametrize("model", [{"kind": "qwen2", "initializer_range": 0.5}, {"kind": "llama", "causal_attn": True}])
def test_it_goes_on_as_the_reference_does(
    load: Callable[..., LanguageModel], model: dict[str, object], algorithm: str
) -> None:
    lm = load(**model)
    draw = random.Random(algorithm)
    for length in (1, 2, 9):
        prompt, given = draws(draw, 7), draws(draw, length)
        config = DecodeConfig(algorithm=algorithm, block_size=4, threshold=0.4, max_new_tokens=LIMIT)
        trace = sdlm_core.decode(lm, prompt, config, prefix=given)
        uncached = sdlm_core.decode(lm, prompt, replace(config, use_cache=False), prefix=given)
        assert (uncached.given, uncached.text) == (trace.given, trace.text)
        assert [(p.start, p.accepted_ids) for p in uncached.passes] == [(p.start, p.accepted_ids) for p in trace.passes]
        expected = list(passes_of(lm, prompt + given, config, LIMIT - length))
        assert [g.token_id for g in trace.given] == trace.token_ids[:length] == given
        assert trace.token_ids[length:] == [i for accepted in expected for i in accepted]
        if algorithm != "self_speculative":  # whose reference counts groups of passes
            assert [p.accepted_ids for p in trace.passes] == expected
        assert trace.passes[0].start == length
        assert trace.text == answer_text(lm, trace.token_ids)
        assert "".join(g.text for g in trace.given) == answer_text(lm, given)
        assert trace.tokens_per_pass == (len(trace.token_ids) - length) / len(trace.passes)


def draws(draw: random.Random, length: int) -> list[int]:
    return [draw.choice(range(ord("a"), ord("z"))) for _ in range(length)]


@pytest.mark.parametrize("temperature", [0.0, 0.9])
@pytest.mark.parametrize("algorithm", ["autoregressive", "self_speculative"])
def test_going_on_with_its_own_tokens_changes_nothing(
    load: Callable[..., LanguageModel], algorithm: str, temperature: float
) -> None:
    """A sample too: its noise belongs to a seed and a place in the answer."""
    lm = load(kind="qwen2", initializer_range=0.15, seed=2)
    config = DecodeConfig(
        algorithm=algorithm, block_size=4, max_new_tokens=LIMIT, temperature=temperature, top_k=5, seed=3
    )
    whole = sdlm_core.decode(lm, "hello", config).token_ids
    for place in (1, len(whole) // 2, len(whole) - 1):
        assert sdlm_core.decode(lm, "hello", config, prefix=whole[:place]).token_ids == whole


def test_a_text_becomes_tokens_after_the_ids(load: Callable[..., LanguageModel]) -> None:
    lm = load(kind="qwen2")
    first = lm.encode_prefix(["the cat"])
    trace = sdlm_core.decode(lm, "hello", DecodeConfig(max_new_tokens=30), prefix=[*first, " sat on\nthe log"])
    assert trace.text.startswith("the cat sat on\nthe log")
    assert [g.token_id for g in trace.given][: len(first)] == first
    assert next(sdlm_core.stream(lm, "hello", DecodeConfig(max_new_tokens=9), prefix=first)).start == len(first)


def test_a_batch_with_given_tokens_changes_no_run(load: Callable[..., LanguageModel]) -> None:
    lm = load(kind="qwen2", initializer_range=0.5)
    jobs = [(DecodeConfig(algorithm=a, threshold=0.4, max_new_tokens=20), [70] * n) for n, a in enumerate(ALL)]
    alone = [sdlm_core.decode(lm, "hello", config, prefix).token_ids for config, prefix in jobs]
    runs = [sdlm_core.Run(lm, "hello", config, prefix=prefix) for config, prefix in jobs]
    while left := [run for run in runs if run.finish_reason is None]:
        sdlm_core.advance(left)
    assert [run.token_ids for run in runs] == alone


ALL = (*sdlm_core.ALGORITHMS, *sdlm_core.ALGORITHMS)


def test_a_prompt_read_in_chunks_may_be_followed_by_given_tokens(load: Callable[..., LanguageModel]) -> None:
    lm = load(kind="qwen2", initializer_range=0.5)
    config = DecodeConfig(threshold=0.4, max_new_tokens=20)
    run = sdlm_core.Run(lm, [80] * 11, config, prefix=[70] * 6)
    while run.finish_reason is None:
        sdlm_core.advance([run], prefill_rows=5)
    assert run.token_ids == sdlm_core.decode(lm, [80] * 11, config, prefix=[70] * 6).token_ids


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ([10**6], "not in the vocabulary"),
        ([-1], "not in the vocabulary"),
        ([70, 2], "Token 2 ends the answer"),
        (["a<|im_end|>"], "Token 2 ends the answer"),
        ([70] * 16, "nothing is left to decode"),
        ([70] * 999, "nothing is left to decode"),
        ([None], "token ids"),
        ([1.5], "token ids"),
    ],
)
def test_what_no_answer_begins_with_is_refused(
    load: Callable[..., LanguageModel], prefix: list[int], message: str
) -> None:
    with pytest.raises(SDLMError, match=message):
        sdlm_core.decode(load(kind="qwen2"), "hello", DecodeConfig(max_new_tokens=16), prefix)


def test_the_record_of_given_tokens_there_and_back(load: Callable[..., LanguageModel]) -> None:
    lm = load(kind="qwen2")
    trace = sdlm_core.decode(lm, "hello", DecodeConfig(max_new_tokens=16), ["the"])
    assert trace.given
    assert Trace.from_json(trace.to_json()) == trace
    with pytest.raises(SDLMError, match="contradicts itself"):
        Trace.from_json(replace(trace, given=()).to_json())
    with pytest.raises(SDLMError, match=r'"given" is not a list of \[token id, text\]'):
        Trace.from_dict(trace.to_dict() | {"given": [[1, 2, 3]]})
