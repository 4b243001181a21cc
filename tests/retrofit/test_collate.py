"""The collator against a slow, obvious reading of section 3.3."""

from __future__ import annotations

import torch

from sdlm_core import masks
from sdlm_core.retrofit.collate import IGNORE, TEXT, Collator
from sdlm_core.retrofit.data import Conversation
from tests.retrofit import tiny

IDS = list(range(100, 120))
TURNS = [(4, 9), (14, 18)]


def test_block_starts_lie_from_the_token_before_an_answer_to_its_last_but_one() -> None:
    every = Collator(block_size=4, mask_token_id=3, block_density=1.0, max_blocks=99)
    starts = every.draw_starts(Conversation(IDS, TURNS, "all"), torch.Generator())
    assert starts == [(s, 9) for s in range(3, 8)] + [(s, 18) for s in range(13, 17)]
    few = Collator(block_size=4, mask_token_id=3, block_density=0.5, max_blocks=3)
    chosen = few.draw_starts(Conversation(IDS, TURNS, "all"), torch.Generator())
    assert len(chosen) == 3
    assert set(chosen) <= set(starts)


def test_tokens_positions_and_labels() -> None:
    """Rows one by one: text, then every block's [x_s, m, m, m] with the tokens that follow, up to the answer's end."""
    collator = Collator(block_size=4, mask_token_id=3, block_density=1.0, max_blocks=99)
    starts = [(3, 9), (6, 9), (15, 18)]
    batch = collator.sequence(Conversation(IDS, TURNS, "all"), starts)
    token_ids, positions, labels = IDS[:15], list(range(15)), []
    for s, end in starts:
        for i in range(4):
            token_ids = [*token_ids, IDS[s] if i == 0 else 3]
            positions.append(s + i)
            labels.append(IDS[s + 1 + i] if s + 1 + i < end else IGNORE)
    assert batch.token_ids.tolist() == token_ids
    assert batch.rows.position.tolist() == positions
    assert batch.labels.tolist() == labels
    assert batch.loss_rows.tolist() == list(range(15, 27))
    assert batch.offset.tolist() == [0, 1, 2, 3] * 3


def test_text_rows_can_carry_the_next_token() -> None:
    """Only inside answers, from the token before an answer on; the block rows' labels are what they were."""
    plain = Collator(block_size=4, mask_token_id=3, block_density=1.0, max_blocks=99)
    labelled = Collator(block_size=4, mask_token_id=3, block_density=1.0, max_blocks=99, text_labels=True)
    conversation, starts = Conversation(IDS, TURNS, "all"), [(3, 9), (15, 18)]
    blocks, both = plain.sequence(conversation, starts), labelled.sequence(conversation, starts)
    expected = [IDS[p + 1] if p in (3, 4, 5, 6, 7, 13, 14) else IGNORE for p in range(15)]
    assert both.labels.tolist() == expected + blocks.labels.tolist()
    assert both.loss_rows.tolist() == list(range(15 + 8))
    assert both.offset.tolist() == [TEXT] * 15 + blocks.offset.tolist()
    assert both.token_ids.tolist() == blocks.token_ids.tolist()


def test_who_sees_whom() -> None:
    """The packed mask, pair by pair: text causally, a block the text before x_s and itself, never another sequence."""
    batch = tiny.batch(block_size=4)
    for causal_attn in (False, True):
        mask = masks.attention_mask(batch.rows, causal_attn) & (batch.sequence[:, None] == batch.sequence[None, :])
        kinds: list[tuple[int, tuple[int, int] | None, int]] = []  # per row: (sequence, block or None, position)
        for sequence, segment in enumerate(batch.segments):
            at = segment.start
            kinds += [(sequence, None, p) for p in range(segment.text)]
            for block in range(segment.blocks):
                first = int(batch.rows.position[at + segment.text + 4 * block])
                kinds += [(sequence, (block, first), first + i) for i in range(4)]
        for i, (number, own, position) in enumerate(kinds):
            for j, (other, theirs, there) in enumerate(kinds):
                if number != other:
                    sees = False
                elif own is None:
                    sees = theirs is None and there <= position
                elif theirs is None:
                    sees = there < own[1]
                else:
                    sees = theirs == own and (there <= position or not causal_attn)
                assert bool(mask[i, j]) == sees, (i, j, causal_attn)


def test_every_row_is_of_use() -> None:
    """No padding: the segments tile the pack, and the last text row of each is seen by its last block."""
    batch = tiny.batch(block_size=4)
    ends = [s.start + s.text + 4 * s.blocks for s in batch.segments]
    assert [0, *ends[:-1]] == [s.start for s in batch.segments]
    assert ends[-1] == len(batch)
    for segment, end in zip(batch.segments, ends, strict=True):
        assert int(batch.rows.horizon[end - 1]) == segment.text
