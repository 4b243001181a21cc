"""Every performance switch, in one place: what is turned on for a model, by its device and its weights.

None of them changes what is computed, only how. The sizes that passes are rounded up to are in `shapes`.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from sdlm_core.models.transformer import Transformer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Switches:
    """How the passes of one model are executed.

    cpu_products:    matrix products on a CPU are computed in the way that suits it and their dtype (`linear`).
    keep_freed:      on a CPU, the C library keeps freed memory for the next pass (`models.heap`).
    cudnn_attention: PyTorch may choose cuDNN's attention; off on CUDA, where it plans anew for each number of rows.
    cuda_graphs:     the passes of a pool that lasts run at fixed shapes and are replayed as graphs (`fixed_shapes`).
    """

    cpu_products: bool
    keep_freed: bool
    cudnn_attention: bool
    cuda_graphs: bool


def choose_switches(transformer: Transformer) -> Switches:
    """What is turned on for this model."""
    embedding = transformer.embedding
    on_cpu = embedding.device.type == "cpu"
    return Switches(
        cpu_products=on_cpu,
        keep_freed=on_cpu,
        cudnn_attention=embedding.device.type != "cuda",
        cuda_graphs=_can_capture(transformer),
    )


def _can_capture(transformer: Transformer) -> bool:
    """Whether passes can be captured: on one CUDA device, and not under ZeroGPU, whose forks no graph survives.

    Nor where a pass asks the device for a number: bitsandbytes' int8 for outliers, dynamic RoPE for the longest text.
    """
    devices = {layer.input_norm.device for layer in transformer.layers} | {transformer.embedding.device}
    if len(devices) > 1 or next(iter(devices)).type != "cuda":
        return False
    int8 = any(type(layer.down).__name__ == "Linear8bitLt" for layer in transformer.layers)
    if int8 or "dynamic" in str(getattr(transformer.rotary, "rope_type", "")):
        return False
    if on_zerogpu():
        log.info("ZeroGPU: decoding without CUDA graphs.")
        return False
    return True


def on_zerogpu() -> bool:
    """Whether this is a Hugging Face Space with ZeroGPU, by the variable and the values that `spaces` goes by."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
