"""Between Gradio's events and the house: what a component triggers becomes a run, a run becomes its value.

Gradio sends a component's new value as its difference from the one before. The value here holds the newest few messages
under their numbers, so that a pass crosses the wire once, alone, and a browser that skips an update loses nothing.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app import limits
from app.runs import House
from app.theatre import theatre
from sdlm_core import SDLMError

log = logging.getLogger(__name__)

EXAMPLES = Path(__file__).parent.parent / "assets" / "examples"
# One trace at a time is read: many at once, each of megabytes, would keep the decoder from its turn at the interpreter.
READING = threading.Lock()


async def follow(house: House, data: Any, owner: str, race: bool = False) -> AsyncIterator[dict[str, Any]]:
    """A component's values while its run lasts. Whatever goes wrong becomes a sentence on the stage."""
    run_id = data.get("run") if isinstance(data, dict) else None
    try:
        request = limits.parse_request(data, race)
        async for messages in house.follow(request, owner):
            yield {"run": run_id, "messages": {str(n): text for n, text in messages.items()}}
    except SDLMError as error:
        yield _failed(run_id, str(error))
    except Exception as error:
        log.exception("A request failed")
        yield _failed(run_id, f"This could not be decoded ({type(error).__name__}). The server's log says more.")


def _failed(run_id: Any, message: str) -> dict[str, Any]:
    text = json.dumps({"kind": "failed", "message": message}, ensure_ascii=False)
    return {"run": run_id if isinstance(run_id, str) else None, "messages": {"0": text}}


def server_functions(house: House) -> list[Callable[..., Any]]:
    """What a component may ask for by name, each with one JSON value."""

    def status(_: Any = None) -> dict[str, Any]:
        return house.status()

    def stop(run_id: Any) -> None:
        house.stop(str(run_id))

    def missed(data: Any) -> list[str]:
        """The messages of run `data["run"]` from number `data["after"]` on."""
        try:
            return house.missed(limits.parse_run_id(data["run"]), int(data["after"]))
        except (SDLMError, TypeError, KeyError, ValueError):
            return []

    def check_trace(text: Any) -> dict[str, str]:
        """Whether a file is a trace, and if not, the sentence that says why."""
        try:
            with READING:
                limits.parse_trace(text)
        except SDLMError as error:
            return {"error": str(error)}
        except Exception as error:
            log.exception("A trace could not be checked")
            return {"error": f"This file could not be read ({type(error).__name__})."}
        return {}

    def player(_: Any = None) -> str:
        return theatre.player()

    def examples(_: Any = None) -> list[str]:
        """The recordings that the stage shows before anyone has asked anything."""
        return [path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.glob("*.json"))]

    def race_example(_: Any = None) -> list[str]:
        """The recorded race that its tab opens with: three traces, in the order of the lanes."""
        return [path.read_text(encoding="utf-8") for path in sorted((EXAMPLES / "race").glob("*.json"))]

    return [status, stop, missed, check_trace, player, examples, race_example]


def owner_of(request: gr.Request) -> str:
    """The browser session of a request."""
    return str(request.session_hash)
