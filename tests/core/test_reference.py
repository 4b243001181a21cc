"""The reference's one pass against transformers' own forward, with the mask written by loops; and its length."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

import sdlm_core
from sdlm_core import reference

MASK = 3


def sees(row: int, column: int, t: int, causal_attn: bool) -> bool:
    """Whether a row of x_1 … x_t, m, …, m sees another: the text is causal, the block begins at x_t."""
    if row < t - 1:
        return column <= row
    return column < t - 1 or not causal_attn or column <= row


@pytest.mark.parametrize("causal_attn", [False, True])
@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "llama"])
def test_a_pass_is_transformers_forward_under_the_papers_mask(
    kind: str, causal_attn: bool, load: Callable[..., sdlm_core.LanguageModel], checkpoint: Callable[..., Path]
) -> None:
    settings = {"kind": kind, "tied": False, "causal_attn": causal_attn}
    lm = load(**settings)
    model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint(**settings), dtype=torch.float32).eval()
    for t, d in ((1, 4), (9, 1), (20, 8)):
        known = list(range(5, 5 + t))
        n = t + d - 1
        mask = torch.tensor([[sees(row, column, t, causal_attn) for column in range(n)] for row in range(n)])
        bias = torch.zeros(1, 1, n, n).masked_fill(~mask, torch.finfo(torch.float32).min)
        with torch.no_grad():
            logits = model(
                input_ids=torch.tensor([known + [MASK] * (d - 1)]),
                position_ids=torch.arange(n)[None],
                attention_mask=bias,
            ).logits[0, t - 1 :]
        found = reference.candidates(lm, known, d)[1]
        torch.testing.assert_close(found, logits.double().softmax(-1), atol=1e-5, rtol=1e-3)


def test_it_stays_a_page() -> None:
    assert len(Path(reference.__file__).read_text(encoding="utf-8").splitlines()) <= 100
