"""Sweeps that a visitor starts: one run a setting, one after the other.

The sessions decode, and their events are measured as they come. Passes may be shared with other visitors, which changes
no token but the time they take: such runs have no wall-clock figure. This module knows nothing of Gradio.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from app import limits
from app.events import End, Failed, Waiting
from app.lab.results import Result, describe, measure
from app.request import Request, parse_messages, parse_settings
from app.sessions import Sessions
from sdlm_core import DecodeConfig, SDLMError
from sdlm_core.evaluate.tasks import Item, TaskSet


@dataclass
class Update:
    """How a sweep is doing: a sentence, the share that is done (0 to 1), and results that are new."""

    sentence: str
    done: float
    results: list[Result] = field(default_factory=list)


def settings(algorithm: str, block_size: int, max_new_tokens: int) -> list[DecodeConfig]:
    """What is decoded for one prompt: autoregressive, τ from 1 down, and self-speculative, at one D."""
    if algorithm not in limits.BY_CONFIDENCE:
        raise SDLMError("A sweep needs a rule with a threshold. Choose probability or entropy.")
    common: dict[str, Any] = {"block_size": block_size, "max_new_tokens": max_new_tokens}
    parse_settings({"algorithm": algorithm, **common})
    return [
        DecodeConfig(algorithm="autoregressive", max_new_tokens=max_new_tokens),
        *(DecodeConfig(algorithm=algorithm, threshold=tau, **common) for tau in limits.SWEEP_THRESHOLDS),
        DecodeConfig(algorithm="self_speculative", **common),
    ]


async def sweep(
    sessions: Sessions, prompts: TaskSet, algorithm: str, block_size: int, session: str, client: str | None = None
) -> AsyncGenerator[Update]:
    """Decode every item with all settings; closing it ends the run in progress within one pass. Raises SDLMError."""
    if not 1 <= len(prompts.items) <= limits.MAX_SWEEP_PROMPTS:
        most = f"1 to {limits.MAX_SWEEP_PROMPTS} prompts"
        raise SDLMError(f"A sweep here takes {most}. For more, use: python -m sdlm_core sweep.")
    configs = settings(algorithm, block_size, prompts.max_new_tokens)
    total = len(prompts.items) * len(configs)
    count = untimed = 0
    for item in prompts.items:
        messages = parse_messages([{"role": "user", "content": item.prompt}])
        request = Request(secrets.token_hex(16), messages, configs)
        ends: list[End] = []
        async with contextlib.aclosing(sessions.follow(request, session, False, client)) as following:
            async for events in following:
                for event in events:
                    if isinstance(event, Failed):
                        raise SDLMError(event.message)
                    if isinstance(event, Waiting):
                        yield Update(_waiting(event), count / total)
                    elif isinstance(event, End):
                        ends.append(event)
                        count += 1
                        result = await _result(sessions, request, ends, item)
                        untimed += result["wall_clock"] is None
                        at = _at_another_d(sessions, block_size)
                        sentence = f"{count} of {total} runs{at}: {describe(event.trace.config)}."
                        yield Update(sentence, count / total, [result])
    note = f" Others were decoding too, so {untimed} of them have no wall-clock figure." if untimed else ""
    yield Update(f"Done: {total} runs{_at_another_d(sessions, block_size)}.{note}", 1.0)


async def _result(sessions: Sessions, request: Request, ends: list[End], item: Item) -> Result:
    """What the newest of a prompt's runs comes to, beside those before it."""
    trace = ends[-1].trace
    try:
        reading = await sessions.model.log_likelihood(request.messages, trace.token_ids)
    except SDLMError:  # the run itself is worth having
        reading = None
    timed = not (ends[0].shared_pass or ends[-1].shared_pass)
    return measure(trace, [end.trace for end in ends], item, timed, reading)


def _at_another_d(sessions: Sessions, block_size: int) -> str:
    """Words for a D that the model was not trained with: its figures are not the model's best. Else ""."""
    trained = sessions.model.block_size
    return "" if trained in (None, block_size) else f" at D {block_size} (this model was trained with D {trained})"


def _waiting(event: Waiting) -> str:
    if event.model != "ready":
        return "The model is loading; the sweep begins as soon as it is there."
    return f"Waiting for the model, place {event.position} in the line."
