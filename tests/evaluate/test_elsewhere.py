"""Units measured elsewhere, in any order, give the numbers of a sweep here."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import sdlm_core
from sdlm_core.evaluate import sweep, tasks
from sdlm_core.evaluate.cells import expand

Load = Callable[..., sdlm_core.LanguageModel]


def test_a_sweep_s_units_may_come_in_any_order(load: Load, tmp_path: Path) -> None:
    lm = load(kind="llama")
    sets = (tasks.load_set("problems", 5, 8), tasks.load_set("chat", 3, 8))
    plan = sweep.Plan(sets, tuple(expand(["prob_conf", "autoregressive"], [4], [0.5, 1])), 1, likelihood=("chat",))

    def elsewhere(units: Sequence[sweep.Unit]) -> Generator[tuple[sweep.Unit, sweep.Record], None, None]:
        for unit in random.Random(0).sample(units, len(units)):
            yield unit, sweep.measure_unit(lm, unit, plan)

    here = sweep.run_sweep(lm, plan, tmp_path / "here.jsonl")
    told: list[sweep.Progress] = []
    there = sweep.run_sweep(lm, plan, tmp_path / "there.jsonl", progress=told.append, elsewhere=elsewhere)
    assert there == here
    assert [round(p.done, 6) for p in told] == sorted(round(p.done, 6) for p in told)
    assert round(told[-1].done, 6) == 1


def test_a_sweep_elsewhere_stops_when_its_time_is_over_and_goes_on_later(load: Load, tmp_path: Path) -> None:
    lm = load(kind="llama")
    plan = sweep.Plan((tasks.load_set("problems", 4, 6),), tuple(expand(["autoregressive"], [1], [1])), 1)
    closed = []

    def elsewhere(units: Sequence[sweep.Unit]) -> Generator[tuple[sweep.Unit, sweep.Record], None, None]:
        try:
            yield from ((unit, sweep.measure_unit(lm, unit, plan)) for unit in units)
        finally:
            closed.append(len(units))

    path = tmp_path / "answers.jsonl"
    assert sweep.run_sweep(lm, plan, path, minutes=0, elsewhere=elsewhere) == []
    assert len(sweep.run_sweep(lm, plan, path, elsewhere=elsewhere)) == 2
    assert sweep.run_sweep(lm, plan, path, elsewhere=elsewhere) == sweep.run_sweep(lm, plan, path)
    assert closed[-1] == 0
