"""As wide as it pays: the choice on made-up costs, and that what self-speculative decoding writes is free of it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sdlm_core
from sdlm_core import DecodeConfig
from sdlm_core.decoding import costs as costs_module
from sdlm_core.decoding.width import (
    KNOTS,
    PROBE,
    Company,
    Costs,
    Experience,
    choose_shape,
    choose_width,
    never_falling,
    rate_of,
)

Load = Callable[..., sdlm_core.LanguageModel]
FLAT = [1.0 + 1e-4 * n for n in KNOTS]  # a GPU
STEEP = [float(n) for n in KNOTS]  # a row costs what a pass costs
MILD = [26.0 + n for n in KNOTS]  # two cores
D = 8


def company(seconds: list[float], rows: int = 0) -> Company:
    costs = Costs(seconds)
    return Company(costs, rows, rate_of([Experience()], costs))


def shape(seconds: list[float], probabilities: list[float], rows: int = 0) -> Any:
    return choose_shape(Experience(), probabilities, 1, D, company(seconds, rows))


def test_where_rows_are_free_a_pass_is_as_wide_as_it_can_be() -> None:
    chosen = shape(FLAT, [0.5] * 7)
    assert chosen.verified == 7
    assert chosen.width == D
    assert len(chosen.branches) >= 4
    assert choose_width(Experience(), 1, D, company(FLAT)) == D


def test_where_a_row_costs_a_pass_nothing_is_guessed() -> None:
    chosen = shape(STEEP, [0.5] * 7)
    assert (chosen.verified, chosen.width, chosen.branches) == (0, 1, ())
    assert choose_width(Experience(), 1, D, company(STEEP)) == 1


def test_likelier_drafts_are_verified_further() -> None:
    verified = [shape(MILD, [p] * 7).verified for p in (0.01, 0.3, 0.6, 0.95)]
    assert verified == sorted(verified)
    assert verified[0] == 0
    assert verified[-1] == 7


def test_the_likeliest_end_has_the_block() -> None:
    """A draft that is sure holds to its end; one that is hopeless after two tokens, to there."""
    assert 7 in shape(MILD, [0.99] * 7).branches
    assert 7 not in shape(MILD, [0.99, 0.99, 0.01, 0.5, 0.5, 0.5, 0.5]).branches


def test_company_makes_passes_narrower() -> None:
    """Where others fill the flat part of the curve."""
    crowded = [20.0, 20.0, 20.0, 20.0, 21.0, 60.0, 140.0, 300.0]
    alone = choose_width(Experience(), 1, D, company(crowded))
    assert choose_width(Experience(), 1, D, company(crowded, 40)) < alone


def test_guesses_that_never_hold_are_given_up_and_tried_again() -> None:
    run, costs = Experience(), Costs(MILD)
    widths = []
    for _ in range(200):
        chosen = choose_shape(run, [], 1, D, Company(costs, 0, rate_of([run], costs)))
        widths.append(chosen.width)
        if chosen.width > 1:
            run.made([0.001] * (chosen.width - 1))
        run.passed(1, costs.at(1 + chosen.width), chosen.width > 1)
    assert widths[0] > 1
    late = widths[100:]
    assert 1 <= sum(w > 1 for w in late) <= 100 // PROBE + 1


def test_guesses_that_hold_are_found_where_rows_are_dear() -> None:
    """There a run begins without guesses, tries one after a few passes, and goes on with what it learns."""
    run, costs = Experience(), Costs([1.0, 2.0, 2.5, 4.0, 6.0, 9.0, 16.0])
    widths = []
    for _ in range(20):
        widths.append(choose_width(run, 1, D, Company(costs, 0, rate_of([run], costs))))
        run.made([1.0] * (widths[-1] - 1))
        run.passed(widths[-1], costs.at(1 + widths[-1]), widths[-1] > 1)
    assert widths[:3] == [1, 1, 1]
    assert min(widths[4:]) > 1
    assert widths[-1] == D


def test_what_a_run_sees_corrects_what_guesses_promise() -> None:
    boastful, modest = Experience(), Experience()
    for _ in range(30):
        boastful.saw([0.9, 0.9], 0)
        modest.saw([0.3, 0.3], 2)
    assert boastful.chances([0.9])[0] < 0.5
    assert modest.chances([0.3, 0.3])[1] > 0.5


@given(st.lists(st.floats(0.001, 100), min_size=2, max_size=len(KNOTS)))
def test_costs_never_fall_and_follow_what_passes_take(seconds: list[float]) -> None:
    line = never_falling(seconds)
    assert line == sorted(line)
    assert sum(line) == pytest.approx(sum(seconds))
    costs = Costs(seconds)
    found = [costs.at(rows) for rows in range(1, 200)]
    assert all(a <= b * (1 + 1e-9) for a, b in itertools.pairwise(found))


def test_a_busy_machine_changes_no_ratio_and_dearer_rows_do() -> None:
    busy, dearer = Costs(MILD), Costs(MILD)
    for _ in range(300):
        for rows in KNOTS:
            busy.observe(rows, 3 * MILD[KNOTS.index(rows)])
            dearer.observe(rows, MILD[KNOTS.index(rows)] * (1 if rows < 16 else 4))
    assert busy.at(64) / busy.at(1) == pytest.approx(MILD[6] / MILD[0], rel=0.1)
    assert dearer.at(64) / dearer.at(1) > 2 * MILD[6] / MILD[0]


class Moody(Costs):
    """Costs that change at random: what the clock may do to us."""

    def __init__(self, seed: int) -> None:
        super().__init__(MILD)
        self.draw = random.Random(seed)

    def at(self, rows: float) -> float:
        return 1 + self.draw.random() * rows ** self.draw.choice([0.0, 0.0, 0.5, 1.0])


BOTH_WAYS = {"kind": "qwen2", "tied": True}
CAUSAL = {"kind": "llama", "tied": True, "causal_attn": True}
Model = Callable[[dict[str, Any]], sdlm_core.LanguageModel]


@pytest.fixture
def model(load: Load) -> Model:
    return lambda settings: load(**settings, block_size=D, initializer_range=0.15, seed=2)


def jobs(temperature: float) -> list[tuple[list[int], DecodeConfig]]:
    draw = random.Random(9)
    return [
        (
            [draw.randrange(4, 300) for _ in range(length)],
            DecodeConfig("self_speculative", "auto", temperature=temperature, seed=length, max_new_tokens=30),
        )
        for length in (1, 7, 30, 60)
    ]


def plain(lm: sdlm_core.LanguageModel, prompt: list[int], config: DecodeConfig) -> sdlm_core.Trace:
    config = DecodeConfig(
        "autoregressive", temperature=config.temperature, seed=config.seed, max_new_tokens=config.max_new_tokens
    )
    return sdlm_core.decode(lm, prompt, config)


# A width is chosen before a model runs and a sample drawn after it, so no more than every two of the three are paired.
@pytest.mark.parametrize(
    ("settings", "temperature", "use_cache"),
    [(BOTH_WAYS, 0.0, True), (BOTH_WAYS, 0.7, False), (CAUSAL, 0.7, True), (CAUSAL, 0.0, False)],
    ids=str,
)
def test_auto_writes_what_autoregressive_decoding_writes(
    model: Model, settings: dict[str, Any], temperature: float, use_cache: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = model(settings)
    saved, widths, lengths = 0, set(), set()
    for seed, (prompt, config) in enumerate(jobs(temperature)):
        expected = plain(lm, prompt, config)
        for costs in (Costs((FLAT, STEEP)[seed % 2]), Moody(seed)):
            monkeypatch.setitem(costs_module._costs, lm, costs)  # type: ignore[arg-type]
            values = {**config.to_dict(), "use_cache": use_cache}
            trace = sdlm_core.decode(lm, prompt, DecodeConfig.from_dict(values))
            assert (trace.token_ids, trace.finish_reason) == (expected.token_ids, expected.finish_reason)
            assert sdlm_core.Trace.from_json(trace.to_json()) == trace
            saved += len(expected.passes) - len(trace.passes)
            for p in trace.passes:
                assert p.width <= D
                assert len(p.draft) < D
                assert set(p.branches) <= set(range(len(p.draft) + 1))
                widths.add(p.width)
                lengths.add(len(p.draft))
    assert saved > 0, "no draft was ever right"
    assert len(widths) > 3
    assert len(lengths) > 3


@pytest.mark.parametrize("settings", [BOTH_WAYS, CAUSAL], ids=str)
def test_auto_in_company_writes_what_it_writes_alone(
    model: Model, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = model(settings)
    monkeypatch.setitem(costs_module._costs, lm, Moody(1))  # type: ignore[arg-type]
    own = [*jobs(0.0), *jobs(0.7)]
    guessing = DecodeConfig("prob_conf", "auto", threshold=0.3, max_new_tokens=24)
    pool = sdlm_core.Run(lm, [5]).executor.new_pool()
    runs = [sdlm_core.Run(lm, prompt, config, pool) for prompt, config in own]
    others = [sdlm_core.Run(lm, prompt, config, pool) for prompt, config in [([7] * 9, guessing), ([8, 9], None)]]
    while active := [run for run in runs + others if run.finish_reason is None]:
        sdlm_core.advance(active)
    for run, (prompt, config) in zip(runs, own, strict=True):
        assert run.token_ids == plain(lm, prompt, config).token_ids
    assert all(1 <= p.width <= D for p in others[0].passes)


def test_costs_are_measured_once(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    lm = model(BOTH_WAYS)
    monkeypatch.delitem(costs_module._costs, lm, raising=False)
    costs = costs_module.costs_for(lm)
    assert costs.at(1) > 0
    assert costs_module.costs_for(lm) is costs
