"""The record of a run: every forward pass, its candidates and what was kept.

The decoder makes it, the page draws it, export and import carry it, the sweep counts it. It knows nothing of models;
its JSON form is checked on the way in, since it may come from anyone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from sdlm_core.checked import get_field as _get
from sdlm_core.checked import get_integer as _integer
from sdlm_core.checked import get_number as _number
from sdlm_core.checked import parse_json
from sdlm_core.config import GUESSES, DecodeConfig
from sdlm_core.errors import SDLMError

FORMAT = "sdlm-trace"
VERSION = 3
READABLE = (1, 2, 3)  # 1 knew no coherent guesses, 2 no tokens that were given
MAX_PASSES = 20_000

FinishReason = Literal["eos", "length", "cancelled"]
FINISH_REASONS = ("eos", "length", "cancelled")
Guesses = Literal["coherent", "independent"]


@dataclass(frozen=True)
class Alternative:
    """A token the model might have put there."""

    token_id: int
    text: str
    probability: float


@dataclass(frozen=True)
class Alone:
    """What its row alone says of a coherent guess, without the guesses before it: p(c) and the likeliest tokens."""

    probability: float
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """One guess of a pass.

    text is what the token adds to the text before it: "" where it is an unfinished part of a multi-byte character,
    which the token that finishes it then carries whole. probability is that of the token under the filtered
    distribution; confidence is what the acceptance rule compared with τ; entropy is in nats. All three, and the
    alternatives, are of the distribution that the candidate was chosen from. Of a coherent guess that is the one which
    knows the guesses before it, over its row's 64 likeliest tokens, and `alone` tells of the row's own. By the entropy
    rule, confidence is 1 − H / ln|V| with |V| the whole vocabulary, whichever distribution it is.
    """

    token_id: int
    text: str
    confidence: float
    probability: float
    entropy: float
    alternatives: tuple[Alternative, ...] = ()
    alone: Alone | None = None


@dataclass(frozen=True)
class Pass:
    """One forward pass.

    index:      number of the pass, from 0.
    start:      place in the answer of the first candidate, from 0: the tokens accepted before this pass.
    candidates: the D guesses for the answer's tokens start … start + D − 1.
    accepted:   how many of them, counted from the first, were kept.
    rows:       rows run through the model; rows_reused: rows read from the KV cache; rows_written: rows of this pass
                kept in the cache. The rest, rows − rows_written, was thrown away.
    seconds:    wall-clock time of the pass, from its plan to its decision. In a batch, that of the whole batch.
    draft:      self-speculative decoding: the earlier candidates that this pass verified, for the answer's tokens
                start, start + 1, …; empty otherwise.
    width:      rows of each of the pass's blocks; branches: for each, how many drafted tokens came before it; empty
                where causal rows alone verified a draft. 0 in a record that does not say.
    """

    index: int
    start: int
    candidates: tuple[Candidate, ...]
    accepted: int
    rows: int
    rows_reused: int
    rows_written: int
    seconds: float
    draft: tuple[Candidate, ...] = ()
    width: int = 0
    branches: tuple[int, ...] = (0,)

    @property
    def accepted_ids(self) -> list[int]:
        return [c.token_id for c in self.candidates[: self.accepted]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; the one form that the wire, the page and the file share."""
        return {
            "index": self.index,
            "start": self.start,
            "accepted": self.accepted,
            "rows": self.rows,
            "rows_reused": self.rows_reused,
            "rows_written": self.rows_written,
            "seconds": self.seconds,
            "width": self.width,
            "branches": list(self.branches),
            "candidates": [_candidate_to_dict(c) for c in self.candidates],
            "draft": [_candidate_to_dict(c) for c in self.draft],
        }


@dataclass(frozen=True)
class GivenToken:
    """A token of the answer that was given, not decoded; text as in `Candidate`."""

    token_id: int
    text: str


@dataclass(frozen=True)
class Trace:
    """A finished, stopped or running run.

    given: the tokens that the answer was made to begin with; passes follow them. token_ids holds them and every
    accepted token, an end token included; text leaves the end token out. guesses: whether the guesses of a block knew
    each other ("coherent") or not ("independent"), whatever config.guesses left open.
    """

    model: str
    prompt: str
    prompt_tokens: int
    config: DecodeConfig
    block_size: int
    passes: tuple[Pass, ...]
    token_ids: list[int]
    text: str
    finish_reason: FinishReason
    created: str = ""  # ISO 8601, UTC
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    guesses: Guesses = "independent"
    given: tuple[GivenToken, ...] = ()

    @property
    def tokens_per_pass(self) -> float:
        """The paper's SpeedUp: generated tokens over forward passes. Not a wall-clock figure."""
        return (len(self.token_ids) - len(self.given)) / len(self.passes) if self.passes else 0.0

    @property
    def seconds(self) -> float:
        """Wall-clock seconds spent in the passes, prefill included."""
        return sum(p.seconds for p in self.passes)

    def to_json(self) -> str:
        """The whole record as one JSON object."""
        return json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":"))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "model": self.model,
            "prompt": self.prompt,
            "prompt_tokens": self.prompt_tokens,
            "config": self.config.to_dict(),
            "block_size": self.block_size,
            "guesses": self.guesses,
            "given": [[g.token_id, g.text] for g in self.given],
            "token_ids": list(self.token_ids),
            "text": self.text,
            "finish_reason": self.finish_reason,
            "created": self.created,
            "device": self.device,
            "versions": self.versions,
            "passes": [p.to_dict() for p in self.passes],
        }

    @classmethod
    def from_json(cls, text: str) -> Trace:
        """Read and check a record; anything out of order raises SDLMError with one clear sentence."""
        return cls.from_dict(parse_json(text))

    @classmethod
    def from_dict(cls, data: Any) -> Trace:
        """The same of parsed JSON. Members that it does not know are passed over."""
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise SDLMError(f'This is not a trace: it must be a JSON object whose "format" is "{FORMAT}".')
        if data.get("version") not in READABLE:
            raise SDLMError(
                f"This trace has version {str(data.get('version'))[:20]}; this program reads versions 1 to {VERSION}."
            )
        return _trace_from_dict(data)


def _candidate_to_dict(c: Candidate) -> dict[str, Any]:
    data = {
        "token_id": c.token_id,
        "text": c.text,
        "confidence": c.confidence,
        "probability": c.probability,
        "entropy": c.entropy,
        "alternatives": _rows(c.alternatives),
    }
    if c.alone is not None:
        data["alone"] = [c.alone.probability, _rows(c.alone.alternatives)]
    return data


def _rows(alternatives: tuple[Alternative, ...]) -> list[list[Any]]:
    return [[a.token_id, a.text, a.probability] for a in alternatives]


# -- reading what a stranger sent ------------------------------------------------------------------------------------


def _trace_from_dict(data: dict[str, Any]) -> Trace:
    passes_data = _get(data, "passes", list, "the trace")
    if len(passes_data) > MAX_PASSES:
        raise SDLMError(f"This trace has {len(passes_data):,} passes; at most {MAX_PASSES:,} are read.")
    block_size = _integer(data, "block_size", "the trace")
    passes = tuple(_pass_from_dict(p, i) for i, p in enumerate(passes_data))
    given = tuple(_given_from_list(g) for g in _get(data, "given", list, "the trace")) if "given" in data else ()
    token_ids = _get(data, "token_ids", list, "the trace")
    if [g.token_id for g in given] + [i for p in passes for i in p.accepted_ids] != token_ids:
        raise SDLMError("This trace contradicts itself: its token_ids are not the tokens that its passes accepted.")
    start = len(given)
    for p in passes:
        if p.start != start:
            raise SDLMError(
                f"This trace contradicts itself: pass {p.index} starts at {p.start}, but {start} tokens came before."
            )
        if len(p.candidates) > block_size:
            raise SDLMError(
                f"This trace contradicts itself: pass {p.index} has more candidates than its block size {block_size}."
            )
        start += p.accepted
    finish_reason = _get(data, "finish_reason", str, "the trace")
    if finish_reason not in FINISH_REASONS:
        raise SDLMError(f'This trace\'s "finish_reason" must be one of {", ".join(FINISH_REASONS)}.')
    guesses = "independent" if data["version"] == 1 else _get(data, "guesses", str, "the trace")
    if guesses not in GUESSES:
        raise SDLMError(f'This trace\'s "guesses" must be one of {", ".join(GUESSES)}.')
    versions = _get(data, "versions", dict, "the trace")
    config = _get(data, "config", dict, "the trace")
    for key in ("algorithm", "threshold"):  # what a drawing cannot do without; a default would be a guess
        if key not in config:
            raise SDLMError(f'This trace is broken: its config has no "{key}".')
    return Trace(
        model=_get(data, "model", str, "the trace"),
        prompt=_get(data, "prompt", str, "the trace"),
        prompt_tokens=_integer(data, "prompt_tokens", "the trace"),
        config=DecodeConfig.from_dict(config),
        block_size=block_size,
        passes=passes,
        token_ids=token_ids,
        text=_get(data, "text", str, "the trace"),
        finish_reason=finish_reason,  # type: ignore[arg-type]  # checked above
        created=_get(data, "created", str, "the trace"),
        device=_get(data, "device", str, "the trace"),
        versions={str(k): str(v) for k, v in versions.items()},
        guesses=guesses,  # type: ignore[arg-type]  # checked above
        given=given,
    )


def _given_from_list(data: Any) -> GivenToken:
    if not (isinstance(data, list) and len(data) == 2 and isinstance(data[1], str)):
        raise SDLMError('This trace is broken: "given" is not a list of [token id, text].')
    return GivenToken(_integer({"token_id": data[0]}, "token_id", "given"), data[1])


def _pass_from_dict(data: Any, index: int) -> Pass:
    where = f"pass {index}"
    if not isinstance(data, dict):
        raise SDLMError(f"This trace is broken: {where} is not an object.")
    if _integer(data, "index", where) != index:
        raise SDLMError(f"This trace is broken: the pass at place {index} has the index {data['index']}.")
    candidates = tuple(_candidate_from_dict(c, where) for c in _get(data, "candidates", list, where))
    accepted = _integer(data, "accepted", where)
    if not 1 <= accepted <= len(candidates):
        raise SDLMError(f"This trace is broken: {where} accepts {accepted} of {len(candidates)} candidates.")
    rows, written = _integer(data, "rows", where), _integer(data, "rows_written", where)
    if written > rows:
        raise SDLMError(f"This trace is broken: {where} kept {written} rows in the cache, but ran only {rows}.")
    return Pass(
        index=index,
        start=_integer(data, "start", where),
        candidates=candidates,
        accepted=accepted,
        rows=rows,
        rows_reused=_integer(data, "rows_reused", where),
        rows_written=written,
        seconds=_number(data, "seconds", where),
        draft=tuple(_candidate_from_dict(c, where) for c in _get(data, "draft", list, where)),
        width=_integer(data, "width", where) if "width" in data else 0,
        branches=_branches(data, where),
    )


def _branches(data: dict[str, Any], where: str) -> tuple[int, ...]:
    if "branches" not in data:
        return (0,)
    values = _get(data, "branches", list, where)
    return tuple(_integer({"branches": value}, "branches", where) for value in values)


def _candidate_from_dict(data: Any, where: str) -> Candidate:
    if not isinstance(data, dict):
        raise SDLMError(f"This trace is broken: a candidate of {where} is not an object.")
    return Candidate(
        token_id=_integer(data, "token_id", where),
        text=_get(data, "text", str, where),
        confidence=_number(data, "confidence", where, 1),
        probability=_number(data, "probability", where, 1),
        entropy=_number(data, "entropy", where),
        alternatives=_alternatives_from_list(_get(data, "alternatives", list, where), where),
        alone=_alone_from_list(data["alone"], where) if "alone" in data else None,
    )


def _alone_from_list(data: Any, where: str) -> Alone:
    if not (isinstance(data, list) and len(data) == 2 and isinstance(data[1], list)):
        raise SDLMError(f'This trace is broken: "alone" of {where} is not [probability, alternatives].')
    probability = _number({"probability": data[0]}, "probability", where, 1)
    return Alone(probability, _alternatives_from_list(data[1], where))


def _alternatives_from_list(data: list[Any], where: str) -> tuple[Alternative, ...]:
    alternatives = []
    for row in data:
        if not (isinstance(row, list) and len(row) == 3 and isinstance(row[1], str)):
            raise SDLMError(f"This trace is broken: an alternative of {where} is not [token id, text, probability].")
        fields = {"token_id": row[0], "probability": row[2]}
        alternatives.append(
            Alternative(_integer(fields, "token_id", where), row[1], _number(fields, "probability", where, 1))
        )
    return tuple(alternatives)
