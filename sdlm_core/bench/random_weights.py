"""Real shapes without their checkpoints: models of random weights, to time on machines that have none of theirs."""

from __future__ import annotations

from typing import Any

import torch

from sdlm_core.models.device import pick_device, pick_dtype
from sdlm_core.models.language_model import LanguageModel
from sdlm_core.models.loading import build_transformer

SHAPES: dict[str, dict[str, Any]] = {
    "qwen2.5-3b": {
        "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
        "num_key_value_heads": 2, "vocab_size": 151_936, "max_position_embeddings": 32_768, "tie_word_embeddings": True,
    },
    "qwen2.5-0.5b": {
        "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
        "num_key_value_heads": 2, "vocab_size": 151_936, "max_position_embeddings": 32_768, "tie_word_embeddings": True,
    },
}  # fmt: skip


def random_models(shape: str, device: str, dtype: str) -> tuple[LanguageModel, Any]:
    """Ours and transformers', of a real shape with the same random weights, for Qwen2's architecture."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    target, precision = pick_device(device), pick_dtype(dtype, device)
    config = Qwen2Config(**SHAPES[shape], eos_token_id=None, bos_token_id=None)
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        with torch.device(target):
            torch.set_default_dtype(precision)
            models.append(Qwen2ForCausalLM(config).eval().requires_grad_(False))
            torch.set_default_dtype(torch.float32)
    ours, reference = models
    lm = LanguageModel(
        name=f"{shape} (random weights)",
        transformer=build_transformer(ours),
        tokenizer=Numbers(),
        block_size=4,
        causal_attn=False,
        mask_token_id=config.vocab_size - 1,
        end_token_ids=frozenset(),
        device=target,
        dtype=precision,
        description=f"{target}, {str(precision).removeprefix('torch.')}",
    )
    return lm, reference


class Numbers:
    """A tokenizer's place is taken: tokens read as their numbers."""

    chat_template = None

    def decode(self, token_ids: list[int], **_: object) -> str:
        return "".join(f" {i}" for i in token_ids)
