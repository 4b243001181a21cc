"""Products as the CPU computes them soonest, and the few sizes they come in."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sdlm_core.execution.linear import ColumnLinear, PackedLinear, for_processor
from sdlm_core.execution.shapes import attention_rows, product_rows
from sdlm_core.models.transformer import PlainLinear


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("rows", [1, 3, 4, 7, 16, 17, 63, 64, 100, 300])
def test_a_product_of_any_number_of_rows_is_that_of_the_plain_weight(
    rows: int, dtype: torch.dtype, with_bias: bool
) -> None:
    draw = torch.Generator().manual_seed(rows)
    weight, b, x = (torch.randn(*n, generator=draw).to(dtype) for n in ((48, 32), (48,), (rows, 32)))
    bias = b if with_bias else None
    product = for_processor(PlainLinear(weight, bias))
    assert isinstance(product, PackedLinear if dtype == torch.bfloat16 else ColumnLinear)
    found = product(x)
    assert found.shape == (rows, 48)
    close = {"atol": 0.05, "rtol": 0.02} if dtype == torch.bfloat16 else {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(found, F.linear(x, weight, bias), **close)


def test_sizes_are_few_and_not_much_larger() -> None:
    for few, most in ((product_rows, 45), (attention_rows, 35)):
        sizes = [few(n) for n in range(1, 1025)]
        assert all(n <= size for n, size in enumerate(sizes, start=1))
        assert all(few(size) == size for size in sizes)
        assert len(set(sizes)) < most
        assert all(size <= 1.5 * n for n, size in enumerate(sizes, start=1) if n > 16)
    assert all(product_rows(n) == n for n in range(1, 17))
