"""Memory before it is taken: what a model's weights and one run will need, what is free, and the error if that is less.

A config tells every size, so nothing here opens a weight file. It knows nothing of how a model is loaded or decodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import psutil  # type: ignore[import-untyped]
import torch

from sdlm_core.errors import SDLMError
from sdlm_core.models.cgroup import cgroup_free
from sdlm_core.models.transformer import Shape

RUN_ROWS = 1024  # prompt, answer and block of the one run that must fit beside the weights
LOAD_SHARE = 0.05  # of the weights, that loading and fusing them holds twice for a moment; measured on a CPU: 0.04


def parameters(config: Any) -> tuple[int, int, int]:
    """How many parameters a transformers config of one of ARCHITECTURES describes.

    Returns those in the layers' matrices, the outputs (rows) of these matrices, and all others: embedding, head (none
    where it is tied to the embedding), norms and biases.
    """
    s, inner = Shape.of(config), config.intermediate_size
    qkv, attended = (s.query_heads + 2 * s.kv_heads) * s.head_dim, s.query_heads * s.head_dim
    qwen2, bias = config.model_type == "qwen2", getattr(config, "attention_bias", False)
    matrices = qkv * s.hidden + s.hidden * attended + 3 * s.hidden * inner
    outputs = qkv + s.hidden + 2 * inner + s.hidden
    norms = 2 * s.hidden + (2 * s.head_dim if config.model_type == "qwen3" else 0)
    biases = (qkv if qwen2 or bias else 0) + (s.hidden if bias and not qwen2 else 0)
    if getattr(config, "mlp_bias", False):
        biases += 2 * inner + s.hidden
    embeddings = s.vocabulary * s.hidden * (1 if config.tie_word_embeddings else 2)
    return s.layers * matrices, s.layers * outputs, embeddings + s.layers * (norms + biases) + s.hidden


def weight_bytes(config: Any, dtype: torch.dtype, quantization: str | None = None) -> int:
    """Bytes of a checkpoint's weights once loaded, an adapter merged in or not; arguments as `load_model` takes them.

    bitsandbytes packs the layers' matrices only: int8 with a float32 scale a row, nf4 with one for 64 weights.
    """
    matrices, outputs, others = parameters(config)
    packed = {"int8": matrices + 4 * outputs, "nf4": matrices // 2 + matrices // 16}
    return packed[quantization] + others * dtype.itemsize if quantization else (matrices + others) * dtype.itemsize


def free_bytes(devices: Iterable[torch.device]) -> int | None:
    """Bytes that can still be allocated on these devices together; None where that is not known."""
    total = 0
    for device in set(devices):
        try:
            if device.type == "cuda":  # what torch holds in reserve and does not use is as good as free
                idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
                total += torch.cuda.mem_get_info(device)[0] + idle
            elif device.type == "mps":
                total += max(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory(), 0)
            elif device.type == "cpu":
                limits = (cgroup_free(), int(psutil.virtual_memory().available))
                total += min(limit for limit in limits if limit is not None)
            else:
                return None
        except (RuntimeError, OSError):  # a driver that does not tell, such as ZeroGPU's stand-in between two calls
            return None
    return total


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is a lack of memory, as CUDA, MPS, the CPU's allocator or Python report it."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(w in str(error) for w in words)


def needed_bytes(config: Any, device: torch.device, dtype: torch.dtype, quantization: str | None = None) -> int:
    """Bytes that loading a model and one run beside it take; arguments as for `weight_bytes`. device: its first."""
    return int((1 + LOAD_SHARE) * weight_bytes(config, dtype, quantization)) + _run_bytes(config, device, dtype)


def _run_bytes(config: Any, device: torch.device, dtype: torch.dtype) -> int:
    shape = Shape.of(config)
    run: int = shape.cache_row_bytes(dtype) * min(RUN_ROWS, config.max_position_embeddings)
    if device.type == "cpu" and dtype == torch.bfloat16 and config.tie_word_embeddings:
        run += shape.vocabulary * shape.hidden * dtype.itemsize  # the head, packed (execution/linear.py)
    return run


def check_fits(
    name: str,
    config: Any,
    devices: list[torch.device],
    dtype: torch.dtype,
    quantization: str | None = None,
    adapter: bool = False,
) -> None:
    """Raise SDLMError where the model and one run would not fit into what `devices` have free, saying what would.

    Arguments as for `weight_bytes`; adapter: whether one is merged in there in full precision, to which packing is no
    remedy. Where the free memory is not known, anything fits.
    """
    run = _run_bytes(config, devices[0], dtype)

    def fits(free: int | None, dtype: torch.dtype, quantization: str | None) -> bool:
        return free is not None and (1 + LOAD_SHARE) * weight_bytes(config, dtype, quantization) + run <= free

    free, weights = free_bytes(devices), weight_bytes(config, dtype, quantization)
    if free is None or fits(free, dtype, quantization):
        return
    remedies = []
    if dtype == torch.float32 and not quantization and fits(free, torch.bfloat16, None):
        remedies.append(f"dtype bfloat16 (about {gigabytes(weight_bytes(config, torch.bfloat16))})")
    if not adapter and devices[0].type != "mps" and find_spec("bitsandbytes"):
        packed = [q for q in ("int8", "nf4") if quantization not in (q, "nf4") and fits(free, dtype, q)]
        remedies += [f"--quantization {q} (about {gigabytes(weight_bytes(config, dtype, q))})" for q in packed[:1]]
    for other in [torch.device("cuda", i) for i in range(torch.cuda.device_count())] + [torch.device("cpu")]:
        there = None if other in devices else free_bytes([other])
        if there is not None and fits(there, torch.float32 if other.type == "cpu" else dtype, quantization):
            remedies.append(f"--device {other} ({gigabytes(there)} free)")  # float32 is the most that a CPU may want
    where = f"{devices[0]} has" if len(devices) == 1 else f"the {len(devices)} GPUs together have"
    raise SDLMError(
        f"{name!r} needs about {gigabytes(weights)} for its weights in {quantization or str(dtype).split('.')[-1]} and "
        f"{gigabytes(LOAD_SHARE * weights + run)} to load and run, but {where} {gigabytes(free)} free. "
        f"Try {', '.join(remedies)}{' or ' if remedies else ''}a smaller model."
    )


def gigabytes(count: float) -> str:
    """Bytes for people: "65.5 GB", "0.3 GB", "12.0 MB"."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
