"""A plan: the rows of one run's next forward pass. Decoding makes it, the executor computes it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sdlm_core.masks import Rows


@dataclass(frozen=True)
class Plan:
    """Rows to run, n in all: causal rows (new known tokens, then drafted ones), then one block for each branch.

    token_ids: (n,); rows: their coordinates (n,), on the host.
    width:     rows of each block; 0 for a chunk of the prompt that is only read into the cache. A block of width 1 is
               the last causal row itself, which sees the same.
    branches:  for each block, how many drafted tokens come before it; (0,) without a draft.
    verified:  where the causal rows verify the draft, how many tokens of it: the last verified + 1 causal rows say what
               follows each of its prefixes. None where the blocks' first rows do.
    """

    token_ids: list[int]
    rows: Rows
    width: int
    branches: tuple[int, ...] = (0,)
    verified: int | None = None

    @property
    def prefill(self) -> bool:
        """Whether nothing is decided after this pass."""
        return self.width == 0

    @property
    def causal(self) -> int:
        """How many rows are causal ones."""
        return len(self.rows) - (len(self.branches) * self.width if self.width > 1 else 0)

    def blocks(self, hidden: Tensor) -> Tensor:
        """The blocks' hidden states (branches, width, hidden), of those of all rows (n, hidden)."""
        count = len(self.branches)
        return hidden[len(hidden) - count * self.width :].view(count, self.width, hidden.shape[-1])

    def verifying(self, hidden: Tensor) -> Tensor | None:
        """Hidden states (verified + 1, hidden) of the causal rows that verify, of those of all rows (n, hidden)."""
        if self.verified is None:
            return None
        return hidden[self.causal - self.verified - 1 : self.causal]
