"""Loading: a name, a folder or a hub id becomes a LanguageModel. Weights come from safetensors; remote code never runs.

Three kinds of source: "builtin"; a checkpoint folder or hub id, the official SDLM ones included (Qwen2 weights whose
config names remote code that we have no need of); and an adapter folder as `python -m sdlm_core retrofit` writes it. A
folder may hold a sampler beside its weights.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from sdlm_core.errors import SDLMError
from sdlm_core.models.adapter import merge_adapter
from sdlm_core.models.checkpoint import find_end_tokens, find_mask_token, load_checkpoint, transformers_config
from sdlm_core.models.device import describe, pick_device, pick_dtype
from sdlm_core.models.heap import give_back
from sdlm_core.models.language_model import LanguageModel
from sdlm_core.models.memory import check_fits, free_bytes, needed_bytes
from sdlm_core.models.sampler import load_sampler
from sdlm_core.models.source import Source, find_source, first_line
from sdlm_core.models.transformer import Layer, Linear, PlainLinear, Shape, Transformer

log = logging.getLogger(__name__)

QUANTIZATIONS = ("int8", "nf4")


def load_model(
    name: str = "builtin", device: str = "auto", dtype: str = "auto", quantization: str | None = None
) -> LanguageModel:
    """Load an SDLM, or a plain autoregressive model to compare with.

    name:         "builtin", a local folder, or a hub id such as "OpenGVLab/SDLM-3B-D4".
    device:       "auto" (CUDA, else MPS, else CPU; several GPUs share the layers), or a torch device such as "cuda:1".
    dtype:        "auto", "bfloat16", "float16" or "float32"; see `fast_dtype` for what auto picks.
    quantization: None, "int8" or "nf4" (bitsandbytes).
    Raises SDLMError, which says what is missing and what to do.
    """
    target, precision = pick_device(device), pick_dtype(dtype, device)
    if quantization is not None and quantization not in QUANTIZATIONS:
        raise SDLMError(f"Unknown quantization {quantization!r}. Choose {', '.join(QUANTIZATIONS)}, or leave it out.")
    model, tokenizer, source = load_transformers(name, device, dtype, quantization)
    transformer = build_transformer(model)
    mask_token_id = find_mask_token(source.facts, tokenizer, name)
    if mask_token_id is not None and not 0 <= mask_token_id < transformer.shape.vocabulary:
        raise SDLMError(
            f"The checkpoint {name!r} names {mask_token_id} as its mask token, "
            f"but its vocabulary has {transformer.shape.vocabulary} tokens. Correct its config."
        )
    sampler = load_sampler(
        source.adapter or source.weights, transformer.shape.hidden, transformer.norm.device, transformer.embedding.dtype
    )
    return LanguageModel(
        name=name,
        transformer=transformer,
        tokenizer=tokenizer,
        block_size=source.facts.get("block_size"),
        causal_attn=bool(source.facts.get("causal_attn", source.facts.get("casual_attn", False))),  # so misspelled
        mask_token_id=mask_token_id,
        end_token_ids=find_end_tokens(source.weights, source.config, tokenizer),
        device=transformer.embedding.device,
        dtype=transformer.embedding.dtype,
        description=describe(target, precision, quantization),
        versions={"torch": torch.__version__},
        sampler=sampler,
    )


def load_transformers(
    name: str, device: str = "auto", dtype: str = "auto", quantization: str | None = None
) -> tuple[Any, Any, Source]:
    """transformers' model with an adapter merged in, tokenizer, and where they came from; arguments as `load_model`."""
    from transformers.utils import (
        logging as transformers_logging,  # here: it takes a second, which a page need not wait
    )

    target, precision = pick_device(device), pick_dtype(dtype, device)
    transformers_logging.set_verbosity_error()
    source = find_source(name, weights=False)  # its sizes first; the weights only once it is known that they fit
    devices = _devices(device)
    spread = len(devices) > 1
    config = transformers_config(source)
    check_fits(name, config, devices, precision, quantization, adapter=source.adapter is not None)
    source = find_source(name)
    how = f"{target} in {str(precision).removeprefix('torch.')}{f', {quantization}' if quantization else ''}"
    log.info("Loading %s on %s …", name, how)
    if source.adapter is None:
        return *load_checkpoint(source.weights, source.config, target, precision, quantization, spread), source
    if quantization is None:
        model, tokenizer = load_checkpoint(source.weights, source.config, target, precision, spread=spread)
        _merge(model, source.adapter)
        return model, tokenizer, source
    # bitsandbytes packs weights while it reads them: those of the adapter are merged in first, in the CPU's memory.
    check_fits(name, config, [torch.device("cpu")], precision, adapter=True)
    whole, tokenizer = load_checkpoint(source.weights, source.config, torch.device("cpu"), precision)
    _merge(whole, source.adapter)
    with tempfile.TemporaryDirectory(prefix="sdlm-merged-") as folder:
        whole.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        del whole
        model, _ = load_checkpoint(Path(folder), source.config, target, precision, quantization, spread)
    return model, tokenizer, source


def missing_bytes(
    name: str, device: str = "auto", dtype: str = "auto", quantization: str | None = None
) -> tuple[int, int]:
    """Bytes that the model, loaded with one run beside it, takes on its devices, and how many of them are not free.

    Arguments as `load_model`. Where free memory is not known, none are missing. Raises SDLMError for what is no model.
    """
    devices = _devices(device)
    config = transformers_config(find_source(name, weights=False))
    needed = needed_bytes(config, devices[0], pick_dtype(dtype, device), quantization)
    free = free_bytes(devices)
    return needed, 0 if free is None else max(0, needed - free)


def _devices(device: str) -> list[torch.device]:
    """Where a model's layers go: with "auto", to all GPUs."""
    target = pick_device(device)
    if target.type != "cuda":
        return [target]
    used = range(torch.cuda.device_count()) if device == "auto" else [target.index or 0]
    return [torch.device("cuda", i) for i in used]


def _merge(model: Any, adapter: Path) -> None:
    """Merge an adapter's folder into a model. Raises SDLMError, also where its files are damaged."""
    try:
        merge_adapter(model, adapter)
    except SDLMError:
        raise
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise SDLMError(
            f"The adapter in {str(adapter)!r} is damaged or incomplete "
            f"({type(error).__name__}: {first_line(error)}). Copy its folder anew."
        ) from error


def build_transformer(model: Any) -> Transformer:
    """The lean forward pass over the weights of a transformers Llama, Qwen2 or Qwen3 model, which gives them up.

    Matrices that read the same input are fused (queries, keys and values; gate and up), except where bitsandbytes holds
    them packed.
    """
    if any(p.device.type == "meta" for p in model.parameters()):
        raise SDLMError(
            "This model does not fit into the accelerator's memory. Use quantization='nf4', or a smaller model."
        )
    layers = []
    for block in model.model.layers:
        attention, mlp = block.self_attn, block.mlp
        layers.append(
            Layer(
                input_norm=block.input_layernorm.weight.data,
                qkv=_fused([attention.q_proj, attention.k_proj, attention.v_proj]),
                output=_linear(attention.o_proj),
                mlp_norm=block.post_attention_layernorm.weight.data,
                gate_up=_fused([mlp.gate_proj, mlp.up_proj]),
                down=_linear(mlp.down_proj),
                query_norm=attention.q_norm.weight.data if hasattr(attention, "q_norm") else None,
                key_norm=attention.k_norm.weight.data if hasattr(attention, "k_norm") else None,
            )
        )
        give_back()
    return Transformer(
        shape=Shape.of(model.config),
        embedding=model.model.embed_tokens.weight.data,
        layers=layers,
        norm=model.model.norm.weight.data.to(model.lm_head.weight.device),  # where `run` ends
        head=_linear(model.lm_head),
        rotary=model.model.rotary_emb,
    )


def _linear(module: nn.Module) -> Linear:
    if type(module) is not nn.Linear:
        return module  # bitsandbytes
    weight, bias = module.weight.data, None if module.bias is None else module.bias.data
    module.weight = None  # type: ignore[assignment]  # the executor may pack it, and then nobody needs it
    return PlainLinear(weight, bias)


def _fused(modules: list[Any]) -> Linear:
    """One callable that gives the linear modules' outputs side by side."""
    if any(type(m) is not nn.Linear for m in modules):
        return lambda x: torch.cat([m(x) for m in modules], dim=-1)
    weight = torch.cat([m.weight.data for m in modules])
    bias = None if modules[0].bias is None else torch.cat([m.bias.data for m in modules])
    for m in modules:
        m.weight = None  # one copy in memory, layer by layer
    return PlainLinear(weight, bias)
