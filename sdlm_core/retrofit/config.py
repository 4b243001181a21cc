"""The settings of a retrofit and their limits."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sdlm_core.config import MAX_BLOCK_SIZE
from sdlm_core.errors import SDLMError

DTYPES = ("auto", "bfloat16", "float32")
ATTENTION = ("eager", "sdpa", "flex_attention", "split")  # how it is computed; see `attention`
AT_LEAST_ONE = (
    "block_size",
    "lora_alpha",
    "rows_per_step",
    "rows_per_pass",
    "workers",
    "max_blocks",
    "max_tokens",
    "held_out_rows",
    "evaluate_every",
)
AT_LEAST_ZERO = ("lora_rank", "warmup_steps", "text_loss", "teacher_temperature", "checkpoint_minutes")
ABOVE_ZERO = ("learning_rate", "grad_clip")
FINITE = ("minutes", "learning_rate", "text_loss", "teacher_temperature")  # an infinite grad_clip is none


@dataclass
class RetrofitConfig:
    """Everything a run depends on. With both `steps` and `minutes`, whichever ends first."""

    model: str  # folder or hub name of a Llama, Qwen2 or Qwen3 model, or "builtin": the built-in one's base
    data: str  # JSONL or meta JSON
    output: str
    block_size: int = 8
    causal_attn: bool = False
    mask_token: str = "<text_mask>"  # added where the tokenizer lacks it; with LoRA it must exist
    lora_rank: int = 64  # 0 trains all weights
    lora_alpha: int = 64
    learning_rate: float = 5e-4
    schedule: str = "cosine"  # or "constant"
    warmup_steps: int = 50
    grad_clip: float = 1.0
    steps: int | None = None
    minutes: float | None = None  # training time, accumulated over resumes
    rows_per_step: int = 4096
    rows_per_pass: int = 4096  # of which so many at once; fewer save memory
    workers: int = 1  # on a CPU: passes side by side, each on one core
    block_density: float = 0.4  # blocks per answer token
    max_blocks: int = 48  # a conversation
    text_loss: float = 0.0  # weight of the text rows' own next-token loss
    teacher_temperature: float = 0.0  # above 0: where the base wrote the text, its distribution is learnt, so sharpened
    max_tokens: int = 1024  # a conversation, longer ones are cut
    held_out: float = 0.02
    held_out_rows: int = 6144  # a group
    evaluate_every: int = 50
    checkpoint_minutes: float = 5.0
    seed: int = 0
    dtype: str = "auto"  # compute: bfloat16 where the hardware has it
    attention: str = "auto"
    recompute_layers: bool = False
    resume: bool = False
    start_adapter: str | None = None  # folder of an earlier run's adapter to train further
    base_name: str | None = None  # what adapter_config.json calls the base model; default: `model`

    def check(self) -> None:
        """SDLMError names the first setting that is out of its limits."""
        if self.steps is None and self.minutes is None:
            raise SDLMError("Say how long to train: --steps, --minutes or both.")
        if (self.steps is not None and self.steps < 1) or (self.minutes is not None and not self.minutes > 0):
            raise SDLMError("steps must be at least 1, and minutes above 0.")
        if self.schedule not in ("cosine", "constant"):
            raise SDLMError(f'schedule must be "cosine" or "constant", not {self.schedule!r}.')
        values = vars(self)
        limits = [(name, "at least 1", values[name] >= 1) for name in AT_LEAST_ONE]
        limits += [(name, "at least 0", values[name] >= 0) for name in AT_LEAST_ZERO]  # which nan is not
        limits += [(name, "above 0", values[name] > 0) for name in ABOVE_ZERO]
        limits += [(name, "a finite number", math.isfinite(values[name] or 0)) for name in FINITE]
        limits += [("block_size", f"at most {MAX_BLOCK_SIZE}", self.block_size <= MAX_BLOCK_SIZE)]  # decoding's limit
        for name, limit, kept in limits:
            if not kept:
                raise SDLMError(f"{name} must be {limit}, but is {values[name]}.")
        if not 0 < self.block_density <= 1:
            raise SDLMError("block_density is a share of the answer's tokens: above 0 and at most 1.")
        if self.dtype not in DTYPES:  # float16 would need its gradients scaled
            raise SDLMError(f"dtype must be one of {', '.join(DTYPES)}, not {self.dtype!r}.")
        if self.start_adapter and not self.lora_rank:
            raise SDLMError("start_adapter is trained further as an adapter: give --lora-rank too, as it was.")
        if self.teacher_temperature and not self.lora_rank:
            raise SDLMError("The base is its own teacher through an adapter alone: give --lora-rank too.")
        if not 0 <= self.held_out < 1:
            raise SDLMError("held_out is a share of the prompts: at least 0 and below 1.")
