"""Coherent guesses against the slow reference over the whole vocabulary; and what may not depend on them."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import sdlm_core
from sdlm_core import DecodeConfig, SDLMError, Trace, reference
from sdlm_core.decoding import algorithms, candidates
from sdlm_core.models.sampler import save_sampler
from tests.conftest import make_checkpoint, random_sampler
from tests.decoding.test_loop import STEADY, SURE, THRESHOLDS, prompts, spans

Load = Callable[..., sdlm_core.LanguageModel]


@pytest.fixture
def with_sampler(load: Load) -> Load:
    return lambda **settings: replace(load(**settings), sampler=random_sampler())


@pytest.fixture
def all_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every token is re-ranked, as the reference does."""
    monkeypatch.setattr(candidates, "CANDIDATES", 10_000)


@pytest.mark.usefixtures("all_tokens")
@pytest.mark.parametrize(("d", "tied"), [(1, False), (2, True), (4, False), (8, True), (8, False)])
def test_cached_and_uncached_match_the_reference(d: int, tied: bool, with_sampler: Load) -> None:
    lm = with_sampler(tied=tied, causal_attn=not tied, **SURE)
    alone = replace(lm, sampler=None)
    several = changed = 0
    settings_and_prompts = zip(  # two rules, five thresholds, three prompts: ten of the thirty
        itertools.product(("prob_conf", "entropy_conf"), THRESHOLDS), itertools.cycle(prompts(d, (1, 7, 40)))
    )
    for (rule, tau), prompt in settings_and_prompts:
        config = DecodeConfig(algorithm=rule, block_size=d, threshold=tau, max_new_tokens=10)
        expected = list(reference.threshold(lm, prompt, rule, d, tau, 10))
        assert spans(sdlm_core.decode(lm, prompt, config)) == expected
        assert spans(sdlm_core.decode(lm, prompt, replace(config, use_cache=False))) == expected
        independent = spans(sdlm_core.decode(lm, prompt, replace(config, guesses="independent")))
        assert independent == list(reference.threshold(alone, prompt, rule, d, tau, 10))
        several += sum(1 < len(span) < d for span in expected)
        changed += expected != independent
    assert d <= 2 or several > 0, "no pass accepted a part of its block, so the thresholds were not tried"
    assert d == 1 or changed > 0, "the sampler changed nothing"


@pytest.mark.usefixtures("all_tokens")
def test_self_speculative_matches_the_reference(with_sampler: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    lm = with_sampler(tied=False, **STEADY)
    monkeypatch.setattr(algorithms, "LEAST_CHANCE", 0.0)  # the reference verifies every draft to its end
    several = changed = 0
    short, long = prompts(7, (1, 30))
    for d, prompt in ((1, long), (2, short), (4, long), (8, short), (8, long)):
        config = DecodeConfig("self_speculative", block_size=d, max_new_tokens=14)
        expected = list(reference.self_speculative(lm, prompt, d, 14))
        fast = sdlm_core.decode(lm, prompt, config)
        assert spans(fast) == expected
        assert spans(sdlm_core.decode(lm, prompt, replace(config, use_cache=False))) == expected
        independent = sdlm_core.decode(lm, prompt, replace(config, guesses="independent"))
        changed += [p.draft for p in independent.passes] != [p.draft for p in fast.passes]
        several += sum(len(span) > 1 for span in expected)
    assert several > 0, "no draft was ever right, so acceptance was not tried"
    assert changed > 0, "the sampler changed no draft"


# Greedy without a cache is compared with the reference above.
@pytest.mark.parametrize(("temperature", "use_cache"), [(0.0, True), (0.7, True), (0.7, False)])
def test_texts_do_not_depend_on_the_sampler(temperature: float, use_cache: bool, with_sampler: Load) -> None:
    """τ 1, autoregressive and self-speculative decoding write one text, with either kind of guesses."""
    lm = with_sampler(**STEADY)
    saved = 0
    for d, prompt in zip((8, 2), prompts(6, (1, 12)), strict=True):
        shared = {"block_size": d, "max_new_tokens": 28, "temperature": temperature, "seed": 3, "use_cache": use_cache}
        expected = sdlm_core.decode(replace(lm, sampler=None), prompt, DecodeConfig(threshold=1.0, **shared))
        for guesses in ("coherent", "independent"):
            for config in (
                DecodeConfig(threshold=1.0, guesses=guesses, **shared),
                DecodeConfig("self_speculative", guesses=guesses, **shared),
            ):
                trace = sdlm_core.decode(lm, prompt, config)
                assert trace.token_ids == expected.token_ids
                assert trace.finish_reason == expected.finish_reason
                saved += len(expected.passes) - len(trace.passes)
        autoregressive = DecodeConfig("autoregressive", guesses="coherent", **shared)
        independent = replace(autoregressive, guesses="independent")
        assert (
            sdlm_core.decode(lm, prompt, autoregressive).token_ids
            == sdlm_core.decode(lm, prompt, independent).token_ids
        )
    assert saved > 0, "no draft was ever right, so acceptance was not tried"


@pytest.mark.usefixtures("all_tokens")
@pytest.mark.parametrize("algorithm", ["prob_conf", "entropy_conf"])
def test_a_candidate_tells_both_distributions(algorithm: str, with_sampler: Load) -> None:
    lm = with_sampler(**SURE)
    alone = replace(lm, sampler=None)
    prompt = prompts(3, (9,))[0]
    trace = sdlm_core.decode(lm, prompt, DecodeConfig(algorithm, block_size=8, max_new_tokens=1))
    block = trace.passes[0].candidates
    tokens, p = reference.candidates(lm, prompt, 8)
    _, own = reference.candidates(alone, prompt, 8)
    assert [c.token_id for c in block] == tokens
    for i, c in enumerate(block):
        assert c.probability == pytest.approx(float(p[i, c.token_id]), abs=1e-5)
        entropy = -float(torch.special.xlogy(p[i], p[i]).sum())
        assert c.entropy == pytest.approx(entropy, abs=1e-4)
        certainty = 1 - entropy / float(torch.tensor(float(lm.vocabulary)).log())
        assert c.confidence == pytest.approx(c.probability if algorithm == "prob_conf" else certainty, abs=1e-4)
        for a in c.alternatives:
            assert a.probability == pytest.approx(float(p[i, a.token_id]), abs=1e-5)
        assert (c.alone is None) == (i == 0)
        if c.alone:
            assert c.alone.probability == pytest.approx(float(own[i, c.token_id]), abs=1e-5)
            shown = [a.token_id for a in c.alone.alternatives]
            assert shown == own[i].topk(5).indices.tolist()[: len(shown)]
            for a in c.alone.alternatives:
                assert a.probability == pytest.approx(float(own[i, a.token_id]), abs=1e-5)


def test_a_row_chooses_among_its_64_likeliest(with_sampler: Load) -> None:
    """The reference's distribution over the whole vocabulary, restricted to the row's own likeliest tokens."""
    lm = with_sampler(**SURE)
    assert lm.vocabulary > 3 * candidates.CANDIDATES
    compared = 0
    for prompt in prompts(5, (3, 9, 17, 30)):
        block = sdlm_core.decode(lm, prompt, DecodeConfig(block_size=4, max_new_tokens=1)).passes[0].candidates
        own = reference.candidates(replace(lm, sampler=None), prompt, 4)[1]
        tokens, p = reference.candidates(lm, prompt, 4)
        for i in range(1, 4):
            if block[i - 1].token_id != tokens[i - 1]:
                break  # from here on, the two know different guesses
            likeliest = own[i].topk(candidates.CANDIDATES).indices
            among = p[i, likeliest] / p[i, likeliest].sum()
            assert block[i].token_id == int(likeliest[among.argmax()])
            assert block[i].probability == pytest.approx(float(among.max()), abs=1e-4)
            compared += 1
    assert compared > 6


def test_a_batch_changes_no_run(with_sampler: Load) -> None:
    """Runs of every kind and width together give the tokens, and nearly the confidences, that they give alone."""
    lm = with_sampler(tied=False, causal_attn=True)
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
                max_new_tokens=draw.randint(1, 20),
                use_cache=draw.random() < 0.8,
                seed=draw.randint(0, 9),
                guesses=draw.choice(["coherent", "coherent", "independent"]),
            ),
        )
        for prompt in prompts(9, tuple(draw.randint(1, 60) for _ in range(20)))
    ]
    alone = [sdlm_core.decode(lm, prompt, config) for prompt, config in jobs]
    runs = [sdlm_core.Run(lm, prompt, config) for prompt, config in jobs]
    while left := [run for run in runs if run.finish_reason is None]:
        sdlm_core.advance(left)
    for run, trace in zip(runs, alone, strict=True):
        assert spans(run.trace()) == spans(trace)
        for mine, theirs in zip(run.passes, trace.passes, strict=True):
            found = [c.confidence for c in mine.candidates]
            assert found == pytest.approx([c.confidence for c in theirs.candidates], abs=1e-4)


def test_the_trace_says_which_guesses_they_were(with_sampler: Load, load: Load) -> None:
    lm = with_sampler(**SURE)
    short = DecodeConfig(block_size=4, max_new_tokens=6, threshold=0.3)
    coherent = sdlm_core.decode(lm, "the cat", short)
    assert (coherent.guesses, coherent.config.guesses) == ("coherent", None)
    assert Trace.from_json(coherent.to_json()) == coherent
    assert sdlm_core.decode(lm, "the cat", replace(short, guesses="independent")).guesses == "independent"
    assert sdlm_core.decode(load(**SURE), "the cat", short).guesses == "independent"
    assert sdlm_core.decode(lm, "the cat", replace(short, algorithm="autoregressive")).guesses == "independent"
    old = sdlm_core.decode(load(**SURE), "the cat", short).to_dict()
    old["version"] = 1
    del old["guesses"], old["config"]["guesses"]
    assert Trace.from_json(json.dumps(old)).guesses == "independent"


def test_what_is_wrong_with_it_is_said(load: Load) -> None:
    with pytest.raises(SDLMError, match=r"has no sampler.*independent.*--sampler-only"):
        sdlm_core.decode(load(), "the cat", DecodeConfig(guesses="coherent"))
    with pytest.raises(SDLMError, match="Unknown guesses 'wild'"):
        DecodeConfig(guesses="wild")


def test_a_checkpoint_brings_its_sampler(tmp_path: Path, load: Load) -> None:
    folder = make_checkpoint(tmp_path / "model", block_size=4)
    assert sdlm_core.load_model(str(folder), "cpu", "float32").sampler is None
    save_sampler(random_sampler(), folder)
    lm = sdlm_core.load_model(str(folder), "cpu", "float32")
    assert lm.sampler is not None
    config: dict[str, Any] = {"max_new_tokens": 12, "threshold": 0.2}
    found = sdlm_core.decode(lm, "the cat", DecodeConfig(**config))
    assert found.guesses == "coherent"
    rounded = random_sampler().to(torch.bfloat16).float()
    rounded.scale = random_sampler().scale
    expected = sdlm_core.decode(replace(lm, sampler=rounded), "the cat", DecodeConfig(**config))
    assert spans(found) == spans(expected)
