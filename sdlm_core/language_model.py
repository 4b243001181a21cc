"""A loaded model: weights, tokenizer and the facts that make it an SDLM. It knows nothing of how it was loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import torch

from sdlm_core import fixed
from sdlm_core.cache import CachePool
from sdlm_core.chat import render, whole
from sdlm_core.config import DecodeConfig
from sdlm_core.errors import SDLMError
from sdlm_core.model import Transformer

# A question, chat messages ({"role": …, "content": …}) or token ids.
Prompt = str | Sequence[Mapping[str, str]] | Sequence[int]


@dataclass(eq=False)
class LanguageModel:
    """What decoding needs of a model.

    block_size:    D the model was trained with; None for a plain autoregressive model, which can only decode as such.
    causal_attn:   whether a block's rows see each other causally rather than both ways.
    mask_token_id: the token that stands for "guess this"; None for a plain autoregressive model.
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

    def __post_init__(self) -> None:
        # Without a reference to the model itself: a cycle would keep its weights until the collector comes by.
        self.token_text = lru_cache(maxsize=65_536)(partial(_text, self.tokenizer))

    @property
    def vocabulary(self) -> int:
        return self.transformer.shape.vocabulary

    @property
    def context_length(self) -> int:
        """Tokens that prompt and answer may have together."""
        return self.transformer.shape.context

    def new_pool(self, lasting: bool = False) -> CachePool:
        """KV caches for runs that are decoded together, or for one. lasting: for so many passes that on a GPU it pays
        to capture them."""
        devices = [layer.input_norm.device for layer in self.transformer.layers]
        pool = CachePool(self.transformer.shape.kv_heads, self.transformer.shape.head_dim, devices, self.dtype)
        if lasting and fixed.wanted(self.transformer):
            pool.fixed = fixed.FixedForward(self.transformer, self.causal_attn, capture=True)
        return pool

    def check_block_size(self, config: DecodeConfig) -> int:
        """D for a run with `config`. SDLMError where this model cannot decode so."""
        if config.algorithm == "autoregressive":
            return 1
        if self.mask_token_id is None:
            raise SDLMError(
                f"The model {self.name!r} has no mask token, so it cannot decode by {config.algorithm!r}. "
                'Use algorithm="autoregressive", or retrofit it first: python -m sdlm_core retrofit --help. '
                'If it is an SDLM, its config.json must name "text_mask_token" or "text_mask_token_id".'
            )
        return config.block_size or self.block_size or 1

    def encode(self, prompt: Prompt) -> tuple[str, list[int]]:
        """The prompt as text for people and as token ids, through the chat template unless it is token ids already.

        SDLMError where it is empty, where a message is none, where the template refuses the messages, or where they
        leave no room for an answer.
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
            outside = [i for i in ids if not 0 <= i < self.vocabulary]
            if outside:
                raise SDLMError(
                    f"Token id {outside[0]} is not in the vocabulary of {self.name!r} (0 … {self.vocabulary - 1})."
                )
            return self.decode(ids), self._check_length(ids)
        messages = [{**m, "content": whole(m["content"])} for m in messages]
        if self.tokenizer.chat_template:
            rendered = render(self.tokenizer, messages, generation_prompt=True)
            ids = self.tokenizer(rendered, add_special_tokens=False)["input_ids"]
        else:
            ids = self.tokenizer("\n".join(m["content"] for m in messages))["input_ids"]
        return messages[-1]["content"], self._check_length(ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of tokens, special tokens included."""
        return _text(self.tokenizer, *token_ids)

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
