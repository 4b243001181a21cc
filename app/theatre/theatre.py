"""The theatre's Python side: scripts and styles as text, Gradio components, and the file that replays anywhere.

The browser side is plain JavaScript without a build step, one file a concept, joined in the order of SCRIPTS. They meet
in one global, `SDLM`. Data never becomes markup: it travels as JSON and is written as text.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from sdlm_core import Trace

HERE = Path(__file__).parent
SCRIPTS = (
    "dom.js", "scale.js", "trace.js", "card.js", "passes.js", "answer.js", "cache.js", "timeline.js", "whatif.js",
    "wire.js", "compose.js", "keep.js", "words.js", "stage.js", "race.js", "player.js",
)  # fmt: skip
DATA_SLOT = "/*SDLM-TRACE*/"


@lru_cache
def script() -> str:
    """All scripts as one text."""
    return "\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)


@lru_cache
def style() -> str:
    """The style sheet."""
    return (HERE / "theatre.css").read_text(encoding="utf-8")


def head() -> str:
    """What the page's <head> needs before a component mounts."""
    return f"<style>{style()}</style><script>{script()}</script>"


def stage(server_functions: list[Callable[..., Any]]) -> gr.HTML:
    """The chat and its stage. It triggers `decode` with the run's id, messages and settings; its value is the wire."""
    return gr.HTML(
        value={},
        html_template="<div></div>",
        js_on_load="SDLM.mountStage(element, { send: (data) => trigger('decode', data), props, watch, server });",
        server_functions=server_functions,
        apply_default_css=False,
        elem_id="stage",
    )


def race(server_functions: list[Callable[..., Any]]) -> gr.HTML:
    """Three ways to decode one prompt, side by side. It triggers `start`; its value is the wire."""
    return gr.HTML(
        value={},
        html_template="<div></div>",
        js_on_load="SDLM.mountRace(element, { send: (data) => trigger('start', data), props, watch, server });",
        server_functions=server_functions,
        apply_default_css=False,
        elem_id="race",
    )


@lru_cache
def player() -> str:
    """A page that replays the trace put in place of DATA_SLOT: one file, no network, nothing run but our own script."""
    css, js = style(), script() + "\nSDLM.mountPlayer(document.getElementById('player'));"
    policy = (
        f"default-src 'none'; script-src '{_digest(js)}'; style-src '{_digest(css)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    template = (HERE / "player.html").read_text(encoding="utf-8")
    for slot, text in (("{{policy}}", policy), ("{{css}}", css), ("{{js}}", js)):
        template = template.replace(slot, text)
    return template


def replay_page(trace: Trace) -> str:
    """The player with a trace in it."""
    return player().replace(DATA_SLOT, embedded(json.dumps(trace.to_dict(), ensure_ascii=False, separators=(",", ":"))))


def embedded(text: str) -> str:
    """JSON made safe to stand inside a <script> element: nothing in it can close the element or end a line."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _digest(text: str) -> str:
    """A Content-Security-Policy source that allows exactly this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
