"""The chunked loss against F.cross_entropy, values and gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sdlm_core.retrofit.loss import Teacher, cross_entropy


@pytest.mark.parametrize("chunk", [5, 64])
def test_equals_cross_entropy(chunk: int) -> None:
    torch.manual_seed(0)
    hidden = torch.randn(23, 16, requires_grad=True)
    head = torch.randn(50, 16, requires_grad=True)
    labels = torch.randint(0, 50, (23,))
    labels[[3, 9]] = -100
    weights = torch.rand(23)
    total, losses = cross_entropy(hidden, head, labels, weights, chunk=chunk)
    (2 * total).backward()
    found = hidden.grad, head.grad
    hidden.grad = head.grad = None
    expected = F.cross_entropy(hidden @ head.t(), labels, reduction="none", ignore_index=-100)
    (2 * (expected * weights).sum()).backward()
    torch.testing.assert_close(losses, expected.detach())
    torch.testing.assert_close(total, (expected * weights).sum())
    torch.testing.assert_close(found[0], hidden.grad)
    torch.testing.assert_close(found[1], head.grad)


def test_gradient_of_one_trained_row_of_a_frozen_head() -> None:
    torch.manual_seed(0)
    hidden, head = torch.randn(23, 16), torch.randn(50, 16)
    row = head[7].clone().requires_grad_()
    labels, weights = torch.randint(0, 50, (23,)), torch.rand(23)
    total, _ = cross_entropy(hidden, head, labels, weights, row_id=7, row=row)
    total.backward()
    trained = head.clone().requires_grad_()
    (F.cross_entropy(hidden @ trained.t(), labels, reduction="none") * weights).sum().backward()
    assert trained.grad is not None
    torch.testing.assert_close(row.grad, trained.grad[7])


def test_bfloat16_keeps_the_gradient_of_confident_rows() -> None:
    """Where p(label) is 0.999, (p − 1) computed in bf16 would be off by its own size."""
    torch.manual_seed(0)
    head = torch.randn(50, 16).bfloat16()
    labels = torch.arange(40)
    hidden = (head[:40].float() * 1.5).bfloat16().requires_grad_()
    weights = torch.full((40,), 1 / 40)
    total, _ = cross_entropy(hidden, head, labels, weights)
    total.backward()
    exact = hidden.detach().float().requires_grad_()
    F.cross_entropy(exact @ head.float().t(), labels).backward()
    assert hidden.grad is not None
    assert exact.grad is not None
    error = (hidden.grad.float() - exact.grad).norm() / exact.grad.norm()
    assert error < 0.05


def test_a_teacher_is_learnt_as_it_is_at_its_temperature() -> None:
    torch.manual_seed(0)
    hidden, taught = torch.randn(23, 16, requires_grad=True), torch.randn(23, 16)
    head = torch.randn(50, 16)
    row = head[7].clone().requires_grad_()
    labels, weights = torch.randint(8, 50, (23,)), torch.rand(23)
    total, losses = cross_entropy(hidden, head, labels, weights, 7, row, Teacher(taught, 0.5, never=7), chunk=5)
    total.backward()
    found = hidden.grad
    hidden.grad = None
    trained = head.clone().requires_grad_()
    wanted = (taught @ head.t()) / 0.5
    wanted[:, 7] = -torch.inf
    logits = hidden @ trained.t()
    expected = (F.cross_entropy(logits, wanted.softmax(dim=-1), reduction="none") * weights).sum()
    expected.backward()
    assert trained.grad is not None
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(found, hidden.grad)
    torch.testing.assert_close(row.grad, trained.grad[7])
    torch.testing.assert_close(losses, F.cross_entropy(logits, labels, reduction="none").detach())
