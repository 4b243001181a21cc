"""The app for tests: its real page over a tiny model, each pass held back so a test can act meanwhile.

A prompt that begins with "hostile" is answered by a scripted run whose tokens try to be markup. What each run came to
is appended to the file SDLM_TEST_LOG.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import runpy

import sdlm_core
from tests.app.synthetic import HOSTILE, make_trace

RealRun = sdlm_core.Run
PAUSE = float(os.environ.get("SDLM_TEST_PAUSE", "0.01"))


class SlowRun(RealRun):
    """A run that takes its time and leaves a note."""

    def __iter__(self) -> Iterator[Any]:
        try:
            for p in super().__iter__():
                yield p
                time.sleep(PAUSE * (10 if "slowly" in self.prompt_text else 1))
        finally:
            with open(os.environ["SDLM_TEST_LOG"], "a") as log:
                log.write(f"{len(self.passes)} of {self.max_new_tokens}\n")


class ScriptedRun:
    """A run whose passes were written beforehand."""

    def __init__(self) -> None:
        self._trace = make_trace(texts=HOSTILE)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._trace.passes)

    def trace(self) -> sdlm_core.Trace:
        return self._trace


def run(lm: Any, prompt: Any, config: Any) -> Any:
    if prompt[-1]["content"].startswith("hostile"):
        return ScriptedRun()
    if prompt[-1]["content"].startswith("break"):
        raise RuntimeError("a secret of the server")
    return SlowRun(lm, prompt, config)


sdlm_core.Run = run  # type: ignore[misc,assignment]

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).parents[2] / "app.py"), run_name="__main__")
