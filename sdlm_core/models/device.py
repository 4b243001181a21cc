"""Device and dtype by name, or the fast ones of this machine."""

from __future__ import annotations

import torch

from sdlm_core.errors import SDLMError

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


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
