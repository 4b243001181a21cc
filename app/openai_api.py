"""The OpenAI-compatible API beside the page, over the same engine and within the page's limits."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import Mount

from app import limits
from app.model import ServedModel
from sdlm_core.serve.http import api
from sdlm_core.serve.http.limits import Limits


def route(models: Sequence[ServedModel]) -> Mount:
    """/v1 for the page's app. models: what the page decodes with; until a single one is loaded, the answer is 503."""
    own = Limits(
        characters=limits.MAX_CONVERSATION_CHARACTERS,
        messages=2 * limits.MAX_TURNS,
        new_tokens=limits.MAX_NEW_TOKENS,
        block_size=limits.MAX_BLOCK_SIZE,
        temperature=limits.MAX_TEMPERATURE,
    )
    return api.route(models, own)
