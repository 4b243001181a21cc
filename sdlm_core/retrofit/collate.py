"""From conversations to packed rows: draw blocks, lay them behind the text, put the labels beside them (section 3.3).

A sequence is its text rows x₁…x_L, then K blocks of D rows [x_s, m × (D−1)] at positions s … s+D−1, each with labels
x_{s+1} … x_{s+D}; text rows may be labelled too, with the next token. A batch is sequences one after another in one
flat list: no padding, nothing wasted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdlm_core import masks
from sdlm_core.masks import Rows
from sdlm_core.retrofit.data import Conversation, Mixture, mix_seed

IGNORE = -100  # label of a row that carries no loss
TEXT = -1  # offset of a text row


@dataclass(frozen=True)
class Segment:
    """Where one sequence lies in the batch: text rows [start, start + text), then blocks × D block rows.
    self_distilled: the base model wrote its answers."""

    start: int
    text: int
    blocks: int
    self_distilled: bool = False


@dataclass(frozen=True)
class Batch:
    """n packed rows, of which m have labels: all block rows, and text rows where the collator says so. int64 tensors.

    token_ids, sequence: (n,); rows: the coordinates of all n. loss_rows: (m,) where the labelled rows lie among the n;
    labels (m,) with IGNORE outside answers; offset (m,) the row's place in its block, 0 … D−1, TEXT for a text row.
    """

    token_ids: Tensor
    sequence: Tensor
    rows: Rows
    segments: list[Segment]
    loss_rows: Tensor
    labels: Tensor
    offset: Tensor

    def __len__(self) -> int:
        return self.token_ids.shape[0]

    def to(self, device: torch.device) -> Batch:
        return Batch(
            self.token_ids.to(device),
            self.sequence.to(device),
            self.rows.to(device),
            self.segments,
            self.loss_rows.to(device),
            self.labels.to(device),
            self.offset.to(device),
        )

    def for_teacher(self, block_size: int) -> tuple[Batch | None, Tensor]:
        """What a teacher reads: the self-distilled sequences as plain text, whose labelled rows are to teach, in
        order, those of this batch that predict a token from all the tokens before it: text rows and the first rows of
        blocks. And which of this batch's labelled rows those are, bool (m,)."""
        read: list[int] = []  # the rows whose tokens the teacher reads
        segments: list[Segment] = []
        start = torch.full_like(self.token_ids, IGNORE)  # of its sequence in the teacher's batch, by row
        for s in self.segments:
            if s.self_distilled:
                end = s.start + s.text + s.blocks * block_size
                start[s.start : end] = len(read)
                segments.append(Segment(len(read), s.text + 1, 0))
                read += [*range(s.start, s.start + s.text), end - block_size]  # the last block carries one token more
        start = start[self.loss_rows]
        taught = (start >= 0) & (self.offset <= 0) & (self.labels >= 0)
        if not bool(taught.any()):
            return None, taught
        return Batch(
            self.token_ids[read],
            self.sequence[read],
            masks.concat([masks.causal_rows(0, s.text) for s in segments]).to(self.token_ids.device),
            segments,
            start[taught] + self.rows.position[self.loss_rows[taught]],
            self.labels[taught],
            self.offset[taught],
        ), taught


@dataclass(frozen=True)
class Collator:
    """How blocks are drawn. block_density: blocks per answer token; at most max_blocks a conversation. text_labels:
    the answers' text rows get labels too. text_ahead: text rows kept from the last block's start on; no block sees
    them, but they say what the model itself predicts there."""

    block_size: int
    mask_token_id: int
    block_density: float
    max_blocks: int
    text_labels: bool = False
    text_ahead: int = 0

    def draw_starts(self, conversation: Conversation, generator: torch.Generator) -> list[tuple[int, int]]:
        """(s, end of its turn) of the drawn blocks, ascending. s runs from the token before the answer's first one."""
        candidates = [(s, end) for start, end in conversation.turns for s in range(max(start - 1, 0), end - 1)]
        wanted = min(self.max_blocks, max(1, round(self.block_density * len(candidates))), len(candidates))
        chosen = torch.randperm(len(candidates), generator=generator)[:wanted].sort().values.tolist()
        return [candidates[i] for i in chosen]

    def sequence(self, conversation: Conversation, starts: list[tuple[int, int]]) -> Batch:
        """One conversation with its blocks. Text that nobody sees and nobody asked for is dropped."""
        ids, size = conversation.token_ids, self.block_size
        text = min(
            starts[-1][0] + self.text_ahead, len(ids)
        )  # the last block sees x_1 … x_{s−1} and carries x_s itself
        token_ids = ids[:text]
        labels = self._text_labels(conversation, text) if self.text_labels else []
        offset = [TEXT] * len(labels) + list(range(size)) * len(starts)
        for s, end in starts:
            token_ids = token_ids + [ids[s]] + [self.mask_token_id] * (size - 1)
            known = ids[s + 1 : min(s + 1 + size, end)]
            labels += known + [IGNORE] * (size - len(known))
        rows = masks.concat(
            [masks.causal_rows(0, text)] + [masks.block_rows(s, size, block) for block, (s, _) in enumerate(starts)]
        )
        count = len(starts) * size
        return Batch(
            token_ids=torch.tensor(token_ids),
            sequence=torch.zeros(text + count, dtype=torch.int64),
            rows=rows,
            segments=[Segment(0, text, len(starts), conversation.self_distilled)],
            loss_rows=torch.arange(text + count - len(labels), text + count),
            labels=torch.tensor(labels),
            offset=torch.tensor(offset),
        )

    def _text_labels(self, conversation: Conversation, text: int) -> list[int]:
        labels = [IGNORE] * text
        for start, end in conversation.turns:
            for p in range(max(start - 1, 0), min(end - 1, text)):
                labels[p] = conversation.token_ids[p + 1]
        return labels

    def draw(self, mixture: Mixture, rows: int) -> list[Batch]:
        """The next sequences: added until one more like the last would overrun `rows`."""
        parts: list[Batch] = []
        total = 0
        while not parts or total + len(parts[-1]) <= rows:
            generator = torch.Generator().manual_seed(mix_seed(mixture.seed, -1, mixture.count))
            source, conversation = mixture.draw()
            part = self.sequence(conversation, self.draw_starts(conversation, generator))
            mixture.account(source, len(part))
            parts.append(part)
            total += len(part)
        return parts


def packs(sequences: list[Batch], rows: int) -> list[Batch]:
    """Sequences in as many packs as it takes for none to exceed `rows`, unless a single sequence does."""
    groups: list[list[Batch]] = []
    for sequence in sequences:
        if groups and sum(map(len, groups[-1])) + len(sequence) <= rows:
            groups[-1].append(sequence)
        else:
            groups.append([sequence])
    return [pack(group) for group in groups]


def pack(parts: list[Batch]) -> Batch:
    """Sequences one after another; sequence numbers and row indices shifted accordingly."""
    starts = [0]
    for part in parts:
        starts.append(starts[-1] + len(part))
    return Batch(
        token_ids=torch.cat([p.token_ids for p in parts]),
        sequence=torch.cat([torch.full((len(p),), i) for i, p in enumerate(parts)]),
        rows=masks.concat([p.rows for p in parts]),
        segments=[replace(p.segments[0], start=at) for at, p in zip(starts, parts, strict=False)],
        loss_rows=torch.cat([p.loss_rows + at for at, p in zip(starts, parts, strict=False)]),
        labels=torch.cat([p.labels for p in parts]),
        offset=torch.cat([p.offset for p in parts]),
    )
