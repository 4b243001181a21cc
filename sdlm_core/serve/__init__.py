"""Many runs at once from one model."""

from __future__ import annotations

from sdlm_core.serve.engine import Engine, EngineFull
from sdlm_core.serve.ticket import Ticket

__all__ = ["Engine", "EngineFull", "Ticket"]
