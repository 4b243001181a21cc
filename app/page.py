"""The page: its tabs, its look, and how it is served."""

from __future__ import annotations

import os
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from app import chat, lab, race, wire
from app.body_limit import BodyLimit
from app.runs import House
from app.theatre import theatre

TITLE = "SDLM, pass by pass"
FONT = ["IBM Plex Sans", "ui-sans-serif", "system-ui", "sans-serif"]
FONT_MONO = ["IBM Plex Mono", "ui-monospace", "Consolas", "monospace"]


def build(house: House) -> gr.Blocks:
    """All tabs, wired to one house."""
    # Gradio works out statistics of its last 10,000 events after each of them, wanted or not; never after so many.
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")
    # Gradio keeps a copy of every file that was offered for download: looked for hourly, deleted after a day.
    with gr.Blocks(title=TITLE, fill_width=True, analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Watch", id="watch"):
                chat.build(house)
            with gr.Tab("Race", id="race"):
                race.build(house)
            with gr.Tab("Trade-off lab", id="lab") as tab:
                lab.build(house, tab)

        def leave(request: gr.Request) -> None:
            house.leave(wire.owner_of(request))
            lab.leave(wire.owner_of(request))

        page.unload(leave)
    return page


def launch_options() -> dict[str, Any]:
    """How the page is served: no scripts, fonts or counters from elsewhere, and no request that is too large."""
    plex = [gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700)), *FONT[1:]]
    mono = [gr.themes.LocalFont("IBM Plex Mono", weights=(400, 700)), *FONT_MONO[1:]]
    return {
        "theme": gr.themes.Base(primary_hue="slate", neutral_hue="slate", radius_size="sm", font=plex, font_mono=mono),
        "head": theatre.head(),
        "footer_links": [],
        "ssr_mode": False,
        "max_file_size": "20mb",  # of an upload; what else is sent is for BodyLimit
        "app_kwargs": {"middleware": [Middleware(BodyLimit)]},
        # Gradio keeps each session's last values until so many others came: about 0.27 MiB, and what the lab keeps for
        # a visitor who sweeps there. Who has been idle longest then loses these results.
        "state_session_capacity": 150,
    }
