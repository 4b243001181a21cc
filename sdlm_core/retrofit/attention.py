"""Attention of a packed training batch, in four implementations that give the same result.

All take their mask from sdlm_core.masks. `eager` is the plain formula, `sdpa` PyTorch's kernel, both a sequence at a
time; `flex_attention` runs the whole pack as one (for GPUs); `split` is for CPUs: a block sees only text and itself, so
scores against other blocks are never computed, and its backward pass is written out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from sdlm_core import masks
from sdlm_core.errors import SDLMError
from sdlm_core.masks import Rows
from sdlm_core.models.transformer import Attend
from sdlm_core.retrofit.collate import Batch, Segment
from sdlm_core.retrofit.config import ATTENTION


def attention(batch: Batch, block_size: int, causal_attn: bool, implementation: str, dtype: torch.dtype) -> Attend:
    """What model.Transformer's layers call: queries, keys and values of all rows in, their mixture out."""
    if implementation == "flex_attention":
        return _flex(batch, causal_attn)
    if implementation == "split":
        return _split(batch, block_size, causal_attn, dtype)
    if implementation in ("eager", "sdpa"):
        return _per_sequence(batch, causal_attn, _eager if implementation == "eager" else _sdpa)
    raise SDLMError(f"attention must be one of {', '.join(ATTENTION)}, not {implementation!r}.")


def default_implementation(device: torch.device) -> str:
    return "split" if device.type == "cpu" else "sdpa"


# --- a sequence at a time -------------------------------------------------------------------------------------------


def _per_sequence(batch: Batch, causal_attn: bool, one: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> Attend:
    lengths = torch.bincount(batch.sequence).tolist()
    parts = [p.split(lengths) for p in (batch.rows.position, batch.rows.block, batch.rows.horizon)]
    visible = [masks.attention_mask(Rows(*part), causal_attn) for part in zip(*parts, strict=True)]

    def attend(index: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        sequences = zip(q.split(lengths), k.split(lengths), v.split(lengths), visible, strict=True)
        return torch.cat([one(*sequence) for sequence in sequences])

    return attend


def _eager(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """q (n, Hq, dh), k and v (n, Hkv, dh), mask bool (n, n) -> (n, Hq · dh)."""
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = torch.einsum("ihd,jhd->hij", q, k).float() * q.shape[-1] ** -0.5
    weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1).to(q.dtype)
    return torch.einsum("hij,jhd->ihd", weights, v).flatten(1)


def _sdpa(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))  # (1, H, n, dh)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=q.shape[1] != k.shape[1])
    return out[0].transpose(0, 1).flatten(1)


# --- the whole pack -------------------------------------------------------------------------------------------------


def _flex(batch: Batch, causal_attn: bool) -> Attend:
    rows, sequence, n = batch.rows, batch.sequence, len(batch)

    def mask_mod(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        seen = masks.visible(
            rows.position[i], rows.block[i], rows.horizon[i], rows.position[j], rows.block[j], causal_attn
        )
        return seen & (sequence[i] == sequence[j])

    device = batch.token_ids.device
    block_mask = create_block_mask(mask_mod, None, None, n, n, device=str(device))
    kernel: Any = torch.compile(flex_attention) if device.type == "cuda" else flex_attention

    def attend(index: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))  # (1, H, n, dh)
        out = kernel(q, k, v, block_mask=block_mask, enable_gqa=q.shape[1] != k.shape[1])
        return out[0].transpose(0, 1).flatten(1)  # type: ignore[no-any-return]

    return attend


# --- split: every row against the text, every block against itself ----------------------------------------------------

Bias = tuple[Tensor, Tensor]  # 0 where visible, −∞ elsewhere: (n, text) and (blocks, D, D)


def _split(batch: Batch, block_size: int, causal_attn: bool, dtype: torch.dtype) -> Attend:
    biases = [_bias(batch.rows, segment, block_size, causal_attn, dtype) for segment in batch.segments]

    def attend(index: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out: Tensor = _Split.apply(q, k, v, batch.segments, biases, block_size)  # type: ignore[no-untyped-call]
        return out

    return attend


def _bias(rows: Rows, segment: Segment, size: int, causal_attn: bool, dtype: torch.dtype) -> Bias:
    end = segment.start + segment.text + segment.blocks * size
    position, block, horizon = (x[segment.start : end] for x in (rows.position, rows.block, rows.horizon))
    text = segment.text
    to_text = masks.visible(
        position[:, None], block[:, None], horizon[:, None], position[None, :text], block[None, :text], causal_attn
    )
    p, b, h = (x[text:].view(-1, size, 1) for x in (position, block, horizon))
    to_self = masks.visible(p, b, h, p.transpose(1, 2), b.transpose(1, 2), causal_attn)
    zero = torch.zeros((), dtype=dtype, device=position.device)
    return torch.where(to_text, zero, float("-inf")), torch.where(to_self, zero, float("-inf"))


class _Split(torch.autograd.Function):
    """q (N, Hq, dh), k and v (N, Hkv, dh) of the whole pack -> (N, Hq · dh).

    Names: n rows of one sequence, L text rows, K blocks of D, G = Hq / Hkv queries a key head. Queries that share a key
    head lie side by side as rows of one matrix product.
    """

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, segments: list[Segment], biases: list[Bias], size: int
    ) -> Tensor:
        query_heads, kv_heads, dh = q.shape[1], k.shape[1], q.shape[2]
        out = torch.empty_like(q, memory_format=torch.contiguous_format)
        saved = []
        for segment, bias in zip(segments, biases, strict=True):
            length, blocks = segment.text, segment.blocks
            n = length + blocks * size
            part = slice(segment.start, segment.start + n)
            (q_rows, q_own), (k_text, k_own), (v_text, v_own) = _operands(q[part], k[part], v[part], length, size)
            scores = q.new_empty(query_heads, n, length + size)
            to_text = torch.bmm(q_rows, k_text.mT).view(query_heads, n, length)
            torch.add(bias[0], to_text, alpha=dh**-0.5, out=scores[:, :, :length])
            scores[:, :length, length:] = float("-inf")  # text rows see no block
            to_own = _unfold_own(torch.bmm(q_own, k_own.mT), query_heads, size)  # (Hq, K, D, D)
            own = scores[:, length:, length:].unflatten(1, (blocks, size))
            torch.add(bias[1], to_own, alpha=dh**-0.5, out=own)
            weights = scores.softmax(dim=-1)  # (Hq, n, L + D)
            mixed = torch.bmm(weights[..., :length].reshape(kv_heads, -1, length), v_text)
            _unfold(mixed, out[part])
            weights_own = _fold_own(weights[:, length:, length:], kv_heads, size)  # (Hkv · K, G · D, D)
            _unfold_blocks(torch.bmm(weights_own, v_own), out[part][length:], kv_heads, size)
            saved.append(weights)
        ctx.save_for_backward(q, k, v, out, *saved)
        ctx.layout = (segments, size)
        return out.view(q.shape[0], query_heads * dh)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, *saved = ctx.saved_tensors
        segments, size = ctx.layout
        kv_heads, dh = k.shape[1], q.shape[2]
        grad = grads[0].view_as(out)
        dq, dk, dv = (torch.empty_like(x, memory_format=torch.contiguous_format) for x in (q, k, v))
        delta = (grad * out).sum(dim=-1, dtype=torch.float32).to(q.dtype)  # (N, Hq): Σ_j weights_ij · d weights_ij
        for segment, weights in zip(segments, saved, strict=True):
            length, blocks = segment.text, segment.blocks
            n = length + blocks * size
            part = slice(segment.start, segment.start + n)
            (q_rows, q_own), (k_text, k_own), (v_text, v_own) = _operands(q[part], k[part], v[part], length, size)
            g_rows, g_own = _fold(grad[part], kv_heads), _fold_blocks(grad[part][length:], kv_heads, size)
            row_delta = _fold(delta[part][:, :, None], kv_heads)  # (Hkv, G · n, 1)
            own_delta = _fold_blocks(delta[part][length:, :, None], kv_heads, size)  # (Hkv · K, G · D, 1)
            to_text = weights[..., :length].reshape(kv_heads, -1, length)
            to_own = _fold_own(weights[:, length:, length:], kv_heads, size)
            _unfold(torch.bmm(to_text.mT, g_rows), dv[part][:length])
            _unfold_blocks(torch.bmm(to_own.mT, g_own), dv[part][length:], kv_heads, size, add=False)
            # softmax: d score = weight · (d weight − delta), and the scale of the scores
            d_text = torch.bmm(g_rows, v_text.mT).sub_(row_delta).mul_(to_text)
            d_own = torch.bmm(g_own, v_own.mT).sub_(own_delta).mul_(to_own)
            _unfold(torch.bmm(d_text, k_text), dq[part])
            _unfold_blocks(torch.bmm(d_own, k_own), dq[part][length:], kv_heads, size)
            _unfold(torch.bmm(d_text.mT, q_rows), dk[part][:length])
            _unfold_blocks(torch.bmm(d_own.mT, q_own), dk[part][length:], kv_heads, size, add=False)
        return dq.mul_(dh**-0.5), dk.mul_(dh**-0.5), dv, None, None, None


def _operands(q: Tensor, k: Tensor, v: Tensor, length: int, size: int) -> list[tuple[Tensor, Tensor]]:
    """One sequence's queries (all rows, blocks' rows), keys and values (text, blocks), folded for the products."""
    kv_heads = k.shape[1]
    wholes = (q, k[:length], v[:length])
    parts = zip(wholes, (q, k, v), strict=True)
    return [(_fold(whole, kv_heads), _fold_blocks(x[length:], kv_heads, size)) for whole, x in parts]


def _fold(x: Tensor, kv_heads: int) -> Tensor:
    """(n, H, d) -> (Hkv, G · n, d); G = H / Hkv is 1 for keys and values."""
    folded: Tensor = x.unflatten(1, (kv_heads, -1)).permute(1, 2, 0, 3)
    return folded.flatten(1, 2)


def _unfold(x: Tensor, into: Tensor) -> None:
    """The way back, written to `into` (n, H, d)."""
    kv_heads, n = x.shape[0], into.shape[0]
    into.unflatten(1, (kv_heads, -1)).copy_(x.view(kv_heads, -1, n, x.shape[-1]).permute(2, 0, 1, 3))


def _fold_blocks(x: Tensor, kv_heads: int, size: int) -> Tensor:
    """(K · D, H, d) -> (Hkv · K, G · D, d)."""
    blocks: Tensor = x.unflatten(0, (-1, size)).unflatten(2, (kv_heads, -1))  # (K, D, Hkv, G, d)
    return blocks.permute(2, 0, 3, 1, 4).flatten(2, 3).flatten(0, 1)


def _unfold_blocks(x: Tensor, into: Tensor, kv_heads: int, size: int, add: bool = True) -> None:
    """The way back, added to (or written over) `into` (K · D, H, d)."""
    x = x.view(kv_heads, -1, x.shape[1] // size, size, x.shape[-1]).permute(1, 3, 0, 2, 4)  # (K, D, Hkv, G, d)
    into = into.unflatten(0, (-1, size)).unflatten(2, (kv_heads, -1))
    into.add_(x) if add else into.copy_(x)


def _fold_own(weights: Tensor, kv_heads: int, size: int) -> Tensor:
    """(Hq, K · D, D) -> (Hkv · K, G · D, D)."""
    own: Tensor = weights.unflatten(1, (-1, size)).unflatten(0, (kv_heads, -1))  # (Hkv, G, K, D, D)
    return own.transpose(1, 2).flatten(2, 3).flatten(0, 1)


def _unfold_own(x: Tensor, query_heads: int, size: int) -> Tensor:
    """(Hkv · K, G · D, D) -> (Hq, K, D, D); the number of key heads follows from the shapes."""
    group = x.shape[1] // size
    x = x.view(query_heads // group, -1, group, size, size)  # (Hkv, K, G, D, D)
    return x.transpose(1, 2).flatten(0, 1)
