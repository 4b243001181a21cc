"""One pass of several runs: hidden states in, each run's candidates out, and how many of its draft hold.

Works on the model's device; the host waits once. It knows nothing of caches or text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sdlm_core.decoding.algorithms import Proposal, count_held
from sdlm_core.decoding.candidates import ALTERNATIVES, CandidateRows, Likeliest, Noise, Scored, read, score
from sdlm_core.decoding.coherent import OpenBlock, draft
from sdlm_core.decoding.state import State
from sdlm_core.execution.executor import Executor


@dataclass(frozen=True)
class Blocks:
    """One run's blocks in a pass: hidden states (branches, width, hidden), and its noise where it samples.

    branches: for each block, how many drafted tokens come before it. verifying: where causal rows verify the draft,
    their hidden states (k + 1, hidden), of which row i says what follows the draft's first i tokens; else the blocks'
    first rows do.
    """

    state: State
    hidden: Tensor
    noise: Noise | None
    branches: tuple[int, ...] = (0,)
    verifying: Tensor | None = None

    @property
    def drafts(self) -> bool:
        """Whether a block of this run says what follows the draft."""
        return self.hidden.shape[0] > 0 and (self.hidden.shape[1] > 1 or self.verifying is None)

    @property
    def coherent(self) -> bool:
        """Whether candidates 2 … D are chosen one after the other."""
        return self.state.coherent and self.hidden.shape[1] > 1


@torch.inference_mode()
def propose(executor: Executor, passes: Sequence[Blocks], alternatives: int = ALTERNATIVES) -> list[Proposal]:
    """Each run's candidates, and how many of its draft hold. The host waits once, for one transfer.

    alternatives: how many of the most probable tokens each candidate names.
    """
    transformer = executor.transformer
    verifying = [i for i, p in enumerate(passes) if p.state.speculative]
    drafting = [i for i in verifying if passes[i].drafts]
    coherent = [i for i, p in enumerate(passes) if p.coherent and i not in verifying]
    # 1. What each row says by itself: the block's candidates, of a coherent one the first; of a run that verifies, what
    #    each branch predicts first.
    rows = [_first_rows(p) for p in passes] + [_rest_rows(passes[i]) for i in coherent]
    found = score(transformer, rows, alternatives)
    first = [s for s in found if isinstance(s, Scored)]
    open_rows = dict(zip(coherent, (s for s in found if isinstance(s, Likeliest)), strict=True))
    # 2. Runs that verify: how many of the draft hold, and the rows after that, of the last branch that holds.
    held = {i: count_held(first[i].token_ids, _draft_ids(passes[i], first[i].token_ids)) for i in verifying}
    rest: dict[int, Scored] = {}
    found = score(transformer, [_rest_rows(passes[i], held[i]) for i in drafting], alternatives)
    for i, s in zip(drafting, found, strict=True):
        if isinstance(s, Scored):
            rest[i] = s
        else:
            open_rows[i] = s
    # 3. Coherent runs: the candidates after the first, one after the other.
    if open_rows and executor.drafter:
        blocks = [_open_block(passes[i], first[i], held.get(i), own) for i, own in open_rows.items()]
        rest.update(zip(open_rows, draft(executor.drafter, blocks, alternatives), strict=True))
    # 4. All of it to the host.
    guesses, counts = read([*first, *rest.values()], list(held.values()))
    later = dict(zip(rest, guesses[len(first) :], strict=True))
    count = dict(zip(held, counts, strict=True))
    return [
        # Of a branch without a block, nothing follows: what was scored is another's.
        Proposal(g, later.get(i, []) if count[i] in passes[i].branches else [], count[i])
        if i in count
        else Proposal(g + later.get(i, []), [])
        for i, g in enumerate(guesses[: len(first)])
    ]


def _first_rows(p: Blocks) -> CandidateRows:
    """The rows whose candidates depend on no other guess."""
    if p.verifying is not None:
        hidden = p.verifying
    else:
        hidden = p.hidden[:, 0] if p.state.speculative else p.hidden[0, :1] if p.coherent else p.hidden[0]
    noise = p.noise.at(len(p.state.token_ids), len(hidden)) if p.noise else None
    return CandidateRows(hidden, p.state.config, noise)


def _rest_rows(p: Blocks, branch: Tensor | None = None) -> CandidateRows:
    """Rows 1 … width − 1 of a branch, of the only one by default. Which branch holds, only the device knows yet."""
    width = p.hidden.shape[1]
    hidden = p.hidden[0, 1:] if branch is None else p.hidden.index_select(0, _block_of(p, branch))[0, 1:]
    noise = None
    if p.noise:
        most = len(p.branches) if p.verifying is None else len(p.verifying)
        noise = p.noise.at(len(p.state.token_ids), most + width - 1)
        places = 1 + torch.arange(width - 1, device=hidden.device)
        noise = noise[places if branch is None else places + branch]
    return CandidateRows(hidden, p.state.config, noise, choose=not p.coherent)


def _open_block(p: Blocks, first: Scored, branch: Tensor | None, rest: Likeliest) -> OpenBlock:
    """The block that coherent guesses continue: the run's only one, or that of the last branch which holds."""
    place = first.token_ids.new_zeros(1) if branch is None else branch[None]
    token_id = first.token_ids.index_select(0, place)[0]
    block = place if branch is None else _block_of(p, branch)
    return OpenBlock(token_id, p.hidden.index_select(0, block)[0, 0], rest, p.state.config)


def _block_of(p: Blocks, branch: Tensor) -> Tensor:
    """Which block, int64 (1,), follows the first `branch` drafted tokens; any where none does."""
    if p.verifying is None or p.branches == tuple(range(len(p.verifying))):
        return branch[None]
    places = [p.branches.index(n) if n in p.branches else 0 for n in range(len(p.verifying))]
    return _to_device(places, branch.device).index_select(0, branch[None])


def _draft_ids(p: Blocks, predicted: Tensor) -> Tensor:
    """The token ids of the draft that is verified, int64 (k,), of predictions (k + 1,)."""
    return _to_device([guess.token_id for guess in p.state.draft[: len(predicted) - 1]], predicted.device)


def _to_device(numbers: list[int], device: torch.device) -> Tensor:
    """int64 (n,), copied to the device without waiting for it."""
    values = torch.tensor(numbers, dtype=torch.int64)
    if device.type == "cuda":  # from pageable memory, the copy would wait for the pass
        values = values.pin_memory()
    return values.to(device, non_blocking=device.type == "cuda")
