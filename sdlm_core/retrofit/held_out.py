"""Judging a run by prompts it never trains on: fixed batches, and the loss at each position of a block."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import torch
from torch import Tensor, nn

from sdlm_core.retrofit.collate import TEXT, Batch, Collator, packs
from sdlm_core.retrofit.data import Source, held_out_conversations, mix_seed


def held_out_batches(
    sources: list[Source], tokenizer: Any, collator: Collator, max_tokens: int, rows: int, rows_per_pass: int
) -> dict[str, list[Batch]]:
    """Fixed batches of every group, of at most `rows` each: the same prompts and blocks in every run."""
    parts: dict[str, list[Batch]] = {}
    made: dict[str, int] = {}
    for index, conversation in enumerate(held_out_conversations(sources, tokenizer, max_tokens)):
        group = conversation.group
        if made.get(group, 0) >= rows:
            continue
        generator = torch.Generator().manual_seed(mix_seed(0, -2, index))
        part = collator.sequence(conversation, collator.draw_starts(conversation, generator))
        parts.setdefault(group, []).append(part)
        made[group] = made.get(group, 0) + len(part)
    return {group: packs(sequences, rows_per_pass) for group, sequences in parts.items()}


@torch.no_grad()
def evaluate(
    module: nn.Module, held_out: dict[str, list[Batch]], block_size: int, pool: Executor | None
) -> dict[str, Any]:
    """Held-out loss per position for every group, and `held_out_loss`, the mean over the groups."""
    device = next(module.parameters()).device

    @torch.no_grad()  # the mode is each thread's own
    def one(batch: Batch) -> Tensor:
        losses: Tensor = module(batch.to(device), 1)[1]
        return losses.cpu()

    record: dict[str, Any] = {}
    means = []
    for group, batches in held_out.items():
        row_losses = list((pool.map if pool else map)(one, batches))
        means.append(mean_losses(row_losses, batches, block_size))
        record[f"held_out_{group}"] = [v for k, v in means[-1].items() if k != "loss"]
    return record | {"held_out_loss": round(sum(m["loss"] for m in means) / len(means), 4)}


def mean_losses(row_losses: list[Tensor], batches: list[Batch], block_size: int) -> dict[str, float]:
    """loss and loss_pos_1 … loss_pos_D of the block rows, loss_text of the text rows; left out where no row counts."""
    losses = torch.cat(row_losses)
    offset = torch.cat([b.offset for b in batches])
    counted = torch.cat([b.labels for b in batches]) >= 0
    groups = {"loss": offset != TEXT} | {f"loss_pos_{i + 1}": offset == i for i in range(block_size)}
    groups["loss_text"] = offset == TEXT
    found = {name: losses[counted & at] for name, at in groups.items()}
    return {name: round(values.mean().item(), 4) for name, values in found.items() if len(values)}
