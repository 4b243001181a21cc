"""Who sees whom: the one definition of attention visibility (paper section 3.2, figure 2).

Decoding, self-speculative verification and training all lay out *rows* (tokens to run through the model) and
describe each with three integers. The rule below turns them into a mask; nothing else in the project builds one.
It knows nothing of token ids, caches or tensors of scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

CAUSAL = -1  # the `block` of a row that belongs to no block


@dataclass(frozen=True)
class Rows:
    """Coordinates of n rows; each field is an int64 tensor of shape (n,).

    position: place in the text, 0-based; two rows may share one (a causal copy and a block's first row do).
    block:    the block the row belongs to, or CAUSAL.
    horizon:  the row sees causal rows at positions *before* this. A causal row's horizon is its position + 1 (it
              sees itself); a block row's is its block's first position (never the causal copy of that token).
    """

    position: Tensor
    block: Tensor
    horizon: Tensor

    def __len__(self) -> int:
        return self.position.shape[0]

    def to(self, device: torch.device) -> Rows:
        return Rows(self.position.to(device), self.block.to(device), self.horizon.to(device))


def causal_rows(start: int, count: int) -> Rows:
    """`count` causal rows at positions start, start + 1, …"""
    position = torch.arange(start, start + count)
    return Rows(position, torch.full_like(position, CAUSAL), position + 1)


def block_rows(start: int, block_size: int, block: int = 0) -> Rows:
    """The D rows of one block whose first row, the newest known token once more, is at position `start`."""
    position = torch.arange(start, start + block_size)
    return Rows(position, torch.full_like(position, block), torch.full_like(position, start))


def concat(parts: Sequence[Rows]) -> Rows:
    """Rows one after another, in the order given."""
    return Rows(
        torch.cat([p.position for p in parts]),
        torch.cat([p.block for p in parts]),
        torch.cat([p.horizon for p in parts]),
    )


def visible(
    query_position: Tensor,
    query_block: Tensor,
    query_horizon: Tensor,
    key_position: Tensor,
    key_block: Tensor,
    causal_attn: bool,
) -> Tensor:
    """The rule, elementwise over broadcastable integer tensors; True where the query row sees the key row.

    A row sees the causal rows before its horizon, and its own block: both ways, or causally if `causal_attn`.
    """
    text = (key_block == CAUSAL) & (key_position < query_horizon)
    own_block = (key_block != CAUSAL) & (key_block == query_block)
    if causal_attn:
        own_block = own_block & (key_position <= query_position)
    return text | own_block


def attention_mask(rows: Rows, causal_attn: bool) -> Tensor:
    """The mask among `rows` themselves: bool (n, n), [i, j] is True where row i sees row j."""
    return visible(
        rows.position[:, None],
        rows.block[:, None],
        rows.horizon[:, None],
        rows.position[None, :],
        rows.block[None, :],
        causal_attn,
    )
