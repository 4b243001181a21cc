"""A weight matrix as a callable: `F.linear`, or the same product over weights laid out for the processor.

A pass has a dozen rows, so its products take as long as the weights take to arrive. oneDNN reads them in blocks of its
own; given plain rows it gathers them anew in every product. Laid out once at loading, products of 1 to 16 rows take
three quarters of the time (measured on AVX-512 without AMX; 0.85 at 72 rows, even at 512). int8 weights
(`torch._weight_int8pack_mm`) were measured too: faster for one row, slower from 16 rows on, so they are not used.
"""

from __future__ import annotations

import functools
import math

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
    """The product over a packed copy of a bfloat16 weight on the CPU. The plain weight may be given up.

    oneDNN compiles a kernel for each number of rows it meets (10 ms for all matrices of a layer, half a megabyte each)
    and keeps about a thousand. Passes of many runs have any number of rows, so it is rounded up to one of few.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), 16)  # the hint changes nothing
        self.bias = bias
        self(weight.new_zeros(1, weight.shape[1]))

    def __call__(self, x: Tensor) -> Tensor:
        rows = x.shape[0]
        surplus = few_sizes(rows) - rows
        if surplus:
            x = F.pad(x, (0, 0, 0, surplus))
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")
        return out[:rows]


def few_sizes(rows: int) -> int:
    """`rows` up to 16, beyond it a number not much larger: a multiple of 8, from 128 on of a quarter of a power of
    two."""
    step = 1 if rows <= 16 else 8 if rows <= 128 else 1 << (rows - 1).bit_length() - 3
    return math.ceil(rows / step) * step


def few_attending(rows: int) -> int:
    """Rows of one run that attend, up to fewer sizes still: powers of two to 16, then as above.

    Attention meets each of them with many lengths of the cache, and oneDNN keeps two kernels for each pair: unrounded,
    every prompt of another length left a megabyte behind.
    """
    return 1 << (rows - 1).bit_length() if rows <= 16 else few_sizes(rows)
