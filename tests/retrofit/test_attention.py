"""All implementations of attention give one loss and one gradient, and the lean pass is transformers' own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sdlm_core import masks
from sdlm_core.retrofit.attention import attention
from sdlm_core.retrofit.lean import LeanModel
from tests.retrofit import tiny


def loss_and_gradients(kind: str, implementation: str, causal_attn: bool, recompute: bool = False) -> Any:
    model = tiny.model(kind)
    lean = LeanModel(model, tiny.MASK_ID, torch.float32, recompute=recompute)
    batch = tiny.batch(block_size=4)
    attend = attention(batch, 4, causal_attn, implementation, torch.float32)
    hidden = lean.hidden(batch.token_ids, batch.rows.position, attend)[batch.loss_rows]
    loss = F.cross_entropy(hidden @ lean.head_weight().t(), batch.labels)
    if implementation != "flex_attention":  # on a CPU it has no backward pass
        loss.backward()
    return loss.detach(), {n: p.grad for n, p in model.named_parameters()}


@pytest.mark.parametrize("causal_attn", [False, True])
@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_same_loss_and_gradients(kind: str, causal_attn: bool) -> None:
    loss, gradients = loss_and_gradients(kind, "eager", causal_attn)
    for implementation in ("sdpa", "split"):
        other_loss, other_gradients = loss_and_gradients(kind, implementation, causal_attn)
        torch.testing.assert_close(other_loss, loss)
        for name, gradient in gradients.items():
            torch.testing.assert_close(other_gradients[name], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_flex_attention_gives_the_same_loss(kind: str) -> None:
    with torch.no_grad():
        loss, _ = loss_and_gradients(kind, "flex_attention", False)
    with torch.enable_grad():
        expected, _ = loss_and_gradients(kind, "eager", False)
    torch.testing.assert_close(loss, expected)


def test_recomputing_layers_changes_nothing() -> None:
    loss, gradients = loss_and_gradients("llama", "split", False)
    again, recomputed = loss_and_gradients("llama", "split", False, recompute=True)
    torch.testing.assert_close(again, loss)
    for name, gradient in gradients.items():
        torch.testing.assert_close(recomputed[name], gradient)


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_the_pass_is_that_of_transformers(kind: str) -> None:
    """Each sequence through the original model, with the mask given as a bias."""
    model = tiny.model(kind).eval()
    lean = LeanModel(model, tiny.MASK_ID, torch.float32)
    batch = tiny.batch(block_size=4)
    attend = attention(batch, 4, False, "split", torch.float32)
    found = lean.hidden(batch.token_ids, batch.rows.position, attend) @ lean.head_weight().t()
    visible = masks.attention_mask(batch.rows, causal_attn=False)
    for number in range(len(batch.segments)):
        at = batch.sequence == number
        bias: Tensor = torch.where(visible[at][:, at], 0.0, float("-inf"))[None, None]
        logits = model(
            input_ids=batch.token_ids[at][None], position_ids=batch.rows.position[at][None], attention_mask=bias
        ).logits[0]
        torch.testing.assert_close(found[at], logits, rtol=1e-4, atol=1e-4)
