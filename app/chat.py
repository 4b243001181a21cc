"""The chat tab: a conversation, and the stage on which each of its answers is decoded."""

from __future__ import annotations

from app import handlers
from app.sessions import Sessions
from app.theatre import theatre


def build(sessions: Sessions) -> None:
    """Lay out the tab and connect it."""
    stage = theatre.stage(handlers.server_functions(sessions))
    handlers.connect(stage.decode, stage, sessions)
