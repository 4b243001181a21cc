"""What Gradio calls for the chat and the race: a component's event becomes a run, the run's events become its value.

Gradio sends a component's new value as its difference from the one before. The value here holds the newest few events,
encoded, under their numbers: so a pass crosses the wire once, alone, and a browser that skips an update loses nothing.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any

from app import wire
from app.curves import measured_curves
from app.events import Failed
from app.prompt import prompt_tokens
from app.quick_gradio import gr
from app.request import parse_model, parse_request, parse_run_id, parse_trace
from app.sessions import Sessions
from app.theatre import theatre
from app.visitors import client_of
from sdlm_core import SDLMError
from sdlm_core.assets import assets_folder

log = logging.getLogger(__name__)

OVERLAP = 4  # events sent again, since a browser may skip an update; what Gradio has sent before costs no wire
# One trace at a time is read: many at once, each of megabytes, would keep the decoder from its turn at the interpreter.
READING = threading.Lock()


def connect(listener: Callable[..., Any], component: gr.HTML, sessions: Sessions, race: bool = False) -> None:
    """Let a component's event start a run whose events become the component's value."""

    async def decode(event: gr.EventData, request: gr.Request) -> AsyncGenerator[dict[str, Any]]:
        async with contextlib.aclosing(
            follow(sessions, event._data, session_of(request), race, client_of(request))
        ) as values:
            async for value in values:
                yield value

    listener(
        decode,
        None,
        component,
        show_progress="hidden",
        trigger_mode="multiple",
        concurrency_limit=None,
        api_name="race_page" if race else "chat_page",  # "decode" is the public endpoint's
        api_visibility="private",
    )


async def follow(
    sessions: Sessions, data: Any, session: str, race: bool = False, client: str | None = None
) -> AsyncGenerator[dict[str, Any]]:
    """A component's values while its run lasts. Whatever goes wrong becomes a sentence on the page."""
    run_id = data.get("run") if isinstance(data, dict) else None
    sent = 0
    try:
        request = parse_request(data, race)
        async with contextlib.aclosing(sessions.follow(request, session, client=client)) as following:
            async for events in following:
                first = max(0, sent - OVERLAP)
                sent += len(events)
                texts = sessions.texts(request.run_id, first)
                yield {"run": run_id, "messages": {str(n): text for n, text in enumerate(texts, first)}}
    except SDLMError as error:
        yield _failed(run_id, str(error))
    except Exception as error:
        log.exception("A request failed")
        yield _failed(run_id, f"This could not be decoded ({type(error).__name__}). The server's log says more.")


def _failed(run_id: Any, message: str) -> dict[str, Any]:
    return {"run": run_id if isinstance(run_id, str) else None, "messages": {"0": wire.encode(Failed(message))}}


def server_functions(sessions: Sessions) -> list[Callable[..., Any]]:
    """What a component's script may call by name, each with one JSON value."""

    def status(name: Any = None) -> dict[str, Any]:
        """How a model is doing, the first without a name; and the names of all, where there are several."""
        try:
            found = sessions.find(name if isinstance(name, str) else None).status()
        except SDLMError as error:
            found = {"state": "failed", "message": str(error)}
        several = len(sessions.models) > 1
        return {**found, "models": [model.name for model in sessions.models]} if several else found

    def stop(run_id: Any) -> None:
        sessions.stop(str(run_id))

    def events_after(data: Any) -> list[str]:
        """The events of run `data["run"]` from number `data["after"]` on."""
        try:
            return sessions.texts(parse_run_id(data["run"]), int(data["after"]))
        except (SDLMError, TypeError, KeyError, ValueError):
            return []

    def check_trace(text: Any) -> dict[str, str]:
        """Whether a file is a trace, and if not, the sentence that says why."""
        try:
            with READING:
                parse_trace(text)
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
        return _recordings("examples")

    def read_prompt(data: Any) -> dict[str, Any]:
        """The tokens of a conversation's prompt, each as text, id and whether it is special; or a sentence."""
        try:
            with READING:
                return {"tokens": prompt_tokens(sessions.find(parse_model(data)), data)}
        except SDLMError as error:
            return {"error": str(error)}
        except Exception as error:
            log.exception("A prompt could not be read")
            return {"error": f"This prompt could not be read ({type(error).__name__})."}

    def curves(_: Any = None) -> dict[str, Any]:
        """The measured curves that stand beside τ."""
        return measured_curves()

    def race_example(_: Any = None) -> list[str]:
        """The recorded race that its tab opens with: three traces, in the order of the lanes."""
        return _recordings("examples/race")

    return [status, stop, events_after, check_trace, player, read_prompt, curves, examples, race_example]


def _recordings(folder: str) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted((assets_folder() / folder).glob("*.json"))]


def session_of(request: gr.Request) -> str:
    """The name of a request's browser session."""
    return str(request.session_hash)
