"""Coherent guesses (`models.sampler`): a block's candidates 2 … D chosen one after the other, given those before.

The model's sampler re-ranks each row's likeliest tokens; filters, choice and confidence are those of `candidates`, on
the conditional distribution. All on the device, at shapes that do not depend on what is found there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sdlm_core.config import DecodeConfig
from sdlm_core.decoding.candidates import Among, Likeliest, Scored, choose, filtered_distribution, filters, measure
from sdlm_core.models.sampler import Drafter


@dataclass(frozen=True)
class OpenBlock:
    """A block whose first candidate is chosen and whose others are not.

    token_id: the first candidate, int64 (); hidden (hidden,) of its row; rest: the likeliest tokens of the other rows.
    """

    token_id: Tensor
    hidden: Tensor
    rest: Likeliest
    config: DecodeConfig


def draft(drafter: Drafter, blocks: Sequence[OpenBlock], alternatives: int) -> list[Scored]:
    """The other candidates of every block. Blocks of all widths that sample alike are computed together."""
    groups: dict[tuple[float, float, int], list[int]] = {}
    for i, block in enumerate(blocks):
        groups.setdefault(filters(block.config), []).append(i)
    scored: dict[int, Scored] = {}
    for members in groups.values():
        scored.update(zip(members, _draft([blocks[i] for i in members], drafter, alternatives), strict=True))
    return [scored[i] for i in range(len(blocks))]


def _draft(blocks: Sequence[OpenBlock], drafter: Drafter, alternatives: int) -> list[Scored]:
    """`draft` of blocks with the same filters. Narrower ones are padded at their ends, which no guess before sees."""
    config, sizes = blocks[0].config, [len(b.rest.ids) for b in blocks]
    most = max(sizes)

    def stacked(parts: Sequence[Tensor], before: int = 0) -> Tensor:
        return torch.stack([F.pad(x, (0, 0, before, most - n)) for x, n in zip(parts, sizes, strict=True)])

    hidden = stacked([torch.cat([b.hidden[None], b.rest.hidden]) for b in blocks])  # (B, D, hidden)
    ids = stacked([b.rest.ids for b in blocks], before=1)  # (B, D, k): the first row's are not looked at
    own = stacked([b.rest.scores for b in blocks], before=1)
    some = [b.rest.noise for b in blocks if b.rest.noise is not None]
    noise = stacked(some) if some else None  # (B, D − 1, k)

    def choose_next(i: int, scores: Tensor) -> tuple[Tensor, Tensor]:
        p = filtered_distribution(scores, config)
        return p, choose(p, None if noise is None else noise[:, i - 1])

    first = torch.stack([b.token_id for b in blocks])
    p, places, token_ids = drafter.draft(hidden, ids, own, first, choose_next)
    rows = _without_padding([p, places, token_ids, ids[:, 1:]], sizes)
    p, places, chosen, among = rows
    by_entropy = [b.config.algorithm == "entropy_conf" for b, n in zip(blocks, sizes, strict=True) for _ in range(n)]
    measured = measure(p, places, by_entropy, alternatives, Among(among, len(drafter.head)))
    if not alternatives:
        return [Scored(*parts) for parts in zip(chosen.split(sizes), measured.split(sizes), strict=True)]
    alone_p = torch.cat([b.rest.p for b in blocks])  # (N, k), best first
    shown = slice(0, min(alternatives, alone_p.shape[1]))
    alone = torch.cat([alone_p.gather(-1, places[:, None]), among[:, shown].float(), alone_p[:, shown]], dim=-1)
    split = zip(chosen.split(sizes), measured.split(sizes), alone.split(sizes), strict=True)
    return [Scored(*parts) for parts in split]


def _without_padding(padded: Sequence[Tensor], sizes: Sequence[int]) -> list[Tensor]:
    """(B, most, …) -> (N, …): the first `sizes` rows of each block."""
    if min(sizes) == max(sizes):
        return [x.flatten(0, 1) for x in padded]
    return [torch.cat([x[b, :n] for b, n in enumerate(sizes)]) for x in padded]
