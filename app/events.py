"""What happens to a run, in the order in which it happens: typed here, encoded for the browser by `wire`.

A run waits, then each of its lanes (one for a question, three for a race) starts, makes passes and ends. A run that
cannot go on fails, and nothing follows.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

from sdlm_core import Candidate, Pass, Trace

# Bytes of memory that the objects take, measured; texts come on top.
_PASS_BYTES, _CANDIDATE_BYTES, _ALTERNATIVE_BYTES, _GIVEN_BYTES = 350, 270, 150, 150


@dataclass(frozen=True)
class Waiting:
    """The run has to wait.

    position: place in the line, from 1; 0 for a run that is decoded as soon as the model is loaded.
    model:    what it waits for: that another model's runs have ended and this one can be loaded, that it is loaded, or
              that others have ended.
    """

    position: int
    model: Literal["unloaded", "loading", "ready"]


@dataclass(frozen=True)
class Start:
    """A lane is being decoded. head: its trace, still without passes, tokens and text."""

    lane: int
    head: Trace


@dataclass(frozen=True)
class Passes:
    """A lane has made these passes."""

    lane: int
    passes: tuple[Pass, ...]


@dataclass(frozen=True)
class End:
    """A lane has ended.

    trace:       its whole record.
    last:        whether the run has ended with it.
    shared_pass: whether somebody else's run may have been in one of its passes, so that its seconds are not its own.
    """

    lane: int
    trace: Trace
    last: bool
    shared_pass: bool


@dataclass(frozen=True)
class Failed:
    """The run cannot go on. message: a sentence for the visitor."""

    message: str


Event = Waiting | Start | Passes | End | Failed


def memory(event: Event) -> int:
    """About how many bytes of memory an event holds. The passes of an `End` have been counted as they came."""
    if isinstance(event, Passes):
        return sum(
            _PASS_BYTES + sum(_candidate_memory(c) for c in p.candidates) + sum(_candidate_memory(c) for c in p.draft)
            for p in event.passes
        )
    if isinstance(event, End):
        return sys.getsizeof(event.trace.text) + 16 * len(event.trace.token_ids)
    if isinstance(event, Start):
        return 1_000 + sys.getsizeof(event.head.prompt) + _GIVEN_BYTES * len(event.head.given)
    return 200


def _candidate_memory(c: Candidate) -> int:
    shown = c.alternatives + (c.alone.alternatives if c.alone else ())
    texts = sys.getsizeof(c.text) + sum(sys.getsizeof(a.text) for a in shown)
    return _CANDIDATE_BYTES + _ALTERNATIVE_BYTES * len(shown) + texts
