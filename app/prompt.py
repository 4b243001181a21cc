"""The prompt as the model reads it: the chat template's tokens of a conversation, special ones marked."""

from __future__ import annotations

from typing import Any

from app.model import ServedModel
from app.request import parse_prompt
from sdlm_core import LanguageModel, SDLMError


def prompt_tokens(model: ServedModel, data: Any) -> list[tuple[str, int, bool]]:
    """For each token of the prompt that a page's messages and system prompt make: its text, its id, whether it is a
    special one. SDLMError where the request, or the model, would be refused."""
    messages = parse_prompt(data)
    lm, engine = model.lm, model.engine
    if isinstance(lm, LanguageModel):
        return lm.prompt_tokens(messages)
    if engine is None:
        raise SDLMError("The model is not loaded.")
    found: list[tuple[str, int, bool]] = engine.call(LanguageModel.prompt_tokens, messages).result()
    return found  # of a model elsewhere
