"""Cross-entropy over the vocabulary, a chunk of rows at a time, with its gradients computed on the way.

Logits of all rows in float32 would be the largest tensor of a training step; here only a chunk of them ever exists, in
the hidden states' dtype, and it is turned into its own gradient in place. It knows nothing of blocks or models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

CHUNK = 192  # rows; 192 x 49,152 logits in bf16 are 19 MB and stay in the last-level cache


@dataclass(frozen=True)
class Teacher:
    """Whose distribution shall be learnt: hidden states (m, h) of a model that has seen the same text and shares the
    head, the temperature > 0 that its distribution is sharpened to, and a token it never says."""

    hidden: Tensor
    temperature: float
    never: int

    def probabilities(self, head: Tensor, part: slice) -> Tensor:
        """float32 (c, V) of the rows in `part`."""
        logits = (self.hidden[part] @ head.t()).float().div_(self.temperature)
        logits[:, self.never] = -torch.inf
        return logits.softmax(dim=-1)


def cross_entropy(
    hidden: Tensor,
    head: Tensor,
    labels: Tensor,
    weights: Tensor,
    row_id: int | None = None,
    row: Tensor | None = None,
    teacher: Teacher | None = None,
    chunk: int = CHUNK,
) -> tuple[Tensor, Tensor]:
    """Σ weights · loss (float32 scalar, differentiable) and each row's −log p(label) (float32 (m,), detached).

    hidden (m, h) and head (V, h) in one dtype; labels int64 (m,), negative to ignore; weights float32 (m,). Gradients
    go to hidden, to head if it asks for one, and to `row` (h,), a trained copy of the frozen head's row `row_id`. With
    a teacher, a row's loss is the cross-entropy to the teacher's distribution; then every row must have its label.
    """
    keep = labels >= 0
    losses = torch.zeros(labels.shape, dtype=torch.float32, device=hidden.device)
    total, kept = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden[keep], head, labels[keep], weights[keep], row_id, row, teacher, chunk
    )
    losses[keep] = kept
    return total, losses


# Each turns logits (c, V) into −log p(label) (c,), the loss (c,) and a pair (scores, total) with
# d loss / d logits = scores / total: the division waits for the small side of a product. `logits` is used up.
Parts = tuple[Tensor, Tensor, Tensor, Tensor]


def _to_label(logits: Tensor, label: Tensor) -> Parts:
    """Cross-entropy to one token, label (c, 1)."""
    target = logits.gather(1, label).float()
    top = logits.amax(dim=1, keepdim=True)
    scores = logits.sub_(top).exp_()  # e^(z − max): softmax without its denominator
    total = scores.sum(dim=1, keepdim=True, dtype=torch.float32)  # (c, 1)
    loss = (total.log() + top.float() - target)[:, 0]
    # scores − total · onehot. The label's entry is subtracted in float32, where a confident row would cancel to noise
    # in bf16.
    scores.scatter_(1, label, (scores.gather(1, label).float() - total).to(scores.dtype))
    return loss, loss, scores, total


def _to_distribution(logits: Tensor, label: Tensor, wanted: Tensor) -> Parts:
    """Cross-entropy to a distribution, wanted float32 (c, V)."""
    log_p = logits.float().log_softmax(dim=-1)
    loss = -torch.linalg.vecdot(wanted, log_p)
    own = -log_p.gather(1, label)[:, 0]
    return own, loss, log_p.exp_().sub_(wanted).to(logits.dtype), torch.ones_like(loss)[:, None]


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        head: Tensor,
        labels: Tensor,
        weights: Tensor,
        row_id: int | None,
        row: Tensor | None,
        teacher: Teacher | None,
        chunk: int,
    ) -> tuple[Tensor, Tensor]:
        need_hidden, need_head = ctx.needs_input_grad[:2]
        need_row = row is not None and ctx.needs_input_grad[5]
        losses, wanted_losses = torch.empty((2, *labels.shape), dtype=torch.float32, device=hidden.device)
        d_hidden = torch.empty_like(hidden) if need_hidden else None
        d_head = torch.zeros_like(head, dtype=torch.float32) if need_head else None
        d_row = torch.zeros_like(row, dtype=torch.float32) if need_row and row is not None else None
        for start in range(0, labels.shape[0], chunk):
            part = slice(start, start + chunk)
            h, label = hidden[part], labels[part, None]  # (c, h), (c, 1)
            logits = h @ head.t()  # (c, V)
            losses[part], wanted_losses[part], scores, total = (
                _to_distribution(logits, label, teacher.probabilities(head, part))
                if teacher
                else _to_label(logits, label)
            )
            scale = weights[part, None] / total  # (c, 1) float32
            if d_hidden is not None:
                d_hidden[part] = (scores @ head).mul_(scale)
            scaled = (h * scale).to(h.dtype) if need_head or need_row else h
            if d_head is not None:
                d_head += scores.t() @ scaled
            if d_row is not None and row_id is not None:
                d_row += scores[:, row_id].float() @ scaled.float()
        ctx.save_for_backward(d_hidden, d_head, d_row)
        ctx.dtypes = (head.dtype, None if row is None else row.dtype)
        ctx.mark_non_differentiable(losses)
        return (wanted_losses * weights).sum(), losses

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_head, d_row = ctx.saved_tensors
        grad = grads[0]
        head_dtype, row_dtype = ctx.dtypes
        return (
            None if d_hidden is None else d_hidden * grad.to(d_hidden.dtype),
            None if d_head is None else (d_head * grad).to(head_dtype),
            None,
            None,
            None,
            None if d_row is None else (d_row * grad).to(row_dtype),
            None,
            None,
        )
