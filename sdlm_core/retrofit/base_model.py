"""What is trained: a base model with a fresh or an earlier LoRA adapter, or all its weights, and its mask token.

It knows nothing of data, losses or steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import nn

from sdlm_core.errors import SDLMError
from sdlm_core.models.chat_template import turn_end
from sdlm_core.models.checkpoint import load_checkpoint
from sdlm_core.models.device import fast_dtype
from sdlm_core.models.source import find_folder, read_json
from sdlm_core.retrofit.config import RetrofitConfig

PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def load_base(config: RetrofitConfig, device: torch.device) -> tuple[Any, nn.Module, int]:
    """Tokenizer, model (under PEFT, or with float32 master weights) and the mask token's id. SDLMError."""
    folder = find_folder(config.model)
    dtype = compute_dtype(config, device) if config.lora_rank else torch.float32
    model, tokenizer = load_checkpoint(folder, read_json(folder / "config.json"), device, dtype)
    model.requires_grad_(True)
    mask_token_id = _mask_token(config, model, tokenizer)
    mean = model.get_input_embeddings().weight.detach().float().mean(dim=0)
    if config.lora_rank:
        model, mask_row = _with_adapter(config, model, mask_token_id)
    else:
        mask_row = model.get_input_embeddings().weight[mask_token_id : mask_token_id + 1]
    with torch.no_grad():
        mask_row.copy_(mean)  # no word in particular
        if config.start_adapter:
            _take_over(model, Path(config.start_adapter))
    return tokenizer, model.to(device), mask_token_id


def _mask_token(config: RetrofitConfig, model: Any, tokenizer: Any) -> int:
    """The mask token's id, added to tokenizer and model where all weights are trained and the tokenizer lacks it."""
    if not tokenizer.chat_template:
        raise SDLMError(f"{config.model} has no chat template; training needs one to tell answers from prompts.")
    end = turn_end(tokenizer)
    if end is None:  # then no label would ever say stop
        raise SDLMError(
            f"The chat template of {config.model} closes an answer with no special token, so the model could not learn "
            "to stop. Give it a template that ends each answer with the tokenizer's end token."
        )
    known = config.mask_token in tokenizer.get_vocab()
    if config.lora_rank and not known:
        raise SDLMError(
            f"The tokenizer has no token {config.mask_token!r}, and an adapter cannot bring one along. Name an unused "
            "special token with --mask-token, or train all weights with --lora-rank 0."
        )
    if not known:
        tokenizer.add_special_tokens({"additional_special_tokens": [config.mask_token]})
        if len(tokenizer) > model.config.vocab_size:
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    mask_token_id = int(tokenizer.convert_tokens_to_ids(config.mask_token))
    if mask_token_id in (end, tokenizer.eos_token_id):
        raise SDLMError(f"The mask token {config.mask_token!r} is what ends an answer; name an unused special token.")
    return mask_token_id


def _with_adapter(config: RetrofitConfig, model: Any, mask_token_id: int) -> tuple[nn.Module, torch.Tensor]:
    """The model under a new LoRA adapter, whose weights are float32, and the mask token's row (1, hidden)."""
    lora = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        target_modules=PROJECTIONS,
        trainable_token_indices=[mask_token_id],
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(config.seed)
    model = get_peft_model(model, lora)
    for p in model.parameters():
        if p.requires_grad:
            p.data = p.data.float()
    mask_row = model.get_base_model().model.embed_tokens.token_adapter.trainable_tokens_delta["default"]
    return model, mask_row


def _take_over(model: Any, folder: Path) -> None:
    """Begin with the weights of an earlier run's adapter instead of none."""
    file = folder / "adapter_model.safetensors"
    if not file.is_file():
        raise SDLMError(f"{str(folder)!r} holds no adapter to begin with: it has no adapter_model.safetensors.")
    try:
        found = set_peft_model_state_dict(model, {k: v.float() for k, v in load_file(file).items()})
    except RuntimeError as error:
        raise SDLMError(
            f"The adapter in {str(folder)!r} has another rank or base than this run; use those it was trained with."
        ) from error
    if found.unexpected_keys:
        raise SDLMError(f"The adapter in {str(folder)!r} changes {found.unexpected_keys[0]!r}, which this model lacks.")


def compute_dtype(config: RetrofitConfig, device: torch.device) -> torch.dtype:
    if config.dtype == "auto":
        return torch.bfloat16 if fast_dtype(device) == torch.bfloat16 else torch.float32
    return torch.bfloat16 if config.dtype == "bfloat16" else torch.float32
