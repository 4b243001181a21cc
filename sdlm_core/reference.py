"""The algorithm, slow and plain: Sequential Diffusion Language Models (arXiv 2509.24007), one prompt, greedy, float32.

No cache, no batch, no shortcut: every pass reads the whole text again. All faster code is tested against this page.
x_1 … x_t are the known tokens, D is the block size, m the mask token, τ the threshold. Each function yields the tokens
that each forward pass adds to the answer (self-speculative: that each group of D passes adds, one pass in fast code).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from sdlm_core import masks
from sdlm_core.models.language_model import LanguageModel
from sdlm_core.models.sampler import scaled


def block_states(lm: LanguageModel, known: list[int], block_size: int) -> Tensor:
    """One pass (section 3.2, figure 2): the hidden states (D, h) for what follows x_1 … x_t, which are `known`.
    Rows: x_1 … x_{t−1} causally, then the block x_t, m, …, m, which sees x_1 … x_{t−1} and itself.
    """
    t = len(known)
    token_ids = known + [lm.mask_token_id or 0] * (block_size - 1)
    rows = masks.concat([masks.causal_rows(0, t - 1), masks.block_rows(t - 1, block_size)])
    sees = masks.attention_mask(rows, lm.causal_attn)  # (n, n)

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (x.transpose(0, 1) for x in (q, k, v))  # (H, n, dh): several query heads share a key head
        return F.scaled_dot_product_attention(q, k, v, sees, enable_gqa=True).transpose(0, 1).flatten(1)

    return lm.transformer.forward(torch.tensor(token_ids), rows.position, attend)[t - 1 :]


def candidates(lm: LanguageModel, known: list[int], block_size: int) -> tuple[list[int], Tensor]:
    """The block's candidates c_1 … c_D and their distributions p (D, V), float64.
    Without a sampler, positions do not know of each other. With one (`models.sampler`), scores_i = E · (h_i + O s_i)
    for i ≥ 2, where s_1 = silu(F h_1), s_i = silu(A h_i + B e(c_{i−1}) + C s_{i−1} + b_i); h and e at unit mean square.
    """
    h = block_states(lm, known, block_size)
    p = lm.transformer.logits(h).double().softmax(-1)
    if w := lm.sampler:
        s = F.silu(w.first @ scaled(h[0]))
        for i in range(1, block_size):
            e, place = lm.transformer.embedding[p[i - 1].argmax()], min(i, w.block_size - 1) - 1
            s = F.silu(w.from_hidden @ scaled(h[i]) + w.from_token @ scaled(e) + w.from_state @ s + w.bias[place])
            p[i] = (w.scale[place] * lm.transformer.logits(h[i] + w.output @ s)).double().softmax(-1)
    return p.argmax(-1).tolist(), p


def autoregressive(lm: LanguageModel, prompt: list[int], limit: int) -> Iterator[list[int]]:
    """Next-token prediction: D = 1."""
    return threshold(lm, prompt, "prob_conf", 1, 1.0, limit)


def threshold(
    lm: LanguageModel, prompt: list[int], algorithm: str, block_size: int, tau: float, limit: int
) -> Iterator[list[int]]:
    """Longest sure prefix (section 3.4): keep c_1 … c_n, n the most candidates in a row with confidence above τ,
    at least one. `prob_conf`: p(c) (equation 7); `entropy_conf`: 1 − H(p) / ln|V| (equation 8)."""
    answer: list[int] = []
    while not ended(lm, answer, limit):
        chosen, p = candidates(lm, prompt + answer, block_size)
        by_entropy = 1 + torch.special.xlogy(p, p).sum(-1) / math.log(p.shape[-1])
        confidence = p.amax(-1) if algorithm == "prob_conf" else by_entropy
        n = max(1, int((confidence > tau).cumprod(0).sum()))
        accepted = until_end(lm, chosen[:n], limit - len(answer))
        answer += accepted
        yield accepted


def self_speculative(lm: LanguageModel, prompt: list[int], block_size: int, limit: int) -> Iterator[list[int]]:
    """Self-speculative decoding (section 3.4): the last candidates are a draft y_1 … y_k; branch i is the pass after
    x_1 … x_t, y_1 … y_i. y_{i+1} is accepted while branch i, itself accepted, predicts it first. The last accepted
    branch gives one token more, and its other candidates are the next draft."""
    answer: list[int] = []
    draft: list[int] = []
    while not ended(lm, answer, limit):
        branches = [candidates(lm, prompt + answer + draft[:i], block_size)[0] for i in range(len(draft) + 1)]
        held = 0
        while held < len(draft) and branches[held][0] == draft[held]:
            held += 1
        accepted = until_end(lm, draft[:held] + branches[held][:1], limit - len(answer))
        draft = branches[held][1:]
        answer += accepted
        yield accepted


def until_end(lm: LanguageModel, token_ids: list[int], room: int) -> list[int]:
    """As many of the tokens as the answer takes: up to an end token, and no more than there is room for."""
    ends = [i for i, token in enumerate(token_ids) if token in lm.end_token_ids]
    return token_ids[: min(room, ends[0] + 1 if ends else room)]


def ended(lm: LanguageModel, answer: list[int], limit: int) -> bool:
    """Whether an end token or the length limit has ended the answer."""
    return len(answer) == limit or any(token in lm.end_token_ids for token in answer[-1:])
