"""Sequential Diffusion Language Models: decoding with a record of every forward pass (arXiv 2509.24007)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sdlm_core.config import ALGORITHMS, DecodeConfig
from sdlm_core.errors import SDLMError
from sdlm_core.forks import Fork, ForkTree
from sdlm_core.trace import Alone, Alternative, Candidate, GivenToken, Pass, Trace

if TYPE_CHECKING:
    from sdlm_core.decoding.loop import Run, advance, decode, run_batch, stream
    from sdlm_core.models.language_model import LanguageModel
    from sdlm_core.models.loading import load_model

__all__ = [
    "ALGORITHMS",
    "Alone",
    "Alternative",
    "Candidate",
    "DecodeConfig",
    "Fork",
    "ForkTree",
    "GivenToken",
    "LanguageModel",
    "Pass",
    "Run",
    "SDLMError",
    "Trace",
    "advance",
    "decode",
    "load_model",
    "run_batch",
    "stream",
]

# What needs torch, by its module. It is imported when it is first asked for: torch takes seconds, and `sdlm --help`, a
# trace or a setting need none of it.
_LATER = {
    **dict.fromkeys(("Run", "advance", "decode", "run_batch", "stream"), "sdlm_core.decoding.loop"),
    "LanguageModel": "sdlm_core.models.language_model",
    "load_model": "sdlm_core.models.loading",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
