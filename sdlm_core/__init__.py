"""Sequential Diffusion Language Models: decoding with a record of every forward pass (arXiv 2509.24007)."""

from __future__ import annotations

from sdlm_core.config import ALGORITHMS, DecodeConfig
from sdlm_core.decoding.loop import Run, advance, decode, run_batch, stream
from sdlm_core.errors import SDLMError
from sdlm_core.forks import Fork, ForkTree
from sdlm_core.models.language_model import LanguageModel
from sdlm_core.models.loading import load_model
from sdlm_core.trace import Alone, Alternative, Candidate, GivenToken, Pass, Trace

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
