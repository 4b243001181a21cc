"""The race tab: one prompt decoded three ways, measured one after the other, replayed side by side."""

from __future__ import annotations

from app import handlers
from app.sessions import Sessions
from app.theatre import theatre


def build(sessions: Sessions) -> None:
    """Lay out the tab and connect it."""
    race = theatre.race(handlers.server_functions(sessions))
    handlers.connect(race.start, race, sessions, race=True)
