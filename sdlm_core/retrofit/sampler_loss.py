"""The sampler's loss: cross-entropy over each row's candidates, teacher-forced, positions weighted by their chance.

Position i is given the text's own tokens before it. A label outside the row's candidates cannot be chosen, and the
guess will be wrong: it counts as spread evenly over the candidates, so that the probability of the best one is an
honest chance of being right. The model's own prediction, which knows the text before, can be a target beside the label.
A position matters only where those before it hold, so it is weighted by the chance of that (arXiv 2605.18810 and
2606.11552 report gains from such weights).
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sdlm_core.models.sampler import Sampler
from sdlm_core.retrofit.collate import IGNORE

CHUNK = 48  # rows whose candidates' embeddings are looked at together: they stay in the cache


def mean_loss(
    sampler: Sampler,
    head: Tensor,
    embedding: Tensor,
    batch: dict[str, Tensor],
    dropout: float = 0.0,
    chance_weights: float = 1.0,
    miss_weight: float = 1.0,
    teacher_weight: float = 0.0,
    teacher_temperature: float = 1.0,
) -> Tensor:
    """The weighted mean over all labels at positions 2 … D, float32 scalar, of blocks as states.block_states has them.

    chance_weights: the power to which the chance that the labels before would have been guessed weighs a position.
    For the others see `targets`.
    """
    low = head.dtype if head.dtype != torch.float32 else None
    with torch.autocast(head.device.type, low) if low else nullcontext():
        change = changes(sampler, embedding, batch, dropout)
    known = batch["labels"][:, 1:] != IGNORE  # (B, D − 1)
    rows = {name: batch[name][:, 1:][known] for name in ("ids", "own", "labels", "teacher", "taught")}
    wanted = targets(rows, miss_weight, teacher_weight, teacher_temperature)
    loss, chance = candidate_loss(change[known], head, rows["ids"], rows["own"], rows["labels"], wanted)
    weights = torch.zeros_like(known, dtype=torch.float32)
    weights[known] = 1.0
    if chance_weights:
        p = torch.ones_like(weights)
        p[known] = chance
        before = torch.cat([torch.ones_like(p[:, :1]), p[:, :-1].cumprod(dim=1)], dim=1)
        weights *= before**chance_weights
    weights = weights[known]
    return (loss * weights).sum() / weights.sum()


def targets(rows: dict[str, Tensor], miss_weight: float, weight: float, temperature: float) -> Tensor:
    """What R rows are to say of their candidates, float32 (R, k), each row's sum at most 1.

    The label alone, or with `weight` the model's own autoregressive prediction at `temperature`, which knows the text
    before: it says more than one token does. What lies outside the candidates counts as spread evenly over them, times
    miss_weight. rows: ids, teacher (R, k), labels, taught (R,), as states.block_states has them.
    """
    k = rows["ids"].shape[1]
    hit = rows["ids"] == rows["labels"][:, None]
    wanted = torch.where(hit.any(dim=1, keepdim=True), hit.float(), miss_weight / k)
    if not weight:
        return wanted
    log_p = rows["teacher"].float()
    outside = (1 - log_p.exp().sum(dim=1, keepdim=True)).clamp_min(1e-6).log()
    p = (torch.cat([log_p, outside], dim=1) / temperature).softmax(dim=1)
    soft = p[:, :-1] + p[:, -1:] * miss_weight / k
    return torch.where(rows["taught"][:, None], torch.lerp(wanted, soft, weight), wanted)


def changes(sampler: Sampler, embedding: Tensor, batch: dict[str, Tensor], dropout: float) -> Tensor:
    """O sᵢ, (B, D − 1, h), with the text's own tokens before."""
    tokens = F.embedding(batch["labels"][:, :-1].clamp_min(0), embedding)
    hidden = F.dropout(batch["hidden"], dropout, sampler.training)
    tokens = F.dropout(tokens, dropout, sampler.training)
    s = F.dropout(sampler.states(hidden, tokens), dropout, sampler.training)
    return F.linear(s, sampler.output)


def candidate_loss(
    change: Tensor, head: Tensor, ids: Tensor, own: Tensor, labels: Tensor, wanted: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-entropy over the candidates of R rows: losses float32 (R,), differentiable in `change`, and the labels'
    probabilities (R,), 0 outside the candidates.

    change (R, h); head (V, h); ids (R, k), own (R, k); labels (R,); wanted float32 (R, k), see `targets`.
    """
    return _CandidateLoss.apply(change, head, ids, own, labels, wanted)  # type: ignore[no-any-return, no-untyped-call]


class _CandidateLoss(torch.autograd.Function):
    """A chunk of rows at a time, gradients on the way: the candidates' embeddings are gathered once and forgotten."""

    @staticmethod
    def forward(
        ctx: Any, change: Tensor, head: Tensor, ids: Tensor, own: Tensor, labels: Tensor, wanted: Tensor
    ) -> tuple[Tensor, Tensor]:
        losses, chances = change.new_empty((2, len(change)), dtype=torch.float32)
        gradient = torch.empty_like(change)
        for start in range(0, len(change), CHUNK):
            part = slice(start, start + CHUNK)
            candidates = F.embedding(ids[part], head)  # (c, k, h)
            scores = own[part].float() + torch.bmm(candidates, change[part, :, None].to(head.dtype))[:, :, 0].float()
            log_p = scores.log_softmax(dim=-1)
            losses[part] = -torch.linalg.vecdot(wanted[part], log_p)
            chances[part] = (log_p.exp() * (ids[part] == labels[part, None])).sum(dim=1)
            d_scores = log_p.exp() * wanted[part].sum(dim=1, keepdim=True) - wanted[part]
            gradient[part] = torch.bmm(d_scores[:, None].to(head.dtype), candidates)[:, 0].to(gradient.dtype)
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(chances)
        return losses, chances

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * grads[0][:, None].to(gradient.dtype), None, None, None, None, None
