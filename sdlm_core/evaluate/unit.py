"""A unit of a sweep: some prompts at one D, decoded under every setting of that D, in batches.

Each prompt is decoded at τ 1 first; that is the reference for agreement and calibration, and its passes serve the
other settings (see `passes`). A unit's result depends on its arguments alone, not on what ran before, so a sweep that
was killed repeats the unit it was in and ends with the same numbers. It knows nothing of files.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from sdlm_core.config import DecodeConfig
from sdlm_core.decoding import algorithms
from sdlm_core.decoding.algorithms import Proposal, count_held, worth_verifying
from sdlm_core.decoding.loop import run_batch
from sdlm_core.decoding.state import new_state
from sdlm_core.evaluate.cells import Cell
from sdlm_core.evaluate.passes import Block, Node, Reader, read_blocks
from sdlm_core.evaluate.tasks import Item
from sdlm_core.execution.cache import CachePool
from sdlm_core.execution.executor import executor_for
from sdlm_core.models.language_model import LanguageModel

BATCH = 16  # answers in one forward pass


@dataclass
class Answer:
    """What one setting gave for one prompt. accepted: tokens kept by each pass; finish_reason: as in a trace."""

    item: Item
    cell: Cell
    token_ids: list[int] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    finish_reason: str | None = None


@dataclass
class UnitResult:
    """answers: of every cell and item; references: the τ 1 answers, by item id; blocks: the τ 1 passes, one a token."""

    answers: list[Answer]
    references: dict[str, list[int]]
    blocks: dict[str, list[Block]]
    computed: int  # passes that the model ran, as against those taken from the tree


class _Decoding:
    """One answer being decoded: replays passes from the tree, and reads the first one that is not there.

    reference: the finished τ 1 decoding of the same prompt, whose cache a new reader takes over as far as they agree.
    """

    def __init__(
        self,
        lm: LanguageModel,
        pool: CachePool,
        root: Node,
        item: Item,
        cell: Cell,
        config: DecodeConfig,
        reference: _Decoding | None = None,
    ) -> None:
        self.lm, self.pool, self.node, self.item, self.cell, self.reference = lm, pool, root, item, cell, reference
        self.state = new_state(lm, lm.encode(item.prompt)[1], config)
        self.blocks: list[Block] = []
        self.accepted: list[int] = []
        self._reader: Reader | None = None

    @property
    def done(self) -> bool:
        return self.state.finish_reason is not None

    @property
    def answer(self) -> Answer:
        state = self.state
        return Answer(self.item, self.cell, state.token_ids, self.accepted, state.finish_reason)

    def replay(self) -> None:
        """Take passes from the tree as far as it goes."""
        while not self.done and (block := self.node.block) is not None:
            proposal = Proposal(block.guesses(self.state.config.algorithm), [])
            n = algorithms.commit(self.state, algorithms.decide(self.state, proposal, len(block.token_ids)))
            self.accepted.append(n)
            self.blocks.append(block)
            self.node = self.node.after(self.state.token_ids[-n:])

    def reader(self) -> Reader:
        """The reader that stands where the tree ends."""
        if self._reader is None:
            state = self.state
            self._reader = Reader(self.lm, state.prompt_ids, state.token_ids, state.config, self.pool)
            if self.reference is not None and self.reference._reader is not None:
                self._reader.copy_cache(self.reference._reader)
        self._reader.extend(self.state.token_ids)
        return self._reader

    def leave(self) -> None:
        """Make room in the pool; what a reference has read stays."""
        if self._reader is None:
            return
        if self.reference is None:
            self._reader.move_out()
        else:
            self._reader.leave()


def decode_unit(
    lm: LanguageModel,
    items: Sequence[Item],
    block_size: int,
    cells: Sequence[Cell],
    template: DecodeConfig,
    batch: int = BATCH,
    progress: Callable[[float], None] | None = None,
) -> UnitResult:
    """Decode every item under every cell of one D. progress is called with the share of answers that are finished."""
    # At D = 1 there is no τ, and a model without a mask token can do nothing else.
    reference_cell = Cell("prob_conf", block_size, 1.0) if block_size > 1 else Cell("autoregressive", 1)
    speculative = [cell for cell in cells if cell.algorithm == "self_speculative"]
    others = [cell for cell in cells if cell not in speculative and cell != reference_cell]
    pool = executor_for(lm).new_pool()  # of the answers in hand, which attend in one call
    roots = {item.id: Node() for item in items}
    waiting = deque(
        _Decoding(lm, pool, roots[item.id], item, reference_cell, reference_cell.config(template)) for item in items
    )
    references: dict[str, _Decoding] = {}
    finished: dict[tuple[str, Cell], Answer] = {}
    computed = 0

    def refill(members: Sequence[_Decoding]) -> list[_Decoding]:
        joining = [waiting.popleft() for _ in range(min(batch - len(members), len(waiting)))]
        for decoding in joining:
            decoding.replay()
        return joining

    def step(members: Sequence[_Decoding]) -> None:
        nonlocal computed
        nodes: dict[int, _Decoding] = {}  # those at the same place of a tree read it once
        for decoding in members:
            nodes.setdefault(id(decoding.node), decoding)
        first = list(nodes.values())
        for decoding, block in zip(first, read_blocks([d.reader() for d in first]), strict=True):
            decoding.node.block = block
        for decoding in members:
            decoding.replay()
        computed += len(first)
        if progress:
            progress(len(finished) / (len(items) * (len(cells) + 1)))

    for decoding in run_batch(refill, step, lambda decoding: decoding.done):
        decoding.leave()
        item = decoding.item
        finished[item.id, decoding.cell] = decoding.answer
        if decoding.cell == reference_cell:
            references[item.id] = decoding
            for cell in speculative:
                finished[item.id, cell] = speculate(decoding.answer, decoding.blocks, cell)
            waiting.extend(
                _Decoding(lm, pool, roots[item.id], item, cell, cell.config(template), decoding) for cell in others
            )
    return UnitResult(
        answers=[finished[item.id, cell] for cell in cells for item in items],
        references={name: decoding.state.token_ids for name, decoding in references.items()},
        blocks={name: decoding.blocks for name, decoding in references.items()},
        computed=computed,
    )


def speculate(reference: Answer, blocks: Sequence[Block], cell: Cell) -> Answer:
    """The self-speculative run, read off the τ 1 run of the same D.

    Its tokens are those of τ 1. A pass verifies the draft that the block before the newest token left (candidates
    2 … D there, as far as they are worth it) and keeps one token more than those of it which are τ 1's own; the first
    pass has no draft.
    """
    tokens, answer = reference.token_ids, Answer(reference.item, cell)
    while (start := len(answer.token_ids)) < len(tokens):
        held = 0
        if start:
            block = blocks[start - 1]
            draft = block.token_ids[1 : 1 + worth_verifying(block.probability[1:])][: len(tokens) - start]
            held = int(count_held(torch.tensor(tokens[start:]), torch.tensor(draft, dtype=torch.int64)))
        n = min(held + 1, len(tokens) - start)
        answer.token_ids += tokens[start : start + n]
        answer.accepted.append(n)
    answer.finish_reason = reference.finish_reason
    return answer
