"""Decoding (paper sections 3.2 and 3.4): plan → forward → candidates → decide → commit, until the answer ends.

A `Run` is one prompt being answered. `advance` takes any number of runs one pass further in one forward pass; a single
prompt is a batch of one. `run_batch` keeps a batch full while its members come and go. It knows nothing of pages, files
or threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TypeVar

import torch

from sdlm_core.config import DecodeConfig
from sdlm_core.decoding import algorithms
from sdlm_core.decoding.algorithms import PREFILL_ROWS, Decision
from sdlm_core.decoding.candidates import new_noise
from sdlm_core.decoding.costs import costs_for
from sdlm_core.decoding.propose import Blocks, propose
from sdlm_core.decoding.recorder import Recorder, Work
from sdlm_core.decoding.state import new_state
from sdlm_core.decoding.width import Company, rate_of
from sdlm_core.execution.cache import CachePool, KVCache
from sdlm_core.execution.executor import executor_for
from sdlm_core.execution.plan import Plan
from sdlm_core.models.language_model import LanguageModel, Prefix, Prompt
from sdlm_core.trace import FinishReason, Pass, Trace

T = TypeVar("T")


def stream(
    lm: LanguageModel, prompt: Prompt, config: DecodeConfig | None = None, prefix: Prefix = ()
) -> Iterator[Pass]:
    """Decode, yielding each pass as it happens. Closing the iterator stops the work within one pass.

    prompt: a question (str), chat messages ({"role": …, "content": …}) or token ids. prefix: token ids and texts that
    the answer begins with; decoding goes on from there. Raises SDLMError.
    """
    return iter(Run(lm, prompt, config, prefix=prefix))


def decode(lm: LanguageModel, prompt: Prompt, config: DecodeConfig | None = None, prefix: Prefix = ()) -> Trace:
    """Decode to the end and return the record of the run; parameters as of `stream`. Raises SDLMError."""
    run = Run(lm, prompt, config, prefix=prefix)
    for _ in run:
        pass
    return run.trace()


@torch.inference_mode()
def advance(
    runs: Sequence[Run], prefill_rows: int = PREFILL_ROWS, meanwhile: Callable[[], object] | None = None
) -> list[Pass | None]:
    """Take every run (all of one model, none finished) one pass further: one forward pass over the rows of all.

    Returns each run's pass, or None where the run read a chunk of a prompt longer than `prefill_rows`. meanwhile: as of
    `Executor.forward`.
    """
    began = time.perf_counter()
    # 1. Plan: the rows that each run needs next: new known tokens, then a block for each branch of its draft.
    plans = plan_together(runs, prefill_rows)
    # 2. Forward: the rows of all runs at once; hidden states (n, hidden) for each run.
    hidden = runs[0].executor.forward([run.cache for run in runs], plans, meanwhile)
    # 3. Candidates: each block's tokens and confidences, brought to the host in one transfer.
    ready = [(run, plan, h) for run, plan, h in zip(runs, plans, hidden, strict=True) if not plan.prefill]
    blocks = [Blocks(run.state, plan.blocks(h), run.noise, plan.branches, plan.verifying(h)) for run, plan, h in ready]
    proposals = propose(runs[0].executor, blocks)
    # 4. Decide: how many candidates are kept, by confidence or by the draft.
    decided = zip(ready, proposals, strict=True)
    found = iter([algorithms.decide(run.state, proposal, plan.width) for (run, plan, _), proposal in decided])
    decisions = [None if plan.prefill else next(found) for plan in plans]
    # 5. Commit: the accepted tokens join the answer, their keys and values stay in the cache, the pass is recorded.
    seconds = time.perf_counter() - began
    learn(runs, plans, decisions, seconds)
    return [run.commit(plan, made, seconds) for run, plan, made in zip(runs, plans, decisions, strict=True)]


def plan_together(runs: Sequence[Run], prefill_rows: int = PREFILL_ROWS) -> list[Plan]:
    """The rows that each run needs next. With block_size "auto", as many as pay beside those of the others."""
    plans = {i: run.plan(prefill_rows) for i, run in enumerate(runs) if not run.state.auto}
    auto = [i for i in range(len(runs)) if i not in plans]
    if auto:
        costs = costs_for(runs[0].lm)
        rate = rate_of([run.state.experience for run in runs], costs)
        rows = sum(len(plan.rows) for plan in plans.values()) + sum(runs[i].rows for i in auto)
        for i in auto:  # the others as they are, or, of those not planned yet, as they were
            others = rows - runs[i].rows
            plans[i] = runs[i].plan(prefill_rows, Company(costs, others, rate))
            rows = others + len(plans[i].rows)
    return [plans[i] for i in range(len(runs))]


def learn(runs: Sequence[Run], plans: Sequence[Plan], decisions: Sequence[Decision | None], seconds: float) -> None:
    """Where a run chooses its width: what this pass took, and what the guesses of all came to."""
    if not any(run.state.auto for run in runs):
        return
    costs, rows = costs_for(runs[0].lm), sum(len(plan.rows) for plan in plans)
    costs.observe(rows, seconds, any(plan.verified is not None and plan.width > 1 for plan in plans))
    for run, plan, decision in zip(runs, plans, decisions, strict=True):
        if decision is not None:
            algorithms.learn(run.state, plan, decision, costs.at(rows))


def run_batch(
    refill: Callable[[Sequence[T]], Iterable[T]], step: Callable[[Sequence[T]], object], done: Callable[[T], bool]
) -> Iterator[T]:
    """Continuous batching: keep a batch full, take it one pass further, yield each member when it is done.

    refill(members) gives those that join before the next pass; the batch ends when it is empty and none join.
    step(members) computes one pass. done(member) tells whether it ended, be it in that pass or before it.
    """
    members: list[T] = []
    while True:
        members += refill(tuple(members))
        if not members:
            return
        if not any(done(member) for member in members):
            step(tuple(members))
        for member in [member for member in members if done(member)]:
            members.remove(member)
            yield member


class Run:
    """One prompt being answered. Iterate over it for its passes; `trace()` is the record so far.

    pool:   the caches that runs decoded together share; a run alone has its own.
    prefix: token ids and texts that the answer begins with, counted in its length; the first pass reads them with the
            prompt.
    resume: the passes of the same run, of the same prefix, as far as another process took it. It goes on from their
            accepted tokens and ends with those it would have had there; SDLMError where they are no beginning of it.
    """

    def __init__(
        self,
        lm: LanguageModel,
        prompt: Prompt,
        config: DecodeConfig | None = None,
        pool: CachePool | None = None,
        prefix: Prefix = (),
        resume: Sequence[Pass] = (),
    ) -> None:
        config = config or DecodeConfig()
        prompt_text, prompt_ids = lm.encode(prompt)
        self.lm = lm
        self.state = new_state(lm, prompt_ids, config, lm.encode_prefix(prefix))
        self.executor = executor_for(lm)
        self.noise = new_noise(lm.transformer, config)
        if resume:
            algorithms.resume(self.state, [token_id for p in resume for token_id in p.accepted_ids])
        self.recorder = Recorder(lm, prompt_text, self.state, resume)
        self.rows = 1  # of the last pass
        self._pool = pool

    def __iter__(self) -> Iterator[Pass]:
        while self.finish_reason is None:
            done = advance([self])[0]
            if done is not None:
                yield done

    @cached_property
    def cache(self) -> KVCache:
        """Keys and values of what is known, taken when the first pass begins."""
        return (self._pool or self.executor.new_pool()).join()

    def leave(self) -> None:
        """Give the cache back, for good."""
        if "cache" in self.__dict__:
            self.cache.pool.leave(self.cache)

    def plan(self, prefill_rows: int = PREFILL_ROWS, company: Company | None = None) -> Plan:
        """The rows of the next pass."""
        shape = algorithms.next_shape(self.state, self.cache.length, company)
        return algorithms.plan(self.state, self.cache.length, shape, prefill_rows)

    def commit(self, plan: Plan, decision: Decision | None, seconds: float) -> Pass | None:
        """Take on the accepted tokens, move the cache's frontier over what stays, record the pass.

        Without a decision a chunk of the prompt was read, which the next pass's record takes on: returns None.
        """
        self.rows = len(plan.rows)
        if decision is None:
            self.cache.keep(len(plan.rows))
            self.recorder.add_prefill(len(plan.rows), seconds)
            return None
        state, cached, known = self.state, self.cache.length, len(self.state.known)
        verified = state.draft if plan.verified is None else state.draft[: plan.verified]
        accepted = algorithms.commit(state, decision)
        if state.config.use_cache:
            # The known tokens' causal rows, and those of the drafted tokens that held: all but the newest accepted one.
            self.cache.keep(known + (accepted - 1 if verified else 0) - cached)
        work = Work(len(plan.rows), cached, self.cache.length - cached, seconds)
        return self.recorder.add(decision, accepted, verified, work, plan)

    # -- what others read ---------------------------------------------------------------------------------------------

    def trace(self) -> Trace:
        """The record so far; a run that was not finished counts as cancelled. Any thread may ask for it."""
        return self.recorder.trace()

    @property
    def passes(self) -> list[Pass]:
        return self.recorder.passes

    @property
    def text(self) -> str:
        """The answer so far, without an end token."""
        return self.recorder.text

    @property
    def token_ids(self) -> list[int]:
        """The answer so far, an end token included."""
        return self.state.token_ids

    @property
    def prompt_ids(self) -> list[int]:
        return self.state.prompt_ids

    @property
    def config(self) -> DecodeConfig:
        return self.state.config

    @property
    def block_size(self) -> int:
        return self.state.block_size

    @property
    def max_new_tokens(self) -> int:
        return self.state.max_new_tokens

    @property
    def finish_reason(self) -> FinishReason | None:
        return self.state.finish_reason
