"""Filters, confidence and acceptance against hand-worked cases."""

from __future__ import annotations

import math

import pytest
import torch

from sdlm_core import DecodeConfig, SDLMError
from sdlm_core.decoding.algorithms import count_accepted
from sdlm_core.decoding.candidates import Noise, Scored, choose, filtered_distribution, measure, read
from sdlm_core.decoding.state import Guess

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("confidences", "threshold", "accepted"),
    [
        ([0.95, 0.95, 0.2, 0.99], 0.9, 2),
        ([0.1, 0.99, 0.99, 0.99], 0.9, 1),  # the first is always kept
        ([0.9, 0.9, 0.9, 0.9], 0.9, 1),  # strictly greater
        ([1.0, 1.0, 1.0, 1.0], 1.0, 1),
        ([1e-30, 1e-30, 1e-30, 1e-30], 0.0, 4),
        ([0.91, 0.92, 0.93, 0.94], 0.9, 4),
    ],
)
def test_the_longest_sure_prefix_is_accepted(confidences: list[float], threshold: float, accepted: int) -> None:
    assert count_accepted(confidences, threshold) == accepted


def test_filters_apply_in_order_and_leave_a_distribution() -> None:
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    nucleus = filtered_distribution(logits, DecodeConfig(top_p=0.65))
    assert nucleus[0].tolist() == pytest.approx([4 / 7, 3 / 7, 0, 0])
    both = filtered_distribution(logits, DecodeConfig(top_p=0.85, top_k=2))  # nucleus of three, then the best two of it
    assert both[0].tolist() == pytest.approx([4 / 7, 3 / 7, 0, 0])
    cooled = filtered_distribution(logits, DecodeConfig(temperature=0.5))
    assert cooled[0].tolist() == pytest.approx([16 / 30, 9 / 30, 4 / 30, 1 / 30])
    coldest = filtered_distribution(logits, DecodeConfig(temperature=1e-46))  # 0 in float32
    assert coldest[0].tolist() == [1, 0, 0, 0]
    greedy = filtered_distribution(logits, DecodeConfig(temperature=0))
    assert greedy[0].tolist() == pytest.approx([0.4, 0.3, 0.2, 0.1])


def measured(p: torch.Tensor, by_entropy: list[bool]) -> list[Guess]:
    chosen = p.argmax(-1)
    return read([Scored(chosen, measure(p, chosen, by_entropy))])[0][0]


def test_both_confidences_by_hand() -> None:
    p = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0]])
    assert [g.confidence for g in measured(p, [False] * 3)] == pytest.approx([0.7, 0.25, 1.0])
    entropy = -(0.7 * math.log(0.7) + 0.3 * math.log(0.1))
    by_entropy = measured(p, [True] * 3)
    assert [g.confidence for g in by_entropy] == pytest.approx([1 - entropy / math.log(4), 0, 1], abs=1e-6)
    assert all(g.confidence > 0 for g in by_entropy), "τ = 0 accepts even an even distribution"
    assert by_entropy[0].entropy == pytest.approx(entropy)
    mixed = measured(p, [True, False, False])
    assert [g.confidence for g in mixed] == pytest.approx([1 - entropy / math.log(4), 0.25, 1.0])
    assert by_entropy[2].alternative_ids == (0,), "tokens of no probability are no alternatives"


def test_noise_samples_the_distribution_and_depends_on_seed_and_place_alone() -> None:
    p = torch.tensor([0.5, 0.3, 0.15, 0.05])
    draws = torch.cat([choose(p.expand(500, 4), Noise(seed, 4, CPU).at(0, 500)) for seed in range(8)])
    assert (torch.bincount(draws, minlength=4) / len(draws)).tolist() == pytest.approx(p.tolist(), abs=0.03)
    near, far = Noise(1, 50, CPU), Noise(1, 50, CPU)
    near.at(0, 3)
    assert torch.equal(near.at(5, 2)[0], far.at(3, 4)[2])
    assert not torch.equal(Noise(1, 50, CPU).at(0, 1), Noise(2, 50, CPU).at(0, 1))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"algorithm": "beam"}, ["beam", "prob_conf"]),
        ({"threshold": 1.5}, ["τ", "1.5", "between 0 and 1"]),
        ({"threshold": float("nan")}, ["τ", "nan"]),
        ({"block_size": 0}, ["block_size", "0", "between 1"]),
        ({"block_size": 2.5}, ["block_size", "2.5"]),
        ({"max_new_tokens": 0}, ["max_new_tokens", "at least 1"]),
        ({"temperature": -1}, ["temperature", "-1"]),
        ({"top_p": 0}, ["top_p", "1.0"]),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(settings: dict[str, object], words: list[str]) -> None:
    with pytest.raises(SDLMError) as error:
        DecodeConfig(**settings)  # type: ignore[arg-type]
    for word in words:
        assert word in str(error.value)
