"""What the model guesses after a text: D candidates, computed once and shared by every setting that gets there.

At a fixed D a pass is a function of the text before it (and, when sampling, of the seed): the acceptance rule and τ
only decide how much of it is kept. So a sweep computes each pass once. Two runs at τ 0.8 and 0.9 share all passes they
have in common, and the record of τ 1, which visits every place, answers for all others as long as they agree with it.
Rows, forward pass and candidates are the decoder's own; only the candidates' texts and alternatives are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from sdlm_core.config import DecodeConfig
from sdlm_core.decoding import algorithms
from sdlm_core.decoding.candidates import new_noise
from sdlm_core.decoding.propose import Blocks, propose
from sdlm_core.decoding.state import Guess, State, new_state
from sdlm_core.decoding.width import Shape
from sdlm_core.execution.cache import CachePool, KVCache
from sdlm_core.execution.executor import executor_for
from sdlm_core.execution.plan import Plan
from sdlm_core.models.language_model import LanguageModel


@dataclass(frozen=True)
class Block:
    """One pass's D candidates: token ids, p(c) and 1 − H / ln|V|, the confidences of the two rules."""

    token_ids: tuple[int, ...]
    probability: tuple[float, ...]
    certainty: tuple[float, ...]

    def confidence(self, algorithm: str) -> tuple[float, ...]:
        """What `algorithm` compares with τ."""
        return self.certainty if algorithm == "entropy_conf" else self.probability

    def guesses(self, algorithm: str) -> list[Guess]:
        """The candidates as `algorithm` judges them; their entropy is left out."""
        columns = zip(self.token_ids, self.confidence(algorithm), self.probability, strict=True)
        return [Guess(token_id, confidence, probability, 0.0) for token_id, confidence, probability in columns]


@dataclass
class Node:
    """A place in the tree of all answers to one prompt at one D: the pass that starts there, and where tokens lead."""

    block: Block | None = None
    children: dict[int, Node] = field(default_factory=dict)

    def after(self, token_ids: Sequence[int]) -> Node:
        """The node that these tokens lead to, made where it is new."""
        node = self
        for token_id in token_ids:
            node = node.children.setdefault(token_id, Node())
        return node


class Reader:
    """Computes the pass after a text that is given to it rather than decided."""

    def __init__(
        self, lm: LanguageModel, prompt_ids: list[int], answer: Sequence[int], config: DecodeConfig, pool: CachePool
    ) -> None:
        self.lm, self.executor = lm, executor_for(lm)
        self.state: State = new_state(lm, prompt_ids, config)
        # An entropy's confidence beside p(c) is all that a sweep needs of a candidate, whatever rule judges it.
        self.state.config = replace(config, algorithm="entropy_conf")
        self.state.token_ids = list(answer)
        self.noise = new_noise(lm.transformer, config)
        self.cache: KVCache = pool.join()

    def extend(self, answer: Sequence[int]) -> None:
        """Take the answer so far, which begins with the tokens known before."""
        self.state.token_ids = list(answer)

    def plan(self) -> Plan:
        """The rows of the pass after the text, or the next chunk of a long prompt."""
        return algorithms.plan(self.state, self.cache.length, Shape(self.state.block_size))

    def keep(self, plan: Plan) -> None:
        """Keep what the pass has read of the text in the cache."""
        if plan.prefill:
            self.cache.keep(len(plan.rows))
        elif self.state.config.use_cache:
            self.cache.keep(len(self.state.known) - self.cache.length)

    def copy_cache(self, other: Reader) -> None:
        """Take over what `other` has read of the text that both begin with, before the first pass."""
        mine, theirs = self.state.known, other.state.known
        shared = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), len(mine))
        self.cache.copy(other.cache, min(shared, other.cache.length, len(mine) - 1))

    def leave(self) -> None:
        """Give the cache back."""
        self.cache.pool.leave(self.cache)

    def move_out(self) -> None:
        """From the pool it shares into a cache of its own, where others can still copy what it has read."""
        own = self.executor.new_pool().join()
        own.copy(self.cache, self.cache.length)
        self.leave()
        self.cache = own


@torch.inference_mode()
def read_blocks(readers: Sequence[Reader]) -> list[Block]:
    """The pass after each reader's text, all readers in one forward pass; the readers share one D."""
    executor = readers[0].executor
    for reader in readers:
        while (plan := reader.plan()).prefill:  # long prompts come in chunks
            executor.forward([reader.cache], [plan])
            reader.keep(plan)
    plans = [reader.plan() for reader in readers]
    hidden = executor.forward([reader.cache for reader in readers], plans)
    for reader, plan in zip(readers, plans, strict=True):
        reader.keep(plan)
    blocks = [Blocks(r.state, plan.blocks(h), r.noise) for r, plan, h in zip(readers, plans, hidden, strict=True)]
    proposals = propose(executor, blocks, alternatives=0)
    return [_block(proposal.first) for proposal in proposals]


def _block(guesses: Sequence[Guess]) -> Block:
    """By the entropy rule, a guess carries both: its confidence and p(c)."""
    return Block(
        tuple(g.token_id for g in guesses),
        tuple(g.probability for g in guesses),
        tuple(g.confidence for g in guesses),
    )
