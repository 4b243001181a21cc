"""What a sampler is worth on held-out blocks: loss, confidence, calibration, and how many guesses hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sdlm_core.models.sampler import Drafter, Sampler, greedy
from sdlm_core.retrofit.collate import IGNORE

BINS = 15
SURE = 0.9
SCALES = [0.5 * 1.03**i for i in range(40)]  # 0.5 to 1.58
FEWEST = 200  # guesses to fit a factor on


@torch.no_grad()
def collect(
    sampler: Sampler, embedding: Tensor, head: Tensor, blocks: Iterable[dict[str, Tensor]]
) -> dict[str, Tensor]:
    """What `summarize` reads of N held-out blocks, given in small parts; all on the CPU.

    scores float32 (N, D − 1, k) teacher-forced at positions 2 … D, own the same without the sampler, place int64
    (N, D − 1) of the label among the candidates (−1 outside), known bool (N, D − 1), first bool (N,): whether the first
    row's own best is the label, chain int64 (N, D − 1): ids of the guesses when each is given the ones before it,
    labels int64 (N, D).
    """
    found: dict[str, list[Tensor]] = {}
    drafter = Drafter(sampler, embedding, head)
    for part in blocks:
        b = {name: value.to(head.device) for name, value in part.items()}
        labels, ids = b["labels"].long(), b["ids"].long()
        tokens = F.embedding(labels[:, :-1].clamp_min(0), embedding)
        change = F.linear(sampler.states(b["hidden"], tokens), sampler.output)  # (B, D − 1, h)
        own = b["own"][:, 1:].float()
        scores = own + torch.einsum("bdkh,bdh->bdk", F.embedding(ids[:, 1:], head).float(), change.float())
        hit = ids[:, 1:] == labels[:, 1:, None]
        first = ids[:, 0, 0]
        record = {
            "scores": scores * sampler.scale[:, None],
            "own": own,
            "place": torch.where(hit.any(dim=-1), hit.int().argmax(dim=-1), -1),
            "known": labels[:, 1:] != IGNORE,
            "first": first == labels[:, 0],
            "chain": drafter.draft(b["hidden"], ids, b["own"], first, greedy)[2],
            "labels": labels,
        }
        for name, value in record.items():
            found.setdefault(name, []).append(value.cpu())
    return {name: torch.cat(values) for name, values in found.items()}


def summarize(c: dict[str, Tensor]) -> dict[str, Any]:
    """Of `collect`ed blocks, lists by position, 2 … D:

    loss (labels among the candidates), covered (their share), sure (guesses above .9), ece and ece_chain (expected
    calibration error in 15 bins, of all teacher-forced guesses and of those whose block held so far), holds (guesses
    that hold after a right first one, each given the guesses before it), independent_holds, and weighted_loss:
    all labels, a label outside spread evenly, weighted by the chance that those before hold.
    """
    known, place = c["known"], c["place"]
    log_p = c["scores"].log_softmax(dim=-1)
    label_log_p = log_p.gather(-1, place.clamp_min(0)[..., None])[..., 0]
    inside = known & (place >= 0)
    confidence, guess = log_p.exp().max(dim=-1)
    right = (guess == place) & known
    held = torch.cat([c["first"][:, None], right[:, :-1]], dim=1).cumprod(dim=1).bool() & known
    p = torch.where(inside, label_log_p.exp(), known.logical_not().float())
    before = torch.cat([torch.ones_like(p[:, :1]), p[:, :-1].cumprod(dim=1)], dim=1) * known
    all_losses = -torch.where(place >= 0, label_log_p, log_p.mean(dim=-1))
    chain = (c["chain"] == c["labels"][:, 1:]) & known
    alone = (c["own"].argmax(dim=-1) == place) & known
    columns = range(known.shape[1])
    return {
        "weighted_loss": round(float((all_losses * before).sum() / before.sum()), 4),
        "loss": [_mean(-label_log_p[:, i][inside[:, i]]) for i in columns],
        "covered": [_mean(inside[:, i][known[:, i]].float()) for i in columns],
        "sure": [_mean((confidence[:, i][known[:, i]] > SURE).float()) for i in columns],
        "ece": [calibration_error(confidence[:, i][known[:, i]], right[:, i][known[:, i]]) for i in columns],
        "ece_chain": [calibration_error(confidence[:, i][held[:, i]], right[:, i][held[:, i]]) for i in columns],
        "holds": _mean(chain[c["first"]].cumprod(dim=1).sum(dim=1).float()),
        "independent_holds": _mean(alone[c["first"]].cumprod(dim=1).sum(dim=1).float()),
    }


def fit_scale(c: dict[str, Tensor]) -> Tensor:
    """For each position the factor of the scores, float32 (D − 1,), by which the labels of `collect`ed blocks whose
    guesses held so far are likeliest: what decoding meets. A label outside the candidates counts as spread evenly."""
    place, known = c["place"], c["known"]
    right = (c["scores"].argmax(dim=-1) == place) & known
    held = torch.cat([c["first"][:, None], right[:, :-1]], dim=1).cumprod(dim=1).bool() & known
    best: list[float] = []
    for i in range(place.shape[1]):
        scores, label = c["scores"][held[:, i], i], place[held[:, i], i]
        if len(label) < FEWEST:  # too few to tell: as the position before
            best.append(best[-1] if best else 1.0)
            continue
        losses = []
        for scale in SCALES:
            log_p = (scores * scale).log_softmax(dim=-1)
            inside = log_p.gather(-1, label.clamp_min(0)[:, None])[:, 0]
            losses.append(float(-torch.where(label >= 0, inside, log_p.mean(dim=-1)).mean()))
        best.append(SCALES[losses.index(min(losses))])
    return torch.tensor(best)


def calibration_error(confidence: Tensor, right: Tensor) -> float:
    """Expected calibration error: mean over guesses of |share right − mean confidence| of their bin of confidence."""
    if not len(confidence):
        return 0.0
    bins = (confidence * BINS).long().clamp(0, BINS - 1)
    gap = torch.zeros(BINS).index_add_(0, bins, right.float() - confidence)
    return round(float(gap.abs().sum() / len(confidence)), 4)


def _mean(x: Tensor) -> float:
    return round(float(x.mean()), 4) if len(x) else 0.0
