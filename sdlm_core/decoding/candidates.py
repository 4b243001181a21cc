"""From hidden states to candidates: filtered distribution, choice and confidence (paper section 3.4).

Each row by itself; `coherent` chooses where rows depend on each other, by the same filters, choice and confidence.
Works on the model's device and ends in one small transfer. It knows nothing of caches or text.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from sdlm_core.config import DecodeConfig
from sdlm_core.decoding.state import Alone, Guess
from sdlm_core.models.sampler import CANDIDATES
from sdlm_core.models.transformer import Transformer

ALTERNATIVES = 5


# -- rows to candidates -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CandidateRows:
    """Rows of one run whose candidates are wanted: hidden states (n, hidden), and noise (n, V) where it samples.

    choose: whether each candidate is chosen by its row alone. If not, what is wanted are the row's `Likeliest`.
    """

    hidden: Tensor
    config: DecodeConfig
    noise: Tensor | None
    choose: bool = True


@dataclass(frozen=True)
class Scored:
    """Candidates on the device: token ids, int64 (n,), and what `read` brings to the host of each, float32 (n, m).

    alone: of coherent guesses, what their rows say of them without the others, float32 (n, m').
    """

    token_ids: Tensor
    measured: Tensor
    alone: Tensor | None = None


@dataclass(frozen=True)
class Likeliest:
    """The likeliest tokens of n rows by their own scores: scores (n, k), ids int64 (n, k), probabilities float32 (n, k)
    under the rows' own filtered distributions; hidden states (n, hidden) and noise (n, k) or None for the choice."""

    scores: Tensor
    ids: Tensor
    p: Tensor
    hidden: Tensor
    noise: Tensor | None


def score(transformer: Transformer, rows: Sequence[CandidateRows], alternatives: int) -> list[Scored | Likeliest]:
    """Candidates of all rows: one product with the LM head, and one softmax for all runs that sample alike.

    Rows without a choice give their likeliest tokens instead.
    """
    if not rows:
        return []
    groups: dict[tuple[object, ...], list[int]] = {}
    for i, r in enumerate(rows):
        groups.setdefault((r.choose, *filters(r.config)), []).append(i)
    order = [i for members in groups.values() for i in members]  # a group's rows lie together
    logits = transformer.logits(torch.cat([rows[i].hidden for i in order]))  # (N, V)
    sizes = [sum(len(rows[i].hidden) for i in members) for members in groups.values()]
    scored: dict[int, Scored | Likeliest] = {}
    for members, own in zip(groups.values(), logits.split(sizes), strict=True):
        group = [rows[i] for i in members]
        found = _chosen(own, group, alternatives) if group[0].choose else _likeliest(own, group)
        scored.update(zip(members, found, strict=True))
    return [scored[i] for i in range(len(rows))]


def filters(config: DecodeConfig) -> tuple[float, float, int]:
    """What a filtered distribution depends on; rows of runs with the same are filtered together."""
    return config.temperature, config.top_p, config.top_k


def _chosen(logits: Tensor, group: Sequence[CandidateRows], alternatives: int) -> list[Scored]:
    """Candidates of rows that sample alike, each by its own logits; those of all rows together: (N, V)."""
    sizes = [len(r.hidden) for r in group]
    p = filtered_distribution(logits, group[0].config)
    noise = [r.noise for r in group if r.noise is not None]
    chosen = choose(p, torch.cat(noise) if noise else None)
    by_entropy = [r.config.algorithm == "entropy_conf" for r in group for _ in range(len(r.hidden))]
    measured = measure(p, chosen, by_entropy, alternatives)
    return [Scored(*parts) for parts in zip(chosen.split(sizes), measured.split(sizes), strict=True)]


def _likeliest(logits: Tensor, group: Sequence[CandidateRows]) -> list[Likeliest]:
    """The likeliest tokens of rows that sample alike; logits of all rows together: (N, V)."""
    sizes = [len(r.hidden) for r in group]
    scores, ids = logits.topk(min(CANDIDATES, logits.shape[-1]), dim=-1)
    p = filtered_distribution(logits, group[0].config).gather(-1, ids)
    parts = zip(group, scores.split(sizes), ids.split(sizes), p.split(sizes), strict=True)
    return [
        Likeliest(s, i, own, r.hidden, None if r.noise is None else r.noise.gather(-1, i)) for r, s, i, own in parts
    ]


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


def new_noise(transformer: Transformer, config: DecodeConfig) -> Noise | None:
    """The noise of a run with `config`; None where it does not sample."""
    if config.temperature == 0:
        return None
    return Noise(config.seed, transformer.shape.vocabulary, transformer.norm.device)


def choose(p: Tensor, noise: Tensor | None) -> Tensor:
    """Candidates c_i, int64 (n,): the most probable token of p (n, V), or a sample where noise (n, V) is given."""
    return p.argmax(dim=-1) if noise is None else (p.log() + noise).argmax(dim=-1)


# -- confidence, and the way to the host ------------------------------------------------------------------------------


def measure(
    p: Tensor, chosen: Tensor, by_entropy: Sequence[bool], alternatives: int = ALTERNATIVES, among: Among | None = None
) -> Tensor:
    """What the host should learn of `chosen` (n,) under p (n, V), for `read`; float32 on the device, a line a row.

    by_entropy: for each row, whether its confidence is 1 − H(p) / ln|V| (equation 8) rather than p(c) (equation 7).
    among: where p (n, k) and chosen tell of some tokens only, which ones, and how many there are in all.
    """
    vocabulary = among.vocabulary if among else p.shape[-1]
    confidence = probability = p.gather(-1, chosen[:, None])  # (n, 1)
    entropy = entropies(p)[:, None]
    if by_entropy and all(by_entropy):
        confidence = certainty(entropy, vocabulary)
    elif any(by_entropy):
        rows = torch.tensor(by_entropy, device=p.device)[:, None]
        confidence = torch.where(rows, certainty(entropy, vocabulary), probability)
    token_ids = among.ids.gather(-1, chosen[:, None]) if among else chosen[:, None]
    parts = [token_ids.float(), confidence, probability, entropy]
    if alternatives:
        top_p, top_ids = p.topk(min(alternatives, p.shape[-1]), dim=-1)
        parts += [(among.ids.gather(-1, top_ids) if among else top_ids).float(), top_p]
    # Token ids are below 2^24, so float32 carries them exactly beside the probabilities.
    return torch.cat(parts, dim=-1)


@dataclass(frozen=True)
class Among:
    """The tokens that a distribution over some of them speaks of: ids int64 (n, k), out of `vocabulary`."""

    ids: Tensor
    vocabulary: int


def certainty(entropy: Tensor, vocabulary: int) -> Tensor:
    """1 − H / ln|V| (equation 8). Rounding may not push it to 0 or below: τ = 0 accepts even an even distribution."""
    return (1 - entropy / math.log(vocabulary)).clamp(torch.finfo(torch.float32).tiny, 1)


def entropies(p: Tensor) -> Tensor:
    """H(p) in nats, (n,), of p (n, V). A third of the time of torch.special.entr, whose logarithm is not vectorized."""
    logarithm = p.clamp_min(torch.finfo(p.dtype).tiny).log_()
    return torch.linalg.vecdot(p, logarithm).neg_()  # type: ignore[no-any-return]


def read(scored: Sequence[Scored], counts: Sequence[Tensor] = ()) -> tuple[list[list[Guess]], list[int]]:
    """The guesses of each `Scored`, and the counts, () each and below 2^24, all brought to the host in one transfer."""
    if not scored:
        return [], []
    parts = [part for s in scored for part in (s.measured, s.alone) if part is not None]
    numbers = torch.cat([part.flatten() for part in parts] + [count.float()[None] for count in counts]).cpu().numpy()
    ends = np.cumsum([part.numel() for part in parts])
    *tables, rest = np.split(numbers, ends)
    lines = iter([table.reshape(part.shape) for table, part in zip(tables, parts, strict=True)])
    guesses = []
    for s in scored:
        found = [_guess(line) for line in next(lines)]
        if s.alone is not None:
            found = [replace(g, alone=_alone(line)) for g, line in zip(found, next(lines), strict=True)]
        guesses.append(found)
    return guesses, [int(n) for n in rest]


def _guess(line: np.ndarray) -> Guess:
    return Guess(int(line[0]), shortest(line[1]), shortest(line[2]), shortest(line[3]), *_alternatives(line[4:]))


def _alone(line: np.ndarray) -> Alone:
    return Alone(shortest(line[0]), *_alternatives(line[1:]))


def _alternatives(line: np.ndarray) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Ids, then as many probabilities; tokens of no probability are left out."""
    ids, probabilities = np.split(line, 2)
    some = int(np.count_nonzero(probabilities > 0))
    return tuple(int(i) for i in ids[:some]), tuple(shortest(x) for x in probabilities[:some])


def shortest(x: np.float32) -> float:
    """The float that prints shortest among those that round to x: 0.9, not 0.8999999761581421."""
    return float(str(x))
