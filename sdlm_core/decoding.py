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

import torch
from torch import Tensor

from sdlm_core import masks
from sdlm_core.candidates import Guess, Noise, choose, count_accepted, filtered_distribution, guesses
from sdlm_core.config import DecodeConfig
from sdlm_core.language_model import LanguageModel, Prompt
from sdlm_core.model import attend_rows
from sdlm_core.text import AnswerText
from sdlm_core.trace import Alternative, Candidate, FinishReason, Pass, Trace

PREFILL_ROWS = 512  # a longer prompt is read in chunks, so that it neither stalls its batch nor needs a huge mask


@dataclass(frozen=True)
class Decision:
    """What a pass found.

    block:     the D candidates, the first `accepted` of which hold.
    ids:       token ids on the device whose first `accepted` are the accepted ones, (≥ accepted,) int64.
    draft:     self-speculative: the candidates beyond the accepted ones, to be verified by the next pass; draft_ids on
               the device.
    """

    block: list[Guess]
    accepted: int
    ids: Tensor
    draft: list[Guess]
    draft_ids: Tensor


@dataclass(frozen=True)
class Plan:
    """The rows of one run's next pass: causal rows (new known tokens, then the draft), then one block a branch.

    With prefill, they are a chunk of the prompt that is read ahead of the first pass, and nothing is decided.
    """

    token_ids: Tensor  # (n,) int64, on the device
    rows: masks.Rows  # (n,)
    causal: int  # number of causal rows
    prefill: bool = False


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
    hidden = forward_rows(runs, plans)
    decided = [None if plan.prefill else run.decide(plan, h) for run, plan, h in zip(runs, plans, hidden, strict=True)]
    seconds = time.perf_counter() - began
    return [run.commit(plan, decision, seconds) for run, plan, decision in zip(runs, plans, decided, strict=True)]


def forward_rows(runs: Sequence[Run], plans: Sequence[Plan]) -> list[Tensor]:
    """Each run's hidden states (n, hidden) of its planned rows, from one forward pass over the rows of all.

    Their keys and values lie beyond the caches' frontiers, for `KVCache.keep` to take.
    """
    lm = runs[0].lm
    sizes = [len(plan.rows) for plan in plans]
    biases = [_attention_bias(run, plan) for run, plan in zip(runs, plans, strict=True)]
    for run, n in zip(runs, sizes, strict=True):
        run.cache.reserve(n)

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        parts = []
        for run, bias, qr, kr, vr in zip(runs, biases, q.split(sizes), k.split(sizes), v.split(sizes), strict=True):
            keys, values = run.cache.write(layer, kr, vr)
            parts.append(attend_rows(qr, keys, values, bias.to(q.device)))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    hidden = lm.transformer.forward(
        torch.cat([plan.token_ids for plan in plans]),
        torch.cat([plan.rows.position for plan in plans]),
        attend,
    )
    return list(hidden.split(sizes))


class Run:
    """One prompt being answered. Iterate over it for its passes; `trace()` is the record so far."""

    def __init__(self, lm: LanguageModel, prompt: Prompt, config: DecodeConfig | None = None) -> None:
        self.lm = lm
        self.config = config or DecodeConfig()
        self.block_size = lm.check_block_size(self.config)
        self.prompt_text, self.prompt_ids = lm.encode(prompt)
        self.max_new_tokens = min(self.config.max_new_tokens, lm.context_length - len(self.prompt_ids))
        self.passes: list[Pass] = []
        self.token_ids: list[int] = []  # the answer, an end token included
        self.finish_reason: FinishReason | None = None
        self.created = datetime.now(UTC).isoformat(timespec="seconds")
        self.cache = lm.new_cache()
        self._answer = AnswerText(lm)
        self._text = torch.tensor(self.prompt_ids, device=lm.device)  # all known tokens x_1 … x_t
        self._draft: list[Candidate] = []  # self-speculative: guesses for the tokens after x_t
        self._draft_ids = self._text[:0]
        self._prefilled = (0, 0.0)  # rows and seconds of the prompt's chunks, which the first pass takes on
        self._noise = Noise(self.config.seed, lm.vocabulary, lm.device) if self.config.temperature > 0 else None

    @property
    def text(self) -> str:
        """The answer so far, without an end token."""
        return self._answer.text

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
        t, d = len(self._text), self.block_size
        device = self.lm.device
        text = torch.cat([self._text, self._draft_ids])
        first = self.cache.length
        if self.config.use_cache and t - first > prefill_rows:
            rows = masks.causal_rows(first, prefill_rows, device)
            return Plan(text[first : first + prefill_rows], rows, prefill_rows, prefill=True)
        if d == 1:  # a block of one sees what the causal row of its token sees: next-token prediction
            rows = masks.causal_rows(first, t - first, device)
            return Plan(text[first:], rows, len(rows))
        # Without a cache, nobody sees the newest token's causal copy unless a draft follows it.
        last = len(text) if self.config.use_cache or self._draft else t - 1
        branches = range(len(self._draft) + 1)
        masked = torch.full((d - 1,), self.lm.mask_token_id or 0, device=device)
        token_ids = [text[first:last], *(part for i in branches for part in (text[t - 1 + i : t + i], masked))]
        causal = masks.causal_rows(first, last - first, device)
        blocks = [masks.block_rows(t - 1 + i, d, i, device) for i in branches]
        return Plan(torch.cat(token_ids), masks.concat([causal, *blocks]), len(causal))

    def decide(self, plan: Plan, hidden: Tensor) -> Decision:
        """Candidates and what is accepted of them, from the hidden states (n, hidden) of the planned rows."""
        d, drafted = self.block_size, len(self._draft)
        branches = hidden[-d * (drafted + 1) :].view(drafted + 1, d, -1)  # (branches, D, hidden)
        if self.config.algorithm != "self_speculative":
            p, ids = self._choose(branches[0], torch.arange(d, device=hidden.device))
            block = guesses(p, ids, self.config.algorithm)
            n = 1 if d == 1 else count_accepted([g.confidence for g in block], self.config.threshold)
            return Decision(block, n, ids, [], ids[:0])
        # Branch i's first row predicts the token after draft[:i]; a drafted token holds while the branch before it,
        # itself holding, predicts it. Decided on the device, so that all candidates come over in one transfer.
        p_first, first = self._choose(branches[:, 0], torch.arange(drafted + 1, device=hidden.device))
        held = (first[:drafted] == plan.token_ids[plan.causal - drafted : plan.causal]).cumprod(0).sum()  # () int64
        p_rest, rest = self._choose(
            branches.index_select(0, held[None])[0, 1:], held + torch.arange(1, d, device=hidden.device)
        )
        told = guesses(torch.cat([p_first, p_rest]), torch.cat([first, rest]), self.config.algorithm)
        firsts, draft = told[: drafted + 1], told[drafted + 1 :]
        n = 1
        while n <= drafted and firsts[n - 1].token_id == self._draft[n - 1].token_id:
            n += 1
        return Decision((firsts[:n] + draft)[:d], n, first, draft, rest)

    def commit(self, plan: Plan, decision: Decision | None, seconds: float) -> Pass | None:
        """Keep the accepted candidates, cut at an end token and at the length limit; move the cache's frontier."""
        if decision is None:
            self.cache.keep(plan.causal)
            self._prefilled = (self._prefilled[0] + plan.causal, self._prefilled[1] + seconds)
            return None
        ids = [g.token_id for g in decision.block]
        n = min(decision.accepted, self.max_new_tokens - len(self.token_ids))
        ends = [i for i in range(n) if ids[i] in self.lm.end_token_ids]
        if ends:
            n = ends[0] + 1
            self.finish_reason = "eos"
        elif len(self.token_ids) + n == self.max_new_tokens:
            self.finish_reason = "length"

        reused = self.cache.length
        if self.config.use_cache:
            # The known tokens' causal rows, and those of the drafted tokens that held: all but the newest accepted one.
            self.cache.keep(len(self._text) + (n - 1 if self._draft else 0) - reused)
        candidates, verified = self._candidates(decision.block), self._draft
        self._answer.extend(ids[:n])
        self._draft = self._candidates(decision.draft)
        self._draft_ids = decision.draft_ids
        self._text = torch.cat([self._text, decision.ids[:n]])
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
        return done

    def trace(self) -> Trace:
        """The record so far; a run that was not finished counts as cancelled."""
        return Trace(
            model=self.lm.name,
            prompt=self.prompt_text,
            prompt_tokens=len(self.prompt_ids),
            config=self.config,
            block_size=self.block_size,
            passes=tuple(self.passes),
            token_ids=list(self.token_ids),
            text=self.text,
            finish_reason=self.finish_reason or "cancelled",
            created=self.created,
            device=self.lm.description,
            versions=self.lm.versions,
        )

    def _choose(self, hidden: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Filtered distributions (n, V) and candidates (n,) for the answer's next places plus `offsets`, int64 (n,)."""
        p = filtered_distribution(self.lm.transformer.logits(hidden), self.config)
        if self._noise is None:
            return p, choose(p, None)
        noise = self._noise.at(len(self.token_ids), 2 * self.block_size)  # the farthest place of any algorithm
        return p, choose(p, noise[offsets])

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


def _attention_bias(run: Run, plan: Plan) -> Tensor:
    """Added to one run's scores: each row sees the cache, and of the pass's rows what the rule says."""
    among = masks.attention_mask(plan.rows, run.lm.causal_attn)  # (n, n)
    hidden = torch.zeros(among.shape, dtype=run.lm.dtype, device=among.device).masked_fill(~among, -torch.inf)
    cached = hidden.new_zeros(len(plan.rows), run.cache.length)
    shape = run.lm.transformer.shape
    return torch.cat([cached, hidden], dim=1).repeat(shape.query_heads // shape.kv_heads, 1)
