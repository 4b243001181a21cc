"""A loaded model: weights, tokenizer and the facts that make it an SDLM. It knows nothing of how it was loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import torch

from sdlm_core.errors import SDLMError
from sdlm_core.models.chat_template import render, replace_surrogates, special_ids
from sdlm_core.models.sampler import Sampler
from sdlm_core.models.transformer import Transformer
from sdlm_core.text import AnswerText

# A question, chat messages ({"role": …, "content": …}) or token ids.
Prompt = str | Sequence[Mapping[str, str]] | Sequence[int]
# What an answer is made to begin with: token ids, and texts that become tokens.
Prefix = Sequence[int | str]


@dataclass(eq=False)
class LanguageModel:
    """What decoding needs of a model.

    block_size:    D the model was trained with; None for a plain autoregressive model, which can only decode as such.
    causal_attn:   whether a block's rows see each other causally rather than both ways.
    mask_token_id: the token that stands for "guess this"; None for a plain autoregressive model.
    sampler:       the head that lets a block's guesses know each other; None where there is none.
    """

    name: str
    transformer: Transformer
    tokenizer: Any
    block_size: int | None
    causal_attn: bool
    mask_token_id: int | None
    end_token_ids: frozenset[int]
    device: torch.device
    dtype: torch.dtype
    description: str = ""  # device and precision, for people
    versions: dict[str, str] = field(default_factory=dict)
    sampler: Sampler | None = None

    def __post_init__(self) -> None:
        # Without a reference to the model itself: a cycle would keep its weights until the garbage collector runs.
        self.token_text = lru_cache(maxsize=65_536)(partial(_text, self.tokenizer))

    @property
    def vocabulary(self) -> int:
        return self.transformer.shape.vocabulary

    @property
    def context_length(self) -> int:
        """Tokens that prompt and answer may have together."""
        return self.transformer.shape.context

    def encode(self, prompt: Prompt) -> tuple[str, list[int]]:
        """The prompt as text for people and as token ids, through the chat template unless it is token ids already.

        SDLMError where it is empty, where a message lacks its role or content, where the template refuses the
        messages, or where they leave no room for an answer.
        """
        if isinstance(prompt, str):
            messages = [{"role": "user", "content": prompt}]
            if not prompt.strip():
                raise SDLMError("The prompt is empty. Write a question or an instruction.")
        elif len(prompt) == 0:
            raise SDLMError("The prompt is empty: it holds no token and no message.")
        elif isinstance(prompt[0], Mapping):
            messages = [dict(m) if isinstance(m, Mapping) else {} for m in prompt]
            if not all(isinstance(m.get("role"), str) and isinstance(m.get("content"), str) for m in messages):
                raise SDLMError('Each message needs two texts: {"role": "user", "content": "…"}.')
        else:
            if not all(isinstance(i, int) for i in prompt):
                raise SDLMError(
                    "A prompt is a text, a list of messages or a list of token ids, which are whole numbers."
                )
            ids = [int(i) for i in prompt]  # type: ignore[arg-type,call-overload]
            self._check_vocabulary(ids)
            return self.decode(ids), self._check_length(ids)
        messages = [{**m, "content": replace_surrogates(m["content"])} for m in messages]
        if self.tokenizer.chat_template:
            rendered = render(self.tokenizer, messages, generation_prompt=True)
            ids = self.tokenizer(rendered, add_special_tokens=False)["input_ids"]
        else:
            ids = self.tokenizer("\n".join(m["content"] for m in messages))["input_ids"]
        return messages[-1]["content"], self._check_length(ids)

    def encode_prefix(self, prefix: Prefix) -> list[int]:
        """The token ids that an answer is made to begin with.

        SDLMError for an id outside the vocabulary, and for an end token, after which no answer goes on.
        """
        ids: list[int] = []
        for part in prefix:
            if isinstance(part, str):
                ids += self.tokenizer(replace_surrogates(part), add_special_tokens=False)["input_ids"]
            elif isinstance(part, int):
                ids.append(int(part))
            else:
                raise SDLMError("An answer begins with a list of token ids, which are whole numbers, and texts.")
        self._check_vocabulary(ids)
        ends = [place for place, i in enumerate(ids) if i in self.end_token_ids]
        if ends:
            raise SDLMError(f"Token {ends[0] + 1} ends the answer, so there is nothing to decode after it.")
        return ids

    @property
    def has_sampler(self) -> bool:
        """Whether guesses of a block can know each other."""
        return self.sampler is not None

    def prompt_tokens(self, prompt: Prompt) -> list[tuple[str, int, bool]]:
        """For each token of a prompt: its text, its id, whether it is a special one. Raises as `encode`."""
        _, ids = self.encode(prompt)
        special = special_ids(self.tokenizer)
        return [(text, i, i in special) for text, i in zip(AnswerText(self).preview(ids), ids, strict=True)]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of tokens, special tokens included."""
        return _text(self.tokenizer, *token_ids)

    def _check_vocabulary(self, ids: list[int]) -> None:
        outside = [i for i in ids if not 0 <= i < self.vocabulary]
        if outside:
            raise SDLMError(
                f"Token id {outside[0]} is not in the vocabulary of {self.name!r} (0 … {self.vocabulary - 1})."
            )

    def _check_length(self, ids: list[int]) -> list[int]:
        if not ids:
            raise SDLMError("The prompt is empty: it has no token.")
        if len(ids) >= self.context_length:
            raise SDLMError(
                f"The prompt has {len(ids):,} tokens, but {self.name!r} reads at most {self.context_length:,}, "
                "its answer included. Shorten the prompt."
            )
        return ids


def _text(tokenizer: Any, *token_ids: int) -> str:
    """Text of tokens, special tokens included."""
    return str(tokenizer.decode(list(token_ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))
