"""From logits to candidates: filtered distribution, choice, confidence, and how many are accepted (paper section 3.4).

Works on the model's device and ends in one small transfer. It knows nothing of rows, caches or text.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sdlm_core.config import DecodeConfig

ALTERNATIVES = 5
LEAST_CHANCE = 0.02  # of a drafted token's holding, below which it is not worth the D rows that verify it


@dataclass(frozen=True)
class Guess:
    """What the host learns of one candidate. Numbers are float32, widened by their shortest decimal form."""

    token_id: int
    confidence: float
    probability: float
    entropy: float
    alternative_ids: tuple[int, ...]
    alternative_probabilities: tuple[float, ...]


def filtered_distribution(logits: Tensor, config: DecodeConfig) -> Tensor:
    """p_i: softmax of logits (n, V) after temperature, then top-p, then top-k; float32 (n, V).

    Temperature 0 chooses greedily (see `choose`) and leaves the distribution as it is.
    """
    scores = logits
    if config.temperature > 0:  # the largest becomes 0 first, or a tiny temperature would push it to infinity
        temperature = max(config.temperature, torch.finfo(torch.float32).tiny)  # smaller ones would divide by 0
        scores = (logits.float() - logits.amax(dim=-1, keepdim=True).float()) / temperature
    p = torch.softmax(scores, dim=-1, dtype=torch.float32)
    if config.top_p < 1:
        ordered, places = p.sort(dim=-1, descending=True)
        surplus = ordered.cumsum(dim=-1) - ordered >= config.top_p  # the token that crosses top_p stays
        p = p.masked_fill(torch.zeros_like(surplus).scatter(-1, places, surplus), 0.0)
        p = p / p.sum(dim=-1, keepdim=True)
    if 0 < config.top_k < p.shape[-1]:
        kept, places = p.topk(config.top_k, dim=-1)
        p = torch.zeros_like(p).scatter(-1, places, kept)
        p = p / p.sum(dim=-1, keepdim=True)
    return p


class Noise:
    """Gumbel noise for sampling, a function of the seed and the token's place in the answer alone.

    So a run's samples do not depend on how its passes fell or on who shares the batch, and self-speculative decoding
    draws what one-token decoding draws. argmax(log p + noise) is a sample of p.
    """

    def __init__(self, seed: int, vocabulary: int, device: torch.device) -> None:
        self.seed, self.vocabulary, self.device = seed, vocabulary, device
        self._rows: dict[int, Tensor] = {}

    def at(self, start: int, count: int) -> Tensor:
        """Noise (count, V), float32, for the answer's places start, start + 1, …"""
        self._rows = {place: row for place, row in self._rows.items() if place >= start}
        for place in range(start, start + count):
            if place not in self._rows:
                generator = torch.Generator(self.device)
                generator.manual_seed(random.Random(f"{self.seed}/{place}").getrandbits(63))  # near seeds, far streams
                exponential = torch.empty(self.vocabulary, device=self.device).exponential_(generator=generator)
                self._rows[place] = -exponential.clamp_min(1e-20).log()
        return torch.stack([self._rows[place] for place in range(start, start + count)])


def choose(p: Tensor, noise: Tensor | None) -> Tensor:
    """Candidates c_i, int64 (n,): the most probable token of p (n, V), or a sample where noise (n, V) is given."""
    return p.argmax(dim=-1) if noise is None else (p.log() + noise).argmax(dim=-1)


def measure(p: Tensor, chosen: Tensor, algorithms: Sequence[str]) -> Tensor:
    """What the host should learn of `chosen` (n,) under p (n, V), for `read`; float32 on the device, a line a row.

    algorithms: whose confidence each row reports. `entropy_conf` is 1 − H(p) / ln|V| (equation 8); every other
    algorithm reports p(c) (equation 7).
    """
    vocabulary = p.shape[-1]
    confidence = probability = p.gather(-1, chosen[:, None])  # (n, 1)
    entropy = entropies(p)[:, None]
    by_entropy = [a == "entropy_conf" for a in algorithms]
    if all(by_entropy):
        confidence = certainty(entropy, vocabulary)
    elif any(by_entropy):
        rows = torch.tensor(by_entropy, device=p.device)[:, None]
        confidence = torch.where(rows, certainty(entropy, vocabulary), probability)
    top_p, top_ids = p.topk(min(ALTERNATIVES, vocabulary), dim=-1)
    # Token ids are below 2^24, so float32 carries them exactly beside the probabilities.
    return torch.cat([chosen[:, None].float(), confidence, probability, entropy, top_ids.float(), top_p], dim=-1)


def certainty(entropy: Tensor, vocabulary: int) -> Tensor:
    """1 − H / ln|V| (equation 8). Rounding may not push it to 0 or below: τ = 0 accepts even an even distribution."""
    return (1 - entropy / math.log(vocabulary)).clamp(torch.finfo(torch.float32).tiny, 1)


def entropies(p: Tensor) -> Tensor:
    """H(p) in nats, (n,), of p (n, V). A third of the time of torch.special.entr, whose logarithm is not vectorized."""
    logarithm = p.clamp_min(torch.finfo(p.dtype).tiny).log_()
    return torch.linalg.vecdot(p, logarithm).neg_()  # type: ignore[no-any-return]


def read(measured: Sequence[Tensor]) -> list[list[Guess]]:
    """The lines of each `measure`, all brought to the host in one transfer."""
    if not measured:
        return []
    table = iter(torch.cat(list(measured)).cpu().numpy())
    return [[_parse(next(table)) for _ in range(len(lines))] for lines in measured]


def _parse(line: np.ndarray) -> Guess:
    half = (len(line) - 4) // 2
    ids, probabilities = line[4 : 4 + half], line[4 + half :]
    some = int(np.count_nonzero(probabilities > 0))
    return Guess(
        token_id=int(line[0]),
        confidence=shortest(line[1]),
        probability=shortest(line[2]),
        entropy=shortest(line[3]),
        alternative_ids=tuple(int(i) for i in ids[:some]),
        alternative_probabilities=tuple(shortest(x) for x in probabilities[:some]),
    )


def count_accepted(confidences: Sequence[float], threshold: float) -> int:
    """n: the longest prefix of confidences strictly above τ, at least 1 and at most all of them (section 3.4)."""
    n = 0
    while n < len(confidences) and confidences[n] > threshold:
        n += 1
    return max(n, 1)


def worth_verifying(probabilities: Sequence[float]) -> int:
    """How many drafted tokens to verify: the longest prefix that holds with a chance of LEAST_CHANCE, by its own p(c).

    The answer does not depend on it. In open text most drafts are hopeless after a token or two: with the built-in
    model this costs 0.3 % of the tokens a pass there and saves half of the rows.
    """
    chance, n = 1.0, 0
    while n < len(probabilities) and (chance := chance * probabilities[n]) >= LEAST_CHANCE:
        n += 1
    return n


def shortest(x: np.float32) -> float:
    """The float that prints shortest among those that round to x: 0.9, not 0.8999999761581421."""
    return float(str(x))
