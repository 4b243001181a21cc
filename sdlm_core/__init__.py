"""Sequential Diffusion Language Models: decoding with a record of every forward pass (arXiv 2509.24007)."""

from __future__ import annotations

from sdlm_core.config import ALGORITHMS, DecodeConfig
from sdlm_core.decoding import Run, advance, decode, stream
from sdlm_core.errors import SDLMError
from sdlm_core.language_model import LanguageModel
from sdlm_core.loading import load_model
from sdlm_core.trace import Alternative, Candidate, Pass, Trace

__all__ = [
    "ALGORITHMS",
    "Alternative",
    "Candidate",
    "DecodeConfig",
    "LanguageModel",
    "Pass",
    "Run",
    "SDLMError",
    "Trace",
    "advance",
    "decode",
    "load_model",
    "stream",
]
