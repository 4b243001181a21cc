"""The one mask rule against the design's table, written out with loops."""

from __future__ import annotations

import pytest
import torch

from sdlm_core import masks


@pytest.mark.parametrize("causal_attn", [False, True])
@pytest.mark.parametrize(("t", "d", "drafted"), [(1, 1, 0), (1, 4, 0), (5, 4, 0), (3, 4, 3), (2, 8, 7)])
def test_a_pass_sees_what_the_design_says(t: int, d: int, drafted: int, causal_attn: bool) -> None:
    """Known tokens x_1 … x_t and a draft as causal rows, then a block after each prefix of the draft."""
    causal = masks.causal_rows(0, t + drafted)
    blocks = [masks.block_rows(t - 1 + i, d, i) for i in range(drafted + 1)]
    mask = masks.attention_mask(masks.concat([causal, *blocks]), causal_attn)
    expected = torch.zeros_like(mask)
    for row in range(t + drafted):
        for column in range(row + 1):
            expected[row, column] = True
    for i in range(drafted + 1):
        first = t + drafted + i * d
        for row in range(d):
            for column in range(
                t - 1 + i
            ):  # x_1 … x_{t−1} and the draft before: never the causal copy of its first token
                expected[first + row, column] = True
            for column in range(d):
                expected[first + row, first + column] = not causal_attn or column <= row
    assert torch.equal(mask, expected)
