"""The chat template: what it refuses is said in its words, and the token that closes an answer is found in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import transformers

import sdlm_core
from sdlm_core import SDLMError
from sdlm_core.models.chat_template import turn_end

ALTERNATING = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate.') }}{% endif %}{{ m['content'] }}<|im_end|>{% endfor %}"
)


@pytest.fixture
def tokenizer(checkpoint: Callable[..., Path]) -> transformers.PreTrainedTokenizerFast:
    """A tokenizer of this test's own, to give another template."""
    return transformers.AutoTokenizer.from_pretrained(checkpoint(kind="qwen2", tied=True))


def test_a_template_that_refuses_the_messages_is_quoted(
    load: Callable[..., sdlm_core.LanguageModel], tokenizer: transformers.PreTrainedTokenizerFast
) -> None:
    tokenizer.chat_template = ALTERNATING
    lm = replace(load(kind="qwen2", tied=True), tokenizer=tokenizer)
    assert lm.encode("hello")[1]
    twice = [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]
    with pytest.raises(SDLMError, match=r"refuses this conversation.*Conversation roles must alternate.*Change"):
        sdlm_core.decode(lm, twice)


@pytest.mark.parametrize(
    ("template", "end"),
    [
        (ALTERNATING, "<|im_end|>"),
        ("{% for m in messages %}<|im_start|>{{ m.content }}\n<|endoftext|>{% endfor %}", "<|endoftext|>"),
        ("{% for m in messages %}<|im_start|>{{ m.content }}\n{% endfor %}", None),
        ("{% for m in messages if m.role == 'system' %}{{ m.content }}<|im_end|>{% endfor %}<|im_start|>", None),
        ("{{ raise_exception('No assistants.') }}", None),
        (None, None),
    ],
)
def test_the_token_that_closes_an_answer(
    template: str | None, end: str | None, tokenizer: transformers.PreTrainedTokenizerFast
) -> None:
    tokenizer.chat_template = template
    assert turn_end(tokenizer) == (None if end is None else tokenizer.convert_tokens_to_ids(end))
