"""The page: its tabs, its look, and how it is served."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from app import chat, endpoints, handlers, learn, limits, openai_api, race
from app.body_limit import BodyLimit
from app.lab import tab as lab
from app.quick_gradio import gr
from app.sessions import Sessions
from app.theatre import theatre
from app.visitors import SignMcpClient

TITLE = "SDLM, pass by pass"
FONT = ["IBM Plex Sans", "ui-sans-serif", "system-ui", "sans-serif"]
FONT_MONO = ["IBM Plex Mono", "ui-monospace", "Consolas", "monospace"]


def build(sessions: Sessions) -> gr.Blocks:
    """All tabs."""
    # Gradio works out statistics of its last 10,000 events after each of them, wanted or not; never after so many.
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")
    # Gradio keeps a copy of every file that was offered for download: looked for hourly, deleted after a day.
    with gr.Blocks(title=TITLE, fill_width=True, analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Watch", id="watch"):
                chat.build(sessions)
            with gr.Tab("Race", id="race"):
                race.build(sessions)
            with gr.Tab("Learn", id="learn"):
                learn.build()
            with gr.Tab("Trade-off lab", id="lab") as tab:
                lab.build(sessions, tab)

        def close(request: gr.Request) -> None:
            session = handlers.session_of(request)
            sessions.end_session(session)
            lab.end_session(session)

        page.unload(close)
        endpoints.connect(sessions)
    return page


def launch(sessions: Sessions, **options: Any) -> tuple[gr.Blocks, str]:
    """Build the page and serve it from threads of its own; returns it and its address. options: of `Blocks.launch`."""
    blocks = build(sessions)
    served = launch_options([openai_api.route(sessions.models)])
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **served, **options)
    endpoints.write_json(blocks)
    return blocks, str(address)


def launch_options(routes: Sequence[BaseRoute] = ()) -> dict[str, Any]:
    """How the page is served: no scripts, fonts or counters from elsewhere, and no request that is too large.

    routes: what else the app answers, from its first moment on.
    """
    plex = [gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700)), *FONT[1:]]
    mono = [gr.themes.LocalFont("IBM Plex Mono", weights=(400, 700)), *FONT_MONO[1:]]
    theme = gr.themes.Base(primary_hue="slate", neutral_hue="slate", radius_size="sm", font=plex, font_mono=mono)
    return {
        "theme": theme.set(body_text_color_subdued="*neutral_600"),  # Gradio's own has a contrast of 2.5
        "head": theatre.head(),
        "footer_links": ["api"],
        "mcp_server": True,
        "ssr_mode": False,
        "max_file_size": f"{limits.MAX_BODY_MB}mb",  # of an upload; BodyLimit is for what else is sent
        "app_kwargs": {
            "middleware": [Middleware(BodyLimit), Middleware(SignMcpClient)],
            "routes": [theatre.route(), *routes],
        },
        "state_session_capacity": limits.KEEP_SESSIONS,
    }
