"""Decoding: what one forward pass computes and what is kept of it (paper sections 3.2 and 3.4).

A `Run` is one prompt being answered. `advance` takes any number of runs one pass further in one forward pass; a single
visitor is a batch of one. The loop is `plan` (which rows), `forward`, `commit` (what is accepted). It knows nothing of
pages, files or threads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import torch
from torch import Tensor

from sdlm_core import masks
from sdlm_core.cache import CachePool, KVCache
from sdlm_core.candidates import (
    Guess,
    Noise,
    choose,
    count_accepted,
    filtered_distribution,
    measure,
    read,
    worth_verifying,
)
from sdlm_core.config import DecodeConfig
from sdlm_core.forward import Plan, forward_rows
from sdlm_core.language_model import LanguageModel, Prompt
from sdlm_core.text import AnswerText, answer_text
from sdlm_core.trace import Alternative, Candidate, FinishReason, Pass, Trace

PREFILL_ROWS = 512  # a longer prompt is read in chunks, so that it neither stalls its batch nor needs a huge mask


@dataclass(frozen=True)
class Decision:
    """What a pass found.

    block:     the D candidates, the first `accepted` of which hold.
    draft:     self-speculative: the candidates beyond the accepted ones that the next pass shall verify.
    """

    block: list[Guess]
    accepted: int
    draft: list[Guess]


def stream(lm: LanguageModel, prompt: Prompt, config: DecodeConfig | None = None) -> Iterator[Pass]:
    """Decode, yielding each pass as it happens. Closing the iterator stops the work within one pass.

    prompt: a question (str), chat messages ({"role": …, "content": …}) or token ids. Raises SDLMError.
    """
    return iter(Run(lm, prompt, config))


def decode(lm: LanguageModel, prompt: Prompt, config: DecodeConfig | None = None) -> Trace:
    """Decode to the end and return the record of the run. Raises SDLMError."""
    run = Run(lm, prompt, config)
    for _ in run:
        pass
    return run.trace()


@torch.inference_mode()
def advance(runs: Sequence[Run], prefill_rows: int = PREFILL_ROWS) -> list[Pass | None]:
    """Take every run (all of one model, none finished) one pass further: one forward pass over the rows of all.

    Returns each run's pass, or None where the run read a chunk of a prompt longer than `prefill_rows`.
    """
    began = time.perf_counter()
    plans = [run.plan(prefill_rows) for run in runs]
    decided = decide(runs, plans, forward_rows(runs[0].lm, [run.cache for run in runs], plans))
    seconds = time.perf_counter() - began
    return [run.commit(plan, decision, seconds) for run, plan, decision in zip(runs, plans, decided, strict=True)]


def decide(runs: Sequence[Run], plans: Sequence[Plan], hidden: Sequence[Tensor]) -> list[Decision | None]:
    """Each run's candidates and what is accepted of them, from the hidden states (n, hidden) of its planned rows.

    All runs' rows go through the LM head together, and what the host needs comes over in one transfer. None where the
    run only read a chunk of its prompt.
    """
    deciding = [i for i, plan in enumerate(plans) if not plan.prefill]
    blocks = {i: runs[i].branches(hidden[i]) for i in deciding}
    drafting = [i for i in deciding if runs[i].config.algorithm == "self_speculative"]
    # Branch i's first row predicts the token after draft[:i]; where nothing was drafted, the whole block is wanted.
    asked = [Asked(runs[i], blocks[i][:, 0] if i in drafting else blocks[i][0], 0) for i in deciding]
    first = dict(zip(deciding, find_candidates(asked), strict=True))
    asked = [Asked(runs[i], *runs[i].next_draft_rows(blocks[i], first[i].token_ids)) for i in drafting]
    told = read([found.measured for found in (*first.values(), *find_candidates(asked))])
    firsts, rests = dict(zip(deciding, told, strict=False)), dict(zip(drafting, told[len(deciding) :], strict=True))
    return [
        None if plan.prefill else run.verify(firsts[i], rests[i]) if i in rests else run.accept(firsts[i])
        for i, (run, plan) in enumerate(zip(runs, plans, strict=True))
    ]


@dataclass(frozen=True)
class Asked:
    """Rows (n, hidden) of a run whose candidates are wanted. place: how far beyond the answer the first one lies."""

    run: Run
    rows: Tensor
    place: Tensor | int


@dataclass(frozen=True)
class Found:
    """Candidates, int64 (n,), and what `read` tells of them, both on the device."""

    token_ids: Tensor
    measured: Tensor


def find_candidates(asked: Sequence[Asked]) -> list[Found]:
    """Candidates for all rows: one product with the LM head, and one softmax for all runs that sample alike."""
    if not asked:
        return []
    sizes = [len(a.rows) for a in asked]
    logits = asked[0].run.lm.transformer.logits(torch.cat([a.rows for a in asked]))
    each = logits.split(sizes)
    alike: dict[tuple[float, float, int], list[int]] = {}
    for index, a in enumerate(asked):
        c = a.run.config
        alike.setdefault((c.temperature, c.top_p, c.top_k), []).append(index)
    out: dict[int, Found] = {}
    for members in alike.values():
        theirs = logits if len(members) == len(asked) else torch.cat([each[i] for i in members])
        p = filtered_distribution(theirs, asked[members[0]].run.config)
        noise = [asked[i].run.noise_at(asked[i].place, sizes[i]) for i in members]
        chosen = choose(p, None if noise[0] is None else torch.cat([n for n in noise if n is not None]))
        measured = measure(p, chosen, [asked[i].run.config.algorithm for i in members for _ in range(sizes[i])])
        own = [sizes[i] for i in members]
        out.update(zip(members, map(Found, chosen.split(own), measured.split(own)), strict=True))
    return [out[i] for i in range(len(asked))]


class Run:
    """One prompt being answered. Iterate over it for its passes; `trace()` is the record so far."""

    def __init__(
        self, lm: LanguageModel, prompt: Prompt, config: DecodeConfig | None = None, pool: CachePool | None = None
    ) -> None:
        self.lm = lm
        self.config = config or DecodeConfig()
        self.block_size = lm.check_block_size(self.config)
        self.prompt_text, self.prompt_ids = lm.encode(prompt)
        self.max_new_tokens = min(self.config.max_new_tokens, lm.context_length - len(self.prompt_ids))
        self.passes: list[Pass] = []
        self.token_ids: list[int] = []  # the answer, an end token included
        self.finish_reason: FinishReason | None = None
        self.created = datetime.now(UTC).isoformat(timespec="seconds")
        self._pool = pool
        self._answer = AnswerText(lm)
        self._draft: list[Candidate] = []  # self-speculative: guesses for the tokens after x_t
        self._prefilled = (0, 0.0)  # rows and seconds of the prompt's chunks, which the first pass takes on
        self._noise: Noise | None = None
        if self.config.temperature > 0:
            self._noise = Noise(self.config.seed, lm.vocabulary, lm.transformer.norm.device)

    @property
    def text(self) -> str:
        """The answer so far, without an end token."""
        return self._answer.text

    @cached_property
    def cache(self) -> KVCache:
        """Keys and values of what is known, taken when the first pass begins."""
        return (self._pool or self.lm.new_pool()).join()

    def leave(self) -> None:
        """Give the cache back, for good."""
        if "cache" in self.__dict__:
            self.cache.pool.leave(self.cache)

    def __iter__(self) -> Iterator[Pass]:
        while self.finish_reason is None:
            done = advance([self])[0]
            if done is not None:
                yield done

    # -- one pass -----------------------------------------------------------------------------------------------------

    def plan(self, prefill_rows: int = PREFILL_ROWS) -> Plan:
        """Which rows the next pass runs (design: the table of rows; section 3.2).

        The known tokens that the cache lacks, then the draft, as causal rows; then for each prefix of the draft (the
        empty one included: its branch is the ordinary pass) a block: its newest token once more and D − 1 masks.
        """
        known, d = self.prompt_ids + self.token_ids, self.block_size
        t, first = len(known), self.cache.length
        text = known + [c.token_id for c in self._draft]
        if self.config.use_cache and t - first > prefill_rows:
            chunk = text[first : first + prefill_rows]
            return Plan(chunk, masks.causal_rows(first, prefill_rows), prefill_rows, prefill=True)
        if d == 1:  # a block of one sees what the causal row of its token sees: next-token prediction
            return Plan(text[first:], masks.causal_rows(first, t - first), t - first)
        # Without a cache, nobody sees the newest token's causal copy unless a draft follows it.
        last = len(text) if self.config.use_cache or self._draft else t - 1
        masked = [self.lm.mask_token_id or 0] * (d - 1)
        token_ids, rows = text[first:last], [masks.causal_rows(first, last - first)]
        for i in range(len(self._draft) + 1):
            token_ids += [text[t - 1 + i], *masked]
            rows.append(masks.block_rows(t - 1 + i, d, i))
        return Plan(token_ids, masks.concat(rows), last - first)

    def branches(self, hidden: Tensor) -> Tensor:
        """(branches, D, hidden) of the planned rows' hidden states (n, hidden): the blocks, which come last."""
        count = len(self._draft) + 1
        return hidden[-self.block_size * count :].view(count, self.block_size, -1)

    def accept(self, block: list[Guess]) -> Decision:
        """The longest prefix that the rule is sure of (section 3.4); at D = 1 the one candidate."""
        n = 1 if self.block_size == 1 else count_accepted([g.confidence for g in block], self.config.threshold)
        return Decision(block, n, [])

    def next_draft_rows(self, blocks: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        """Self-speculative: the rows (D − 1, hidden) that draft what comes next, and how far they lie beyond it.

        A drafted token holds while the branch before it, itself holding, predicts it. first: (branches,), what each
        branch predicts first. How many hold, () int64, stays on the device.
        """
        draft = torch.tensor([c.token_id for c in self._draft], dtype=torch.int64)
        if first.is_cuda:  # from pageable memory, the copy would wait for the pass
            draft = draft.pin_memory()
        draft = draft.to(first.device, non_blocking=first.is_cuda)
        held = (first[: len(draft)] == draft).cumprod(0).sum()
        return blocks.index_select(0, held[None])[0, 1:], held + 1

    def verify(self, firsts: list[Guess], draft: list[Guess]) -> Decision:
        """Self-speculative: how many of the last draft hold, given what each branch predicts first, and the next draft.

        The first candidate that no draft foretold is certain all the same: the branch before it holds.
        """
        n = 1
        while n <= len(self._draft) and firsts[n - 1].token_id == self._draft[n - 1].token_id:
            n += 1
        block = (firsts[:n] + draft)[: self.block_size]
        return Decision(block, n, draft[: worth_verifying([g.probability for g in draft])])

    def commit(self, plan: Plan, decision: Decision | None, seconds: float) -> Pass | None:
        """Keep the accepted candidates, cut at an end token and at the length limit; move the cache's frontier."""
        if decision is None:
            self.cache.keep(plan.causal)
            self._prefilled = (self._prefilled[0] + plan.causal, self._prefilled[1] + seconds)
            return None
        ids = [g.token_id for g in decision.block]
        n, finish = cut(ids[: decision.accepted], self.max_new_tokens - len(self.token_ids), self.lm.end_token_ids)

        reused = self.cache.length
        if self.config.use_cache:
            # The known tokens' causal rows, and those of the drafted tokens that held: all but the newest accepted one.
            known = len(self.prompt_ids) + len(self.token_ids)
            self.cache.keep(known + (n - 1 if self._draft else 0) - reused)
        candidates, verified = self._candidates(decision.block), self._draft
        self._answer.extend(ids[:n])
        self._draft = self._candidates(decision.draft)
        self.token_ids += ids[:n]
        (rows, before), self._prefilled = self._prefilled, (0, 0.0)
        done = Pass(
            index=len(self.passes),
            start=len(self.token_ids) - n,
            candidates=tuple(candidates),
            accepted=n,
            rows=rows + len(plan.rows),
            rows_reused=reused - rows,
            rows_written=rows + self.cache.length - reused,
            seconds=before + seconds,
            draft=tuple(verified),
        )
        self.passes.append(done)
        self.finish_reason = finish  # last: another thread's `trace` of a finished run is whole
        return done

    def trace(self) -> Trace:
        """The record so far; a run that was not finished counts as cancelled. Any thread may ask, while another one
        moves the run: what is told follows from the passes there are."""
        finish, passes = self.finish_reason, tuple(self.passes)
        token_ids = [c.token_id for p in passes for c in p.candidates[: p.accepted]]
        return Trace(
            model=self.lm.name,
            prompt=self.prompt_text,
            prompt_tokens=len(self.prompt_ids),
            config=self.config,
            block_size=self.block_size,
            passes=passes,
            token_ids=token_ids,
            text=self.text if finish else answer_text(self.lm, token_ids),
            finish_reason=finish or "cancelled",
            created=self.created,
            device=self.lm.description,
            versions=self.lm.versions,
        )

    def noise_at(self, place: Tensor | int, count: int) -> Tensor | None:
        """Noise (count, V) for the places from `place` beyond the answer on; None where nothing is sampled."""
        if self._noise is None:
            return None
        noise = self._noise.at(len(self.token_ids), 2 * self.block_size)  # the farthest place of any algorithm
        return noise[place + torch.arange(count, device=noise.device)]

    def _candidates(self, block: list[Guess]) -> list[Candidate]:
        """Give guesses that continue the accepted answer their texts."""
        pieces = self._answer.preview([g.token_id for g in block])
        return [
            Candidate(
                token_id=g.token_id,
                text=piece,
                confidence=g.confidence,
                probability=g.probability,
                entropy=g.entropy,
                alternatives=tuple(
                    Alternative(i, self.lm.token_text(i), p)
                    for i, p in zip(g.alternative_ids, g.alternative_probabilities, strict=True)
                ),
            )
            for g, piece in zip(block, pieces, strict=True)
        ]


def cut(token_ids: Sequence[int], room: int, end_token_ids: frozenset[int]) -> tuple[int, FinishReason | None]:
    """How many accepted tokens an answer takes on, where it has room for `room`, and what ends it with them."""
    n = min(len(token_ids), room)
    ends = [i for i in range(n) if token_ids[i] in end_token_ids]
    if ends:
        return ends[0] + 1, "eos"
    return n, "length" if n == room else None
