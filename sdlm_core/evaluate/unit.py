"""A unit of a sweep: some prompts at one D, decoded under every setting of that D, in batches.

Each prompt is decoded at τ 1 first; that is the reference for agreement and calibration, and its passes serve the
other settings (see `passes`). A unit's result depends on its arguments alone, not on what ran before, so a sweep that
was killed repeats the unit it was in and ends with the same numbers. It knows nothing of files.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sdlm_core.cache import CachePool
from sdlm_core.candidates import count_accepted, worth_verifying
from sdlm_core.config import DecodeConfig
from sdlm_core.decoding import cut
from sdlm_core.evaluate.cells import Cell
from sdlm_core.evaluate.passes import Block, Node, Reader, read_blocks
from sdlm_core.evaluate.tasks import Item
from sdlm_core.language_model import LanguageModel

LANES = 16  # runs in one forward pass


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


class _Lane:
    """One answer being decoded: replays passes from the tree, and asks for the first one that is not there.

    reference: the finished τ 1 lane of the same prompt, whose cache a new reader takes over as far as the two agree.
    """

    def __init__(
        self,
        lm: LanguageModel,
        pool: CachePool,
        root: Node,
        answer: Answer,
        config: DecodeConfig,
        reference: _Lane | None = None,
    ) -> None:
        self.lm, self.pool = lm, pool
        self.node, self.answer, self.config, self.reference = root, answer, config, reference
        self.room = min(config.max_new_tokens, lm.context_length - len(lm.encode(answer.item.prompt)[1]))
        self.blocks: list[Block] = []
        self._reader: Reader | None = None

    def replay(self) -> bool:
        """Take passes from the tree as far as it goes; True when the answer is finished."""
        while self.answer.finish_reason is None and self.node.block is not None:
            self._keep(self.node.block)
        return self.answer.finish_reason is not None

    def reader(self) -> Reader:
        """The reader that stands where the tree ends."""
        if self._reader is not None:
            self._reader.extend(self.answer.token_ids)
            return self._reader
        self._reader = Reader(self.lm, self.answer.item.prompt, self.config, self.pool)
        self._reader.extend(self.answer.token_ids)
        if self.reference is not None and self.reference._reader is not None:
            self._reader.copy_cache(self.reference._reader)
        return self._reader

    def leave(self) -> None:
        """Make room in the pool; what a reference has read stays."""
        if self._reader is None:
            return
        if self.reference is None:
            self._reader.move_out()
        else:
            self._reader.leave()

    def _keep(self, block: Block) -> None:
        """Accept a prefix, cut at an end token and at the length limit, as `Run.commit` does."""
        answer = self.answer
        n = 1
        if len(block.token_ids) > 1:
            n = count_accepted(block.confidence(answer.cell.algorithm), self.config.threshold)
        _take(answer, block.token_ids[:n], self.room, self.lm.end_token_ids)
        self.blocks.append(block)
        self.node = self.node.after(answer.token_ids[-answer.accepted[-1] :])


def decode_unit(
    lm: LanguageModel,
    items: Sequence[Item],
    block_size: int,
    cells: Sequence[Cell],
    template: DecodeConfig,
    lanes: int = LANES,
    progress: Callable[[float], None] | None = None,
) -> UnitResult:
    """Decode every item under every cell of one D; `progress` hears the share of answers that are finished."""
    # At D = 1 there is no τ, and a model without a mask token can do nothing else.
    reference_cell = Cell("prob_conf", block_size, 1.0) if block_size > 1 else Cell("autoregressive", 1)
    pool = lm.new_pool()  # of the lanes in hand, which attend in one call
    roots = {item.id: Node() for item in items}
    references: dict[str, _Lane] = {}
    finished: dict[tuple[str, Cell], Answer] = {}
    waiting: deque[_Lane] = deque(
        _Lane(lm, pool, roots[item.id], Answer(item, reference_cell), reference_cell.config(template)) for item in items
    )
    active: list[_Lane] = []
    computed, total = 0, len(items) * (len(cells) + 1)
    while waiting or active:
        while waiting and len(active) < lanes:
            active.append(waiting.popleft())
        still = []
        for lane in active:
            if not lane.replay():
                still.append(lane)
                continue
            lane.leave()
            answer = lane.answer
            finished[answer.item.id, answer.cell] = answer
            if answer.cell == reference_cell:
                references[answer.item.id] = lane
                for cell in cells:
                    if cell.algorithm == "self_speculative":
                        finished[answer.item.id, cell] = speculate(lane.answer, lane.blocks, cell)
                    elif cell != reference_cell:
                        waiting.append(
                            _Lane(
                                lm, pool, roots[answer.item.id], Answer(answer.item, cell), cell.config(template), lane
                            )
                        )
        active = still
        if len(active) < lanes and waiting:
            continue  # some ended without a pass of their own; fill their places first
        asking: dict[int, _Lane] = {}  # lanes at the same place of a tree ask once
        for lane in active:
            asking.setdefault(id(lane.node), lane)
        if asking:
            asked = list(asking.values())
            for lane, block in zip(asked, read_blocks([lane.reader() for lane in asked]), strict=True):
                lane.node.block = block
            computed += len(asked)
        if progress:
            progress(len(finished) / total)
    return UnitResult(
        answers=[finished[item.id, cell] for cell in cells for item in items],
        references={name: lane.answer.token_ids for name, lane in references.items()},
        blocks={name: lane.blocks for name, lane in references.items()},
        computed=computed,
    )


def speculate(reference: Answer, blocks: Sequence[Block], cell: Cell) -> Answer:
    """The self-speculative run, read off the τ 1 run of the same D.

    Its tokens are those of τ 1. A pass verifies the draft that the block before the newest token left (candidates
    2 … D there, as far as they are worth it) and keeps one token more than those of it which are τ 1's own; the first
    pass has no draft.
    """
    tokens, answer = reference.token_ids, Answer(reference.item, cell)
    while len(answer.token_ids) < len(tokens):
        start = len(answer.token_ids)
        draft: Sequence[int] = ()
        if start:
            block = blocks[start - 1]
            draft = block.token_ids[1 : 1 + worth_verifying(block.probability[1:])]
        held = 0
        while held < len(draft) and start + held < len(tokens) and draft[held] == tokens[start + held]:
            held += 1
        n = min(held + 1, len(tokens) - start)
        answer.token_ids += tokens[start : start + n]
        answer.accepted.append(n)
    answer.finish_reason = reference.finish_reason
    return answer


def _take(answer: Answer, token_ids: Sequence[int], room: int, end_token_ids: frozenset[int]) -> None:
    n, answer.finish_reason = cut(token_ids, room - len(answer.token_ids), end_token_ids)
    answer.token_ids += token_ids[:n]
    answer.accepted.append(n)
