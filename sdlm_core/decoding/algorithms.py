"""The algorithms (paper sections 3.2 and 3.4): which rows a pass runs, and how many of its candidates are kept.

Functions of a `State` and of numbers. They know nothing of models, caches, text, or of the device that tensors lie on.
`sdlm_core.reference` says the same in the plainest way; the tests compare the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from sdlm_core import masks
from sdlm_core.decoding.state import Guess, State
from sdlm_core.decoding.width import Company, Shape, choose_shape, choose_width
from sdlm_core.errors import SDLMError
from sdlm_core.execution.plan import Plan
from sdlm_core.execution.shapes import block_places
from sdlm_core.trace import FinishReason

PREFILL_ROWS = 512  # a longer prompt is read in chunks, so that it neither stalls its batch nor needs a huge mask
LEAST_CHANCE = 0.02  # that a drafted token holds; below it, the token is not worth the D rows that verify it


# -- plan: the rows of the next pass ----------------------------------------------------------------------------------


def next_shape(state: State, cached: int, company: Company | None) -> Shape:
    """What the next pass shall hold: D tokens to guess, after every prefix of the draft, the empty one included; with
    block_size "auto", what pays in this company."""
    if not state.auto or company is None:
        return Shape(state.block_size, tuple(range(len(state.draft) + 1)))
    missing = len(state.known) - cached
    most = min(state.block_size, state.room)
    if not state.speculative:
        return Shape(choose_width(state.experience, missing, most, company))
    return choose_shape(state.experience, [g.probability for g in state.draft], missing, most, company)


def plan(state: State, cached: int, shape: Shape, prefill_rows: int = PREFILL_ROWS) -> Plan:
    """The rows of the next pass (section 3.2), where the KV cache holds the first `cached` known tokens.

    The known tokens that the cache lacks, then the draft, as causal rows; then for each branch a block: the newest
    token before it once more and width − 1 masks. Where the blocks verify, branches are ascending and begin with 0,
    which is the ordinary pass. Where more than `prefill_rows` known tokens are missing, a chunk of them alone.
    """
    known, use_cache = state.known, state.config.use_cache
    t, width, branches, verified = len(known), shape.width, shape.branches, shape.verified
    if use_cache and t - cached > prefill_rows:
        return Plan(known[cached : cached + prefill_rows], masks.causal_rows(cached, prefill_rows), width=0)
    if width == 1:  # a block of one sees what the causal row of its token sees: next-token prediction
        branches = branches if verified is None else ()
    text = known + [guess.token_id for guess in state.draft[: branches[-1] if verified is None else verified]]
    # Without a cache, no row sees the newest token's causal copy unless a draft follows it.
    copied = use_cache or len(text) > t or width == 1 or verified is not None
    last = len(text) if copied else t - 1
    token_ids, rows = text[cached:last], [masks.causal_rows(cached, last - cached)]
    for block, branch in enumerate(branches if width > 1 else ()):
        newest = t - 1 + branch
        token_ids += [text[newest]] + [state.mask_token_id or 0] * (width - 1)
        rows.append(masks.block_rows(newest, width, block))
    return Plan(token_ids, masks.concat(rows), width, branches, verified)


def most_cache_rows(state: State) -> int:
    """Most cache rows that a run ever writes: its text, a draft, and the blocks of its widest pass."""
    d = state.block_size
    draft = d - 1 if state.speculative else 0
    text = len(state.prompt_ids) + state.max_new_tokens - 1 + draft
    return block_places(text, d, draft + 1 if d > 1 else 0)


# -- accept: how many candidates are kept -----------------------------------------------------------------------------


def count_accepted(confidences: Sequence[float], threshold: float) -> int:
    """n: the longest prefix of confidences strictly above τ, at least 1 and at most all of them (section 3.4)."""
    n = 0
    while n < len(confidences) and confidences[n] > threshold:
        n += 1
    return max(n, 1)


def count_held(predicted: Tensor, draft: Tensor) -> Tensor:
    """How many drafted tokens hold, () int64 on the tensors' device, of draft (k,) and predicted (k or more,).

    predicted[i] is what the model says after the draft's first i tokens. A drafted token holds while all before it do
    and the model predicts it.
    """
    return (predicted[: len(draft)] == draft).cumprod(0).sum()


def worth_verifying(probabilities: Sequence[float]) -> int:
    """How many drafted tokens to verify: the longest prefix that holds with a chance of LEAST_CHANCE, by its own p(c).

    The answer does not depend on it. In open text most drafts are hopeless after a token or two: with the built-in
    model this costs 0.3 % of the tokens a pass there and saves half of the rows.
    """
    chance, n = 1.0, 0
    while n < len(probabilities) and (chance := chance * probabilities[n]) >= LEAST_CHANCE:
        n += 1
    return n


def cut(token_ids: Sequence[int], room: int, end_token_ids: frozenset[int]) -> tuple[int, FinishReason | None]:
    """How many accepted tokens an answer takes on, where it has room for `room`, and what ends it with them."""
    n = min(len(token_ids), room)
    ends = [i for i in range(n) if token_ids[i] in end_token_ids]
    if ends:
        return ends[0] + 1, "eos"
    return n, "length" if n == room else None


def resume(state: State, token_ids: Sequence[int]) -> None:
    """Take the tokens that the same run has accepted elsewhere into a new state.

    The draft and what the guesses came to are not known, so the next pass has no draft: self-speculative tokens stay
    the same, and a pass may be added. By a threshold with block_size "auto", widths follow what passes take, so tokens
    do in any run. SDLMError where the answer goes on after its end.
    """
    n, state.finish_reason = cut(token_ids, state.room, state.end_token_ids)
    if n < len(token_ids):
        raise SDLMError("A run cannot be resumed from an answer that is longer than its settings allow.")
    state.token_ids += token_ids
    state.resumed = n


# -- decide: a pass's candidates become the next state ----------------------------------------------------------------


@dataclass(frozen=True)
class Proposal:
    """What the host learns of one pass.

    first: the block's candidates; where a draft is verified, what each branch predicts first.
    rest:  self-speculative: what the last branch that holds predicts after that; held: drafted tokens that hold.
    """

    first: list[Guess]
    rest: list[Guess]
    held: int = 0


@dataclass(frozen=True)
class Decision:
    """What a pass gives: its candidates (block), how many of them are accepted, and the draft for the next pass."""

    block: list[Guess]
    accepted: int
    draft: list[Guess]


def decide(state: State, proposal: Proposal, width: int) -> Decision:
    """How many candidates are kept, before the answer's end is looked for.

    By confidence, the longest prefix above τ. Self-speculative, the drafted tokens that hold and one more: the first
    prediction beyond them is certain, since the branch before it holds. With "auto", the next pass decides how much of
    the draft is worth verifying.
    """
    first, rest = proposal.first, proposal.rest
    if state.speculative:
        n = proposal.held + 1
        draft = rest if state.auto else rest[: worth_verifying([g.probability for g in rest])]
        return Decision((first[:n] + rest)[: state.block_size], n, draft)
    n = 1 if width == 1 else count_accepted([g.confidence for g in first], state.config.threshold)
    return Decision(first, n, [])


def commit(state: State, decision: Decision) -> int:
    """Take the accepted tokens into the state, cut at an end token and at the length limit; returns how many."""
    ids = [guess.token_id for guess in decision.block[: decision.accepted]]
    n, finish = cut(ids, state.room, state.end_token_ids)
    state.token_ids += ids[:n]
    state.draft = decision.draft
    state.finish_reason = finish
    return n


def learn(state: State, plan: Plan, decision: Decision, seconds: float) -> None:
    """Note what the guesses of a pass came to, which was expected to take so long. Before `commit`."""
    run, held = state.experience, decision.accepted - 1
    if plan.verified is not None:
        run.saw([guess.probability for guess in state.draft[: plan.verified]], held)
        run.made(run.chances([guess.probability for guess in decision.draft]))
    elif plan.width > 1 and not state.speculative:
        run.made([1.0] * held + [0.0] * (held < plan.width - 1))
    if len(state.token_ids) > state.given + state.resumed:  # the first pass reads the prompt
        run.passed(decision.accepted, seconds, plan.width > 1)
