"""The recorder: a run's passes with their texts, and the trace of it. It decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sdlm_core.decoding import state
from sdlm_core.decoding.algorithms import Decision
from sdlm_core.decoding.state import Guess, State
from sdlm_core.execution.plan import Plan
from sdlm_core.models.language_model import LanguageModel
from sdlm_core.text import AnswerText, answer_text
from sdlm_core.trace import Alone, Alternative, Candidate, FinishReason, GivenToken, Pass, Trace


@dataclass
class Work:
    """What passes cost: rows run, rows read from the cache, rows written to it, wall-clock seconds."""

    rows: int = 0
    reused: int = 0
    written: int = 0
    seconds: float = 0.0


class Recorder:
    """The record of one run.

    passes: of a resumed run, those that led to the state it begins with.
    text:   the answer so far, without an end token.
    finish_reason: the state's, once the last pass is in the record.
    """

    def __init__(self, lm: LanguageModel, prompt_text: str, state: State, passes: Sequence[Pass] = ()) -> None:
        self.lm, self.prompt_text, self.state = lm, prompt_text, state
        self.passes: list[Pass] = list(passes)
        self.finish_reason: FinishReason | None = state.finish_reason
        self.created = datetime.now(UTC).isoformat(timespec="seconds")
        self._answer = AnswerText(lm)
        pieces = self._answer.extend(state.token_ids)
        self.given = tuple(map(GivenToken, state.token_ids[: state.given], pieces))
        self._prefill = Work()  # of the prompt's chunks, which the first pass takes on

    @property
    def text(self) -> str:
        return self._answer.text

    def add_prefill(self, rows: int, seconds: float) -> None:
        """A chunk of the prompt was read into the cache."""
        self._prefill = Work(self._prefill.rows + rows, 0, 0, self._prefill.seconds + seconds)

    def add(self, decision: Decision, accepted: int, draft: Sequence[Guess], work: Work, plan: Plan) -> Pass:
        """The pass that ended in this decision, `accepted` tokens of which are in the answer now. draft: what it
        verified. Chunks read before it count as its rows."""
        before, self._prefill = self._prefill, Work()
        candidates, verified = self._candidates(decision.block), self._candidates(draft)
        self._answer.extend([guess.token_id for guess in decision.block[:accepted]])
        done = Pass(
            index=len(self.passes),
            start=len(self.state.token_ids) - accepted,
            candidates=tuple(candidates),
            accepted=accepted,
            rows=before.rows + work.rows,
            rows_reused=work.reused - before.rows,
            rows_written=before.rows + work.written,
            seconds=before.seconds + work.seconds,
            draft=tuple(verified),
            width=plan.width,
            branches=plan.branches,
        )
        self.passes.append(done)
        self.finish_reason = self.state.finish_reason  # last: another thread's trace of a finished run is complete
        return done

    def trace(self) -> Trace:
        """The record so far; a run that was not finished counts as cancelled. Safe on any thread while another one
        moves the run: everything in it follows from the passes there are."""
        finish, passes = self.finish_reason, tuple(self.passes)
        token_ids = [g.token_id for g in self.given]
        token_ids += [c.token_id for p in passes for c in p.candidates[: p.accepted]]
        return Trace(
            model=self.lm.name,
            prompt=self.prompt_text,
            prompt_tokens=len(self.state.prompt_ids),
            config=self.state.config,
            block_size=self.state.block_size,
            passes=passes,
            token_ids=token_ids,
            text=self.text if finish else answer_text(self.lm, token_ids),
            finish_reason=finish or "cancelled",
            created=self.created,
            device=self.lm.description,
            versions=self.lm.versions,
            guesses="coherent" if self.state.coherent else "independent",
            given=self.given,
        )

    def _candidates(self, guesses: Sequence[Guess]) -> list[Candidate]:
        """Give guesses that continue the accepted answer their texts."""
        pieces = self._answer.preview([guess.token_id for guess in guesses])
        return [
            Candidate(
                token_id=g.token_id,
                text=piece,
                confidence=g.confidence,
                probability=g.probability,
                entropy=g.entropy,
                alternatives=self._alternatives(g),
                alone=Alone(g.alone.probability, self._alternatives(g.alone)) if g.alone else None,
            )
            for g, piece in zip(guesses, pieces, strict=True)
        ]

    def _alternatives(self, of: Guess | state.Alone) -> tuple[Alternative, ...]:
        rows = zip(of.alternative_ids, of.alternative_probabilities, strict=True)
        return tuple(Alternative(i, self.lm.token_text(i), p) for i, p in rows)
