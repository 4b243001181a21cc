"""Loading: a name, a folder or a hub id becomes a LanguageModel. Weights come from safetensors; remote code never runs.

Three kinds of source: "builtin"; a checkpoint folder or hub id, the official SDLM ones included (Qwen2 weights whose
config names remote code that we have no need of); and an adapter folder as `python -m sdlm_core retrofit` writes it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers.utils import logging as transformers_logging

from sdlm_core import builtin
from sdlm_core.adapter import merge_adapter
from sdlm_core.chat import turn_end
from sdlm_core.errors import SDLMError
from sdlm_core.heap import give_back, keep_freed_memory
from sdlm_core.language_model import LanguageModel
from sdlm_core.linear import linear
from sdlm_core.memory import check_fits, is_out_of_memory
from sdlm_core.model import ARCHITECTURES, Layer, Linear, Shape, Transformer

log = logging.getLogger(__name__)

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
QUANTIZATIONS = ("int8", "nf4")
SDLM_CONFIG = "sdlm_config.json"  # beside an adapter: what config.json says of a whole SDLM checkpoint, and its base
BUILTIN_BASE = "builtin-base"
ACTIVATIONS = ("silu", "swish")  # two names of what model.swiglu computes


@dataclass(frozen=True)
class Source:
    """Where a model's parts lie. `adapter` is None for a whole checkpoint; `facts` is what makes it an SDLM."""

    name: str
    weights: Path
    adapter: Path | None
    config: dict[str, Any]
    facts: dict[str, Any]


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
    if transformer.embedding.device.type == "cpu":
        keep_freed_memory()
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
    )


def load_transformers(
    name: str, device: str = "auto", dtype: str = "auto", quantization: str | None = None
) -> tuple[Any, Any, Source]:
    """transformers' model with an adapter merged in, tokenizer, and where they came from; arguments as `load_model`."""
    target, precision = pick_device(device), pick_dtype(dtype, device)
    transformers_logging.set_verbosity_error()
    source = find_source(name, weights=False)  # its sizes first; the weights only once it is known that they fit
    if source.adapter and quantization:
        raise SDLMError(f"{name!r} is an adapter, which is merged into full weights. Load it without quantization.")
    spread = device == "auto" and target.type == "cuda" and torch.cuda.device_count() > 1
    if target.type == "cuda":
        used = range(torch.cuda.device_count()) if spread else [target.index or 0]
        devices = [torch.device("cuda", i) for i in used]
    else:
        devices = [target]
    config = transformers_config(source)
    check_fits(name, config, devices, precision, quantization, adapter=source.adapter is not None)
    source = find_source(name)
    how = f"{target} in {str(precision).removeprefix('torch.')}{f', {quantization}' if quantization else ''}"
    log.info("Loading %s on %s …", name, how)
    model, tokenizer = load_checkpoint(source.weights, source.config, target, precision, quantization, spread)
    if source.adapter:
        try:
            merge_adapter(model, source.adapter)
        except SDLMError:
            raise
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise SDLMError(
                f"The adapter in {str(source.adapter)!r} is damaged or incomplete "
                f"({type(error).__name__}: {first_line(error)}). Copy its folder anew."
            ) from error
    return model, tokenizer, source


def find_source(name: str, weights: bool = True) -> Source:
    """Resolve a name to folders, fetching what is not there yet; from the hub, `weights` only if wanted."""
    folder = builtin.ensure_adapter() if name == "builtin" else find_folder(name, weights)
    if (folder / "adapter_config.json").exists():
        facts = read_json(folder / SDLM_CONFIG)
        base = facts.get("base", BUILTIN_BASE)
        whole = builtin.ensure_base() if base == BUILTIN_BASE else find_folder(str(base), weights)
        return Source(name, whole, folder, read_json(whole / "config.json"), facts)
    config = read_json(folder / "config.json")
    return Source(name, folder, None, config, config)


def build_transformer(model: Any) -> Transformer:
    """The lean forward pass over the weights of a transformers Llama, Qwen2 or Qwen3 model, which gives them up.

    Matrices that read the same input are fused (queries, keys and values; gate and up), except where bitsandbytes holds
    them packed.
    """
    if any(p.device.type == "meta" for p in model.parameters()):
        raise SDLMError(
            "This model does not fit into the accelerator's memory. Use quantization='nf4', or a smaller model."
        )
    if model.model.embed_tokens.weight.device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)  # it would plan anew for every number of rows
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
    module.weight = None  # type: ignore[assignment]  # where `linear` lays it out anew, nobody needs it as it was
    return linear(weight, bias)


def _fused(modules: list[Any]) -> Linear:
    """One callable that gives the linear modules' outputs side by side."""
    if any(type(m) is not nn.Linear for m in modules):
        return lambda x: torch.cat([m(x) for m in modules], dim=-1)
    weight = torch.cat([m.weight.data for m in modules])
    bias = None if modules[0].bias is None else torch.cat([m.bias.data for m in modules])
    for m in modules:
        m.weight = None  # one copy in memory, layer by layer
    return linear(weight, bias)


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


def find_folder(name: str, weights: bool = True) -> Path:
    """A local folder as it is; a hub id as its folder in the hub's cache, fetched if need be, `weights` if wanted."""
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").exists() and not (path / "adapter_config.json").exists():
            raise SDLMError(
                f"The folder {name!r} holds neither config.json nor adapter_config.json, so it is not a checkpoint."
            )
        return path
    if path.exists():
        raise SDLMError(f"{name!r} is a file; give the checkpoint's folder.")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise SDLMError(
            f'There is no folder {name!r}. Give "builtin", the folder of a checkpoint, or a hub id such as '
            '"OpenGVLab/SDLM-3B-D4".'
        )
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.txt", "*.model", "*.jinja"] + ["*.safetensors"] * weights
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except Exception as error:  # the hub's client raises a dozen kinds, and each means the same to the user
        raise SDLMError(
            f"There is no folder {name!r}, and the model hub gave no model of that name: {first_line(error)} "
            "Check the name and the network, or give the folder of a downloaded checkpoint."
        ) from error


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


def pick_device(device: str) -> torch.device:
    """ "auto" is CUDA, else MPS, else CPU; anything else must be a device that is there."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        target = torch.device(device)
    except RuntimeError:
        raise SDLMError(f"Unknown device {device!r}. Choose auto, cpu, cuda, cuda:0 or mps.") from None
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}.get(
        target.type, False
    )
    if not there or (target.type == "cuda" and (target.index or 0) >= torch.cuda.device_count()):
        raise SDLMError(f"The device {device!r} is not available here. Use device='auto'.")
    return target


def pick_dtype(dtype: str, device: str) -> torch.dtype:
    """A dtype by name, or the fast one of the device."""
    if dtype == "auto":
        return fast_dtype(pick_device(device))
    if dtype not in DTYPES:
        raise SDLMError(f"Unknown dtype {dtype!r}. Choose auto, {', '.join(DTYPES)}.")
    return DTYPES[dtype]


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it fast, float32 elsewhere.

    CUDA: compute capability 8 (Ampere) or newer. CPU: it has AMX or AVX-512 bf16 instructions, as torch reports them.
    MPS: float32, which every Mac runs well.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device)[0] >= 8 else torch.float16
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return torch.bfloat16 if able.get("amx_bf16") or able.get("avx512_bf16") else torch.float32
    return torch.float32


def describe(device: torch.device, dtype: torch.dtype, quantization: str | None) -> str:
    """Device and precision in words."""
    where = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{device.type.upper()}, {torch.get_num_threads()} threads"
    )
    return f"{where}, {quantization or str(dtype).removeprefix('torch.')}"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; SDLMError where it is missing or not one."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SDLMError(f"The file {str(path)!r} is missing, so this is not a complete checkpoint.") from None
    except ValueError:
        raise SDLMError(f"The file {str(path)!r} is not valid JSON.") from None
    if not isinstance(data, dict):
        raise SDLMError(f"The file {str(path)!r} must hold a JSON object.")
    return data


def first_line(error: Exception) -> str:
    """The first line of an error's text, for a sentence of ours."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
