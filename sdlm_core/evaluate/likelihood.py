"""How probable a model finds an answer when it reads it autoregressively, one causal row a token, no block."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sdlm_core.execution.executor import executor_for
from sdlm_core.models.language_model import LanguageModel, Prompt

MAX_ROWS = 1024  # rows of one forward pass
LOGIT_ROWS = 256  # rows whose scores over the vocabulary are held in float32 at once


def log_likelihoods(
    lm: LanguageModel, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> list[list[tuple[float, bool]]]:
    """For each (prompt ids, answer ids), each answer token's log-probability in nats and whether it is the greedy one.

    Temperature 1 and no filter. Pairs are packed into passes of about MAX_ROWS rows, each seeing itself alone.
    """
    executor_for(lm)  # the weights as decoding has them: packed where that is faster
    out: list[list[tuple[float, bool]]] = []
    batch: list[tuple[Sequence[int], Sequence[int]]] = []
    rows = 0
    for pair in pairs:
        size = len(pair[0]) + len(pair[1]) - 1
        if batch and rows + size > MAX_ROWS:
            out += _read(lm, batch)
            batch, rows = [], 0
        batch.append(pair)
        rows += size
    return out + (_read(lm, batch) if batch else [])


def mean_log_likelihood(lm: LanguageModel, prompt: Prompt, token_ids: Sequence[int]) -> float:
    """The mean log-probability of an answer's tokens, in nats; there is at least one."""
    found = log_likelihoods(lm, [(lm.encode(prompt)[1], token_ids)])[0]
    return sum(x for x, _ in found) / len(found)


@torch.inference_mode()
def _read(lm: LanguageModel, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[list[tuple[float, bool]]]:
    texts = [[*prompt, *answer][:-1] for prompt, answer in pairs]  # the last token is predicted, not read
    sizes = [len(text) for text in texts]
    positions = torch.cat([torch.arange(n) for n in sizes])

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        parts = zip(q.split(sizes), k.split(sizes), v.split(sizes), strict=True)
        return torch.cat([_causal_attention(*part) for part in parts])

    hidden = lm.transformer.forward(
        torch.tensor([token for text in texts for token in text], device=lm.device),
        positions.to(lm.device),
        attend,
    )
    wanted = torch.cat([h[len(prompt) - 1 :] for (prompt, _), h in zip(pairs, hidden.split(sizes), strict=True)])
    targets = torch.tensor([token for _, answer in pairs for token in answer], device=wanted.device)
    found: list[tuple[float, bool]] = []
    for h, target in zip(wanted.split(LOGIT_ROWS), targets.split(LOGIT_ROWS), strict=True):
        scores = torch.log_softmax(lm.transformer.logits(h).float(), dim=-1)  # (rows, V)
        target = target.to(scores.device)
        greedy = scores.argmax(dim=-1) == target
        found += zip(scores.gather(-1, target[:, None])[:, 0].tolist(), greedy.tolist(), strict=True)
    out, start = [], 0
    for _, answer in pairs:
        out.append(found[start : start + len(answer)])
        start += len(answer)
    return out


def _causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q (n, Hq, dh), k and v (n, Hkv, dh) -> (n, Hq · dh); by the fused kernel, whose memory grows with n alone."""
    q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)[0].transpose(0, 1).flatten(1)
