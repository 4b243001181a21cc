"""Matrix products on a CPU: bfloat16 weights are laid out for the processor, few float32 rows are taken as columns.

A pass has a dozen rows, so its products take as long as the weights take to arrive. oneDNN reads them in blocks of its
own; given plain rows it gathers them anew in every product. Laid out once, products of 1 to 16 rows take three quarters
of the time (measured on AVX-512 without AMX; 0.85 at 72 rows, even at 512). int8 weights (`torch._weight_int8pack_mm`)
were measured too: faster for one row, slower from 16 rows on, so they are not used.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sdlm_core.execution.shapes import COLUMN_ROWS, FEWEST_ROWS, product_rows
from sdlm_core.models.heap import give_back
from sdlm_core.models.sampler import Drafter
from sdlm_core.models.transformer import Linear, PlainLinear, Transformer


class PackedLinear:
    """x (n, in) -> (n, out) by a packed copy of a bfloat16 weight on the CPU. The plain weight may be given up.

    oneDNN compiles a kernel for each number of rows it meets (10 ms for all matrices of a layer, half a megabyte each)
    and keeps about a thousand. Passes of many runs have any number of rows, so it is rounded up to one of few.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), 16)  # the hint changes nothing
        self.bias = bias
        # A single row's long sum is split otherwise than that of several, and rounds otherwise.
        self.least = FEWEST_ROWS if weight.shape[1] > weight.shape[0] else 1
        self(weight.new_zeros(1, weight.shape[1]))

    def __call__(self, x: Tensor) -> Tensor:
        rows = x.shape[0]
        surplus = max(product_rows(rows), self.least) - rows
        if surplus:
            x = F.pad(x, (0, 0, 0, surplus))
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")
        return out[:rows]


class ColumnLinear(PlainLinear):
    """x (n, in) -> (n, out) in float32 on a CPU, of 4 to 63 rows as the transpose of W xᵀ.

    The same sums, but MKL shares the work out by the long side: with two threads, the products of a layer take half the
    time at 8 rows and a third at 16 (AVX-512 without bfloat16). Packed weights are a fifth faster still, but a single
    row is a third slower. The result is a transposed view: what needs its rows together has to copy them.
    """

    def __call__(self, x: Tensor) -> Tensor:
        if x.shape[0] not in COLUMN_ROWS:
            return super().__call__(x)
        if self.bias is None:
            return (self.weight @ x.t()).t()
        return torch.addmm(self.bias[:, None], self.weight, x.t()).t()


def for_processor(linear: Linear) -> Linear:
    """The product as the CPU computes it soonest, where `linear` is a plain one on a CPU; else `linear` as it is."""
    if not isinstance(linear, PlainLinear) or linear.weight.device.type != "cpu":
        return linear
    weight, bias = linear.weight, linear.bias
    if weight.dtype == torch.float32:
        return ColumnLinear(weight, bias)
    if weight.dtype == torch.bfloat16 and torch.backends.mkldnn.is_available():
        try:
            return PackedLinear(weight, bias)
        except (AttributeError, RuntimeError):  # a build of PyTorch without these operators
            pass
    return linear


@torch.no_grad()
def prepare_weights(transformer: Transformer) -> None:
    """`for_processor` for every matrix, in place. One at a time, so that memory holds a single matrix twice."""
    for layer in transformer.layers:
        for name in ("qkv", "output", "gate_up", "down"):
            setattr(layer, name, for_processor(getattr(layer, name)))
        give_back()
    transformer.head = for_processor(transformer.head)


def prepare_drafter(drafter: Drafter) -> None:
    """`for_processor` for the sampler's matrices, in place."""
    for name in ("first", "from_hidden", "step", "output"):
        setattr(drafter, name, for_processor(getattr(drafter, name)))
