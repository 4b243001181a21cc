"""Merging a PEFT LoRA adapter into the weights it was trained on.

PEFT itself does the training and writes the files; merging is one line of algebra, and importing PEFT for it would add
five seconds to every start.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from sdlm_core.errors import SDLMError
from sdlm_core.models.heap import give_back

PREFIX = "base_model.model."
TOKENS = ".token_adapter.trainable_tokens_delta"  # PEFT's name for the trained rows of an embedding


@torch.no_grad()
def merge_adapter(model: Any, folder: Path) -> None:
    """Add an adapter's products to the model's matrices, W ← W + α/r · B A, and put in the trained token embeddings.

    model: a transformers model with full weights; folder: adapter_config.json and adapter_model.safetensors.
    SDLMError where the adapter does not fit the model.
    """
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    weights = load_file(folder / "adapter_model.safetensors")
    scale = config["lora_alpha"] / (config["r"] ** 0.5 if config.get("use_rslora") else config["r"])
    modules = dict(model.named_modules())
    for number, name in enumerate(n for n in weights if n.endswith(".lora_A.weight")):
        a = weights[name]
        target = name.removeprefix(PREFIX).removesuffix(".lora_A.weight")
        b = weights[name.replace(".lora_A.", ".lora_B.")]
        if target not in modules or modules[target].weight.shape != (b.shape[0], a.shape[1]):
            raise SDLMError(
                f"The adapter in {str(folder)!r} does not fit this base: "
                f"it changes {target!r}, which is missing there or of another shape."
            )
        weight = modules[target].weight
        delta = scale * (b.float() @ a.float()).to(weight.device)
        # A tensor of its own: written in place, the pages of the mapped file would become memory that cannot be freed.
        weight.data = delta.add_(weight).to(weight.dtype)
        if number % 16 == 0:
            give_back()
    for name, rows in weights.items():
        if name.endswith(TOKENS):
            target = name.removeprefix(PREFIX).removesuffix(TOKENS)
            indices = config["trainable_token_indices"]
            indices = indices[target.rsplit(".", 1)[-1]] if isinstance(indices, dict) else indices
            modules[target].weight[indices] = rows.to(modules[target].weight)
