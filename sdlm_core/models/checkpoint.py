"""A checkpoint's weights, tokenizer and special tokens, read by transformers' own classes. Remote code never runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from sdlm_core.errors import SDLMError
from sdlm_core.models.chat_template import turn_end
from sdlm_core.models.memory import is_out_of_memory
from sdlm_core.models.source import Source, first_line, read_json
from sdlm_core.models.transformer import ARCHITECTURES

ACTIVATIONS = ("silu", "swish")  # two names of what transformer.swiglu computes


def transformers_class(folder: Path, config: dict[str, Any]) -> Any:
    """transformers' class for a checkpoint; SDLMError for one that we cannot run."""
    import transformers

    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        raise SDLMError(
            f"The checkpoint {str(folder)!r} is of type {kind!r}. Supported are: {', '.join(ARCHITECTURES)}."
        )
    if config.get("use_sliding_window"):
        raise SDLMError(f"The checkpoint {str(folder)!r} uses sliding-window attention, which is not supported.")
    activation = config.get("hidden_act", ACTIVATIONS[0])
    if activation not in ACTIVATIONS:
        raise SDLMError(
            f"The checkpoint {str(folder)!r} uses the activation {activation!r}, which is not supported: "
            f"our forward pass computes {ACTIVATIONS[0]}."
        )
    # The class is named here rather than looked up, so that an `auto_map` to remote code is never followed.
    return {
        "llama": transformers.LlamaForCausalLM,
        "qwen2": transformers.Qwen2ForCausalLM,
        "qwen3": transformers.Qwen3ForCausalLM,
    }[kind]


def transformers_config(source: Source) -> Any:
    """transformers' config of a checkpoint, which knows the defaults of what config.json leaves out."""
    try:
        return transformers_class(source.weights, source.config).config_class.from_dict(source.config)
    except SDLMError:
        raise
    except Exception as error:  # transformers raises several kinds for entries that are missing or make no sense
        path = str(source.weights / "config.json")
        raise SDLMError(f"transformers does not understand {path!r}: {first_line(error)}") from error


def load_checkpoint(
    folder: Path,
    config: dict[str, Any],
    device: torch.device,
    dtype: torch.dtype,
    quantization: str | None = None,
    spread: bool = False,
) -> tuple[Any, Any]:
    """transformers' model and tokenizer from a folder of safetensors, by its own classes."""
    import transformers

    model_class = transformers_class(folder, config)
    options: dict[str, Any] = {
        "dtype": dtype,
        "use_safetensors": True,
        "trust_remote_code": False,
        "local_files_only": True,
    }
    if quantization:
        options["quantization_config"] = (
            transformers.BitsAndBytesConfig(load_in_8bit=True)
            if quantization == "int8"
            else transformers.BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
            )
        )
    if spread:
        options["device_map"] = "auto"
    elif quantization or device.type != "cpu":
        options["device_map"] = {"": device}
    try:
        model = model_class.from_pretrained(folder, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise SDLMError(
                f"{str(folder)!r} does not fit into the memory of {device}. Use quantization='nf4', or a smaller model."
            ) from error
        raise SDLMError(f"The checkpoint {str(folder)!r} could not be loaded: {first_line(error)}") from error
    return model.eval().requires_grad_(False), tokenizer


def find_mask_token(facts: dict[str, Any], tokenizer: Any, name: str) -> int | None:
    """The mask token by id or by name; None for a plain autoregressive checkpoint."""
    if facts.get("text_mask_token_id") is not None:
        return int(facts["text_mask_token_id"])
    token = facts.get("text_mask_token")
    if token is not None:
        vocabulary = tokenizer.get_vocab()
        if token not in vocabulary:
            raise SDLMError(
                f"The checkpoint {name!r} names the mask token {token!r}, but its tokenizer does not know it. "
                'Add it to the tokenizer, or give "text_mask_token_id" in its config.'
            )
        return int(vocabulary[token])
    if facts.get("block_size"):
        raise SDLMError(
            f"The checkpoint {name!r} has a block_size but no mask token. "
            'Its config must name "text_mask_token" or "text_mask_token_id".'
        )
    return None


def find_end_tokens(folder: Path, config: dict[str, Any], tokenizer: Any) -> frozenset[int]:
    """Every token that ends an answer: those of generation_config.json, config.json, the tokenizer and its template."""
    generation = folder / "generation_config.json"
    sources = [
        read_json(generation).get("eos_token_id") if generation.exists() else None,
        config.get("eos_token_id"),
        tokenizer.eos_token_id,
        turn_end(tokenizer),  # which a base checkpoint need not name
    ]
    ids: set[int] = set()
    for source in sources:
        if isinstance(source, Iterable):
            ids.update(int(i) for i in source)
        elif source is not None:
            ids.add(int(source))
    return frozenset(ids)
