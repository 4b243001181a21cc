"""The chat tab: a conversation, and the stage on which each of its answers is decoded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from app import wire
from app.runs import House
from app.theatre import theatre


def build(house: House) -> None:
    """Lay out the tab and wire it to the house."""
    stage = theatre.stage(wire.server_functions(house))

    async def decode(event: gr.EventData, request: gr.Request) -> AsyncIterator[dict[str, Any]]:
        async for value in wire.follow(house, event._data, wire.owner_of(request)):
            yield value

    stage.decode(
        decode,
        None,
        stage,
        show_progress="hidden",
        trigger_mode="multiple",
        concurrency_limit=None,
        api_visibility="private",
    )
