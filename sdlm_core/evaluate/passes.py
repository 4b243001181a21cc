"""What the model guesses after a text: D candidates, computed once and shared by every setting that gets there.

At a fixed D a pass is a function of the text before it (and, when sampling, of the seed): the acceptance rule and τ
only decide how much of it is kept. So a sweep computes each pass once. Two runs at τ 0.8 and 0.9 share all passes they
have in common, and the record of τ 1, which visits every place, answers for all others as long as they agree with it.
The rows, masks and forward pass are the decoder's own; only the candidates' texts and alternatives are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from sdlm_core.candidates import certainty, choose, entropies, filtered_distribution, shortest
from sdlm_core.decoding import Run
from sdlm_core.forward import forward_rows


@dataclass(frozen=True)
class Block:
    """One pass's D candidates: token ids, p(c) and 1 − H / ln|V|, the confidences of the two rules."""

    token_ids: tuple[int, ...]
    probability: tuple[float, ...]
    certainty: tuple[float, ...]

    def confidence(self, algorithm: str) -> tuple[float, ...]:
        """What `algorithm` compares with τ."""
        return self.certainty if algorithm == "entropy_conf" else self.probability


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


class Reader(Run):
    """A run whose tokens are given to it rather than decided: it only computes the pass after them."""

    def extend(self, answer: Sequence[int]) -> None:
        """Take the answer so far, which begins with the tokens known before."""
        self.token_ids = list(answer)

    def copy_cache(self, other: Reader) -> None:
        """Take over what `other` has read of the text that both begin with, before the first pass."""
        answer = zip(self.token_ids, other.token_ids, strict=False)
        shared = len(self.prompt_ids) + next((i for i, (a, b) in enumerate(answer) if a != b), len(self.token_ids))
        known = len(self.prompt_ids) + len(self.token_ids)
        self.cache.copy(other.cache, min(shared, other.cache.length, known - 1))

    def move_out(self) -> None:
        """From the pool it shares into a cache of its own, where others can still copy what it has read."""
        own = self.lm.new_pool().join()
        own.copy(self.cache, self.cache.length)
        self.leave()
        self.cache = own


@torch.inference_mode()
def read_blocks(readers: Sequence[Reader]) -> list[Block]:
    """The pass after each reader's text, all readers in one forward pass; the readers share one D."""
    d = readers[0].block_size
    plans = [reader.plan() for reader in readers]
    while any(plan.prefill for plan in plans):  # long prompts come in chunks
        for reader, plan in zip(readers, plans, strict=True):
            if plan.prefill:
                forward_rows(reader.lm, [reader.cache], [plan])
                reader.cache.keep(plan.causal)
        plans = [reader.plan() for reader in readers]
    lm, config = readers[0].lm, readers[0].config
    hidden = torch.cat([h[-d:] for h in forward_rows(lm, [r.cache for r in readers], plans)])  # (readers * D, hidden)
    for reader in readers:
        if reader.config.use_cache:
            reader.cache.keep(len(reader.prompt_ids) + len(reader.token_ids) - reader.cache.length)
    p = filtered_distribution(lm.transformer.logits(hidden), config)  # (readers * D, V)
    noise = None
    if config.temperature > 0:
        rows = [reader._noise.at(len(reader.token_ids), d) for reader in readers if reader._noise is not None]
        noise = torch.cat(rows)
    ids = choose(p, noise)
    probability = p.gather(-1, ids[:, None])[:, 0]
    sure = certainty(entropies(p), p.shape[-1])
    table = [ids.tolist(), [shortest(x) for x in probability.cpu().numpy()], [shortest(x) for x in sure.cpu().numpy()]]
    return [Block(*(tuple(column[i : i + d]) for column in table)) for i in range(0, len(readers) * d, d)]
