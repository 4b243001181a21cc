"""The race tab: one prompt decoded three ways, measured one after the other, replayed side by side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from app import wire
from app.runs import House
from app.theatre import theatre


def build(house: House) -> None:
    """Lay out the tab and wire it to the house."""
    race = theatre.race(wire.server_functions(house))

    async def start(event: gr.EventData, request: gr.Request) -> AsyncIterator[dict[str, Any]]:
        async for value in wire.follow(house, event._data, wire.owner_of(request), race=True):
            yield value

    race.start(
        start,
        None,
        race,
        show_progress="hidden",
        trigger_mode="multiple",
        concurrency_limit=None,
        api_visibility="private",
    )
