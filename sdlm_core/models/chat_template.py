"""The chat template: messages in, text out, and the token that closes an answer. It knows nothing of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from sdlm_core.errors import SDLMError

MARK = "\N{SNOWMAN}"  # stands for a message's content, to find it in the rendered text


def render(tokenizer: Any, messages: Sequence[dict[str, str]], generation_prompt: bool, **more: Any) -> str:
    """The messages as the model reads them.

    generation_prompt: add what opens the model's answer. more: other settings of transformers' apply_chat_template.
    SDLMError with the template's own words where it refuses them, as some do unless user and assistant take turns.
    """
    try:
        text = tokenizer.apply_chat_template(
            list(messages), add_generation_prompt=generation_prompt, tokenize=False, **more
        )
    except (TemplateError, TypeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise SDLMError(
            f'The chat template refuses this conversation: "{reason}" Change the roles or the order of its messages.'
        ) from error
    return replace_surrogates(str(text))


def turn_end(tokenizer: Any) -> int | None:
    """The token with which the chat template closes an answer: the first special one after the answer's text.

    It need not be the tokenizer's end token: base Qwen2.5 names <|endoftext|>, and its template writes <|im_end|>.
    None where there is no template, or where it closes answers with plain text.
    """
    if not tokenizer.chat_template:
        return None
    try:
        text = render(tokenizer, [{"role": "user", "content": MARK}, {"role": "assistant", "content": MARK}], False)
    except SDLMError:
        return None
    _, found, after = text.rpartition(MARK)
    special = special_ids(tokenizer)
    ids = tokenizer.encode(after, add_special_tokens=False) if found else []
    return next((int(i) for i in ids if i in special), None)


def special_ids(tokenizer: Any) -> frozenset[int]:
    """The tokens that no text is written with: they mark where messages begin and end, and the like."""
    named = {int(i) for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    return frozenset(named | ({int(tokenizer.eos_token_id)} if tokenizer.eos_token_id is not None else set()))


def replace_surrogates(text: str) -> str:
    """The text with "?" for lone surrogates, halves of a character that no tokenizer takes. A shell passes broken bytes
    on as such."""
    return text.encode("utf-8", "replace").decode("utf-8")
