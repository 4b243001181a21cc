"""What a page wants an answer to begin with, checked: the tokens up to a place, and the token or text put there."""

from __future__ import annotations

from typing import Any

from app import limits
from sdlm_core import SDLMError
from sdlm_core.models.chat_template import replace_surrogates


def parse_prefix(value: Any) -> tuple[int | str, ...]:
    """Token ids, and at the end perhaps a text; nothing where nothing was sent. SDLMError says what to change."""
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > limits.MAX_NEW_TOKENS:
        raise SDLMError("The page sent no proper beginning of an answer. Reload it and try again.")
    ids, text = value, ""
    if value and isinstance(value[-1], str):
        ids, text = value[:-1], replace_surrogates(value[-1])
        if not text:
            raise SDLMError("The text to go on with is empty. Type something.")
        if len(text) > limits.MAX_FORK_CHARACTERS:
            most = f"at most {limits.MAX_FORK_CHARACTERS} are read"
            raise SDLMError(f"This text has {len(text):,} characters, but {most}. Shorten it.")
    if not all(isinstance(i, int) and not isinstance(i, bool) and 0 <= i < 2**31 for i in ids):
        raise SDLMError("The page sent something that is no token. Reload it and try again.")
    return (*ids, text) if text else tuple(ids)
