"""Each number against a case worked by hand."""

from __future__ import annotations

import math

import pytest

from sdlm_core import Candidate, DecodeConfig, Pass, Trace
from sdlm_core.evaluate import metrics, wall_clock
from sdlm_core.evaluate.table import interval


def make_trace(
    passes: list[tuple[list[tuple[int, float]], int]], block_size: int, algorithm: str = "prob_conf"
) -> Trace:
    """A run from (candidates as (token, confidence), accepted) a pass."""
    made, answer = [], []
    for index, (guesses, accepted) in enumerate(passes):
        candidates = tuple(Candidate(token, str(token), c, c, 0.0) for token, c in guesses)
        made.append(Pass(index, len(answer), candidates, accepted, 1, 0, 1, 0.1))
        answer += [token for token, _ in guesses[:accepted]]
    config = DecodeConfig(algorithm=algorithm, block_size=block_size)
    return Trace("m", "p", 1, config, block_size, tuple(made), tuple(answer), "", "length")


def test_agreement_counts_token_edits_over_the_longer_answer() -> None:
    assert metrics.agreement([1, 2, 3, 4], [1, 2, 3, 4]) == 1
    assert metrics.agreement([1, 9, 3, 4], [1, 2, 3, 4]) == 0.75  # one replaced
    assert metrics.agreement([1, 2], [1, 2, 3, 4]) == 0.5  # two missing
    assert metrics.agreement([5, 6], [1, 2]) == 0
    assert metrics.agreement([], []) == 1


def test_wilson_interval() -> None:
    half = metrics.proportion(5, 10)
    assert (half.value, round(half.low, 4), round(half.high, 4)) == (0.5, 0.2366, 0.7634)
    none = metrics.proportion(0, 10)  # z² / (n + z²)
    assert (none.low, round(none.high, 4)) == (0, 0.2775)
    assert metrics.proportion(0, 0).n == 0


def test_ratio_pools_the_answers_and_its_interval_is_seeded() -> None:
    tokens, passes = [10, 20, 60], [10, 10, 10]
    found = metrics.ratio(tokens, passes, seed=1)
    assert found.value == 3
    assert 1 <= found.low <= 3 <= found.high <= 6
    assert found == metrics.ratio(tokens, passes, seed=1)
    same = metrics.ratio([4, 8], [2, 4])
    assert (same.value, same.low, same.high) == (2, 2, 2)
    one = metrics.ratio([3], [2])
    assert one.value == 1.5
    assert math.isnan(one.low)
    assert one.to_list() == [1.5, None, None, 1]


def test_accepted_histogram() -> None:
    assert metrics.accepted_histogram([1, 3, 3, 2, 1, 1], 4) == [3, 1, 2, 0]


def test_calibration_error_of_two_bins() -> None:
    judged = [metrics.Judged(2, 0.95, True), metrics.Judged(2, 0.95, False), metrics.Judged(2, 0.15, False)]
    bins = metrics.calibration(judged)[2]
    assert bins.count == [0, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    # |0/1 − 0.15| · 1/3 + |1/2 − 0.95| · 2/3
    assert bins.ece == pytest.approx(0.15 / 3 + 0.45 * 2 / 3)
    edges = metrics.Bins.empty()
    for confidence in (0.0, 0.1, 0.1000001, 1.0):
        edges.add(confidence, True)
    assert edges.count == [2, 1, 0, 0, 0, 0, 0, 0, 0, 1]


def test_candidates_are_judged_only_while_the_answer_agrees_with_tau_1() -> None:
    reference = [1, 2, 3, 4]
    trace = make_trace(
        [
            ([(1, 0.9), (2, 0.8), (9, 0.3)], 2),  # 9 against 3: wrong
            ([(7, 0.6), (4, 0.5), (5, 0.4)], 1),  # agrees up to here; 7 against 3: wrong, 4: right, 5: beyond the end
            ([(4, 0.9), (4, 0.9), (4, 0.9)], 1),  # the answer has left the reference
        ],
        block_size=3,
    )
    found = [(j.position, j.confidence, j.right) for j in metrics.judge_trace(trace, reference)]
    assert found == [(1, 0.9, True), (2, 0.8, True), (3, 0.3, False), (1, 0.6, False), (2, 0.5, True)]


def test_wall_clock_compares_with_the_autoregressive_runs_around(monkeypatch: pytest.MonkeyPatch) -> None:
    from sdlm_core.evaluate.cells import expand
    from sdlm_core.evaluate.tasks import Item, TaskSet

    asked: list[str] = []
    now = 0.0
    monkeypatch.setattr(wall_clock.time, "perf_counter", lambda: now)

    class Made:
        token_ids = tuple(range(12))
        tokens_per_pass = 4.0

    def run(_: object, prompt: str, config: DecodeConfig) -> Made:
        nonlocal now
        asked.append(config.algorithm)
        now += 6.0 if config.algorithm == "autoregressive" else 2.0  # 2 and 6 tokens a second
        return Made()

    cells = expand(["prob_conf", "autoregressive"], [4], [0.5, 0.9])
    items = (Item("a", "x"), Item("b", "y"))
    rows = wall_clock.measure(None, TaskSet("s", items, 12), cells, 2, DecodeConfig(), run=run)  # type: ignore[arg-type]
    assert asked[1:5] == ["autoregressive", "prob_conf", "prob_conf", "autoregressive"]
    assert [row["speedup"][0] for row in rows] == [3, 3, 1]
    assert [row["tokens_per_second"][0] for row in rows] == [6, 6, 2]
    assert [row["tokens_per_pass"] for row in rows] == [[4, 4, 4, 2]] * 2 + [[4, 4, 4, 4]]
    assert wall_clock.quartiles([1, 2, 3, 4, 5]) == [3, 2, 4, 5]


def test_intervals_for_people() -> None:
    assert interval([0.912, 0.871, 0.95, 100], 0, percent=True) == "91 % (87 to 95)"
    assert interval([2.5, None, None, 1], 2) == "2.50"
    assert interval(None, 2) == "–"
