"""The theatre's Python side: its modules and styles, Gradio components, and the file that replays anywhere.

The browser side is ES modules, one file a concept, each importing what it needs. The page gets them as they are, from
an address with their hash in it, which browsers keep for good. A replay file has to open from disk without any request,
so there they are joined into one module. Data never becomes markup: it travels as JSON and is written as text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.quick_gradio import gr
from sdlm_core import Trace

HERE = Path(__file__).parent
DATA_SLOT = "/*SDLM-TRACE*/"
# The forms of import and export that the modules use; `joined` refuses others.
IMPORT = re.compile(r'^import (?:(\{[^}]*\})|\* as (\w+)) from "\./([\w-]+\.js)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:const|class|function) (\w+))", re.MULTILINE)
# A page that is open while the app is replaced asks for modules that are gone.
MOUNT = """
import(new URL("{folder}/main.js", document.baseURI)).then(
  ({{ mount }}) => mount.{name}(element, {{ send: (data) => trigger("{event}", data), props, watch, server }}),
  () => (element.textContent = "The page's scripts could not be loaded. Reload the page."),
);
"""

INDENTATION = re.compile(r"^ +|^\n", re.MULTILINE)
COMMENT = re.compile(r"/\*\*? .*?\*/|/\*\*?\n.*?\*/", re.DOTALL)
LINE_COMMENT = re.compile(r"(?:^| +)// .*$", re.MULTILINE)  # the linter keeps "// " out of the modules' strings


@lru_cache
def modules() -> dict[str, str]:
    """All modules by file name."""
    return {path.name: _shorter(path.read_text(encoding="utf-8")) for path in sorted((HERE / "js").glob("*.js"))}


def _shorter(text: str) -> str:
    """A script or a style sheet without comments, indentation and empty lines: a quarter of it."""
    if text.startswith("/*!"):
        return text  # not ours, and short already
    return INDENTATION.sub("", LINE_COMMENT.sub("", COMMENT.sub("", text)))


@lru_cache
def style() -> str:
    """The style sheet."""
    return _shorter((HERE / "theatre.css").read_text(encoding="utf-8"))


@lru_cache
def folder() -> str:
    """The modules' address, relative to the page's; another text, another address."""
    return "theatre/" + hashlib.sha256(json.dumps(modules()).encode("utf-8")).hexdigest()[:16]


def route() -> Route:
    """Serves the modules."""

    def module(request: Request) -> Response:
        text = modules().get(request.path_params["name"])
        if text is None or f"theatre/{request.path_params['version']}" != folder():
            return PlainTextResponse("There is no such module.", 404)
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
        return Response(text, media_type="text/javascript", headers=headers)

    return Route("/theatre/{version}/{name}", module)


@lru_cache
def lesson_style() -> str:
    """The style sheet of the lesson, which a replay file has not."""
    return _shorter((HERE / "lesson.css").read_text(encoding="utf-8"))


def head() -> str:
    """What the page's <head> needs before a component mounts: all modules are fetched at once, not one by one."""
    needed = sorted(_order("main.js"))
    return f"<style>{style()}{lesson_style()}</style>" + "".join(
        f'<link rel="modulepreload" href="{folder()}/{n}">' for n in needed
    )


def stage(server_functions: list[Callable[..., Any]]) -> gr.HTML:
    """The chat and its stage. It triggers `decode` with the run's id, messages and settings; its value is the wire."""
    return _component("stage", "decode", server_functions)


def race(server_functions: list[Callable[..., Any]]) -> gr.HTML:
    """Three ways to decode one prompt, side by side. It triggers `start`; its value is the wire."""
    return _component("race", "start", server_functions)


def learn(server_functions: list[Callable[..., Any]]) -> gr.HTML:
    """The lesson. It triggers nothing."""
    return _component("learn", "ask", server_functions)


def _component(name: str, event: str, server_functions: list[Callable[..., Any]]) -> gr.HTML:
    return gr.HTML(
        value={},
        html_template="<div></div>",
        js_on_load=MOUNT.format(folder=folder(), name=name, event=event),
        server_functions=server_functions,
        apply_default_css=False,
        elem_id=name,
    )


@lru_cache
def player() -> str:
    """A page that replays the trace put in place of DATA_SLOT: one file, no network, nothing run but our own script."""
    css, js = style(), joined("player.js")
    policy = (
        f"default-src 'none'; script-src '{digest(js)}'; style-src '{digest(css)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    template = (HERE / "player.html").read_text(encoding="utf-8")
    for slot, text in (("{{policy}}", policy), ("{{css}}", css), ("{{js}}", js)):
        template = template.replace(slot, text)
    return template


def replay_page(trace: Trace) -> str:
    """The player with a trace in it."""
    return player().replace(DATA_SLOT, embedded(json.dumps(trace.to_dict(), ensure_ascii=False, separators=(",", ":"))))


def joined(entry: str) -> str:
    """A module and all that it imports as one script: each file a function that returns what it exports.

    Addresses of data or blobs would do as well, but only under a policy that lets a page run any of them; this script
    is allowed by its own hash. Names stay apart, since each file keeps a scope of its own.
    """
    parts = ['"use strict";']
    for name in _order(entry):
        text = modules()[name]
        exported = ", ".join(EXPORT.findall(text))
        body = EXPORT.sub("", IMPORT.sub(_from_scope, text))
        if odd := re.search(r"^(import|export)\b.*", body, re.MULTILINE):
            raise ValueError(f"{name} has a form of import or export that cannot be joined: {odd[0]}")
        parts.append(f"const {_scope(name)} = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();")
    return "\n".join(parts) + "\n"


def _from_scope(match: re.Match[str]) -> str:
    names = match[2] or match[1].replace(" as ", ": ")
    return f"const {names} = {_scope(match[3])};\n"


def _scope(name: str) -> str:
    return "module_" + re.sub(r"\W", "_", name.removesuffix(".js"))


def _order(entry: str) -> list[str]:
    """The modules that `entry` needs, itself last, each after what it imports. Raises ValueError for a circle."""
    order: list[str] = []
    open_: list[str] = []

    def visit(name: str) -> None:
        if name in order:
            return
        if name in open_:
            raise ValueError(f"These modules import each other: {' → '.join([*open_, name])}")
        open_.append(name)
        for match in IMPORT.finditer(modules()[name]):
            visit(match[3])
        order.append(open_.pop())

    visit(entry)
    return order


def embedded(text: str) -> str:
    """JSON made safe to stand inside a <script> element: nothing in it can close the element or end a line."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def digest(text: str) -> str:
    """A Content-Security-Policy source that allows exactly this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
