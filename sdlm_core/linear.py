"""A weight matrix as a callable: `F.linear`, or the same product over weights laid out for the processor.

A pass has a dozen rows, so its products take as long as the weights take to arrive. oneDNN reads them in blocks of its
own; given plain rows it gathers them anew in every product. Laid out once at loading, products of 1 to 16 rows take
three quarters of the time (measured on AVX-512 without AMX; 0.85 at 72 rows, even at 512). int8 weights
(`torch._weight_int8pack_mm`) were measured too: faster for one row, slower from 16 rows on, so they are not used.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from sdlm_core.model import Linear


def linear(weight: Tensor, bias: Tensor | None) -> Linear:
    """x (n, in) -> (n, out) for weight (out, in) and bias (out,)."""
    if weight.device.type == "cpu" and weight.dtype == torch.bfloat16 and torch.backends.mkldnn.is_available():
        try:
            return Packed(weight, bias)
        except (AttributeError, RuntimeError):  # a build of PyTorch without these operators
            pass
    return functools.partial(F.linear, weight=weight, bias=bias)


class Packed:
    """The product over a packed copy of a bfloat16 weight on the CPU. The plain weight may be given up."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), 16)  # the hint changes nothing
        self.bias = bias
        self(weight.new_zeros(1, weight.shape[1]))

    def __call__(self, x: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")
        return out
