"""The app for tests: its real page over a tiny model, each pass held back so a test can act meanwhile.

A prompt that begins with "hostile" is answered by a scripted run whose tokens try to be markup, one with "break" in it
breaks. What each run came to is appended to the file SDLM_TEST_LOG.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import runpy

import sdlm_core
from sdlm_core.serve import Ticket, engine
from tests.app.synthetic import HOSTILE, make_trace

PAUSE = float(os.environ.get("SDLM_TEST_PAUSE", "0.01"))
# A test that makes "hold" finds "held" once a pass has begun; no pass ends until the test removes it.
# "hold-later", with a number in it, becomes "hold" when so many runs have ended. "asked" has a line for each run that
# the engine was given.
HOLD, HELD, LATER, ASKED = (
    Path(os.environ["SDLM_TEST_LOG"]).with_name(name) for name in ("hold", "held", "hold-later", "asked")
)
end, submit = Ticket._end, engine.Engine.submit


class ScriptedRun(sdlm_core.Run):
    """A run whose passes were written beforehand."""

    def step(self) -> None:
        written = make_trace(texts=HOSTILE)
        self.passes.append(written.passes[len(self.passes)])
        if len(self.passes) == len(written.passes):
            self.state.finish_reason = written.finish_reason

    def trace(self) -> sdlm_core.Trace:
        return make_trace(texts=HOSTILE)


def run(lm: Any, prompt: Any, *rest: Any) -> sdlm_core.Run:
    kind = ScriptedRun if prompt[-1]["content"].startswith("hostile") else sdlm_core.Run
    return kind(lm, prompt, *rest)


def advance(batch: Sequence[Any], prefill_rows: int, meanwhile: Callable[[], object]) -> None:
    """A forward pass that takes its time; a slow visitor slows all."""
    meanwhile()  # who is held sees the pass before
    if HOLD.exists():
        HOLD.rename(HELD)
    while HELD.exists():
        time.sleep(0.01)
    time.sleep(PAUSE * (10 if any("slowly" in one.recorder.prompt_text for one in batch) else 1))
    if any("break" in one.recorder.prompt_text for one in batch):
        raise RuntimeError("a secret of the server")
    for one in batch:
        if isinstance(one, ScriptedRun):
            one.step()
    decoded = [one for one in batch if not isinstance(one, ScriptedRun)]
    if decoded:
        sdlm_core.advance(decoded, prefill_rows)


def note(ticket: Any) -> None:
    with open(os.environ["SDLM_TEST_LOG"], "a") as log:
        log.write(f"{len(ticket.run.passes)} of {ticket.run.max_new_tokens}\n")
    if LATER.exists():
        more = int(LATER.read_text()) - 1
        LATER.write_text(str(more))
        if not more:
            LATER.rename(HOLD)
    end(ticket)


def submit_and_tell(*what: Any, **how: Any) -> Ticket:
    ticket = submit(*what, **how)
    with ASKED.open("a") as asked:
        asked.write("one\n")
    return ticket


engine.Run = run  # type: ignore[misc,assignment]
engine.advance = advance  # type: ignore[assignment]
Ticket._end = note  # type: ignore[method-assign]
engine.Engine.submit = submit_and_tell  # type: ignore[method-assign]

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).parents[2] / "app.py"), run_name="__main__")
