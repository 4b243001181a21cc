"""The retrofit: an autoregressive checkpoint and conversations in, an SDLM out (section 3.3).

`retrofit` is the whole loop. It knows nothing of how a batch is laid out (collate), who sees whom (masks) or how the
layers are computed (lean, attention); it decides what is trained, at which rate, for how long, and what is kept.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from sdlm_core import builtin
from sdlm_core.chat import turn_end
from sdlm_core.config import MAX_BLOCK_SIZE
from sdlm_core.errors import SDLMError
from sdlm_core.heap import keep_freed_memory
from sdlm_core.loading import BUILTIN_BASE, fast_dtype, find_folder, load_checkpoint, read_json
from sdlm_core.retrofit import output
from sdlm_core.retrofit.attention import attention, default_implementation
from sdlm_core.retrofit.collate import TEXT, Batch, Collator, packs
from sdlm_core.retrofit.data import Mixture, load_sources
from sdlm_core.retrofit.held_out import evaluate, held_out_batches, mean_losses
from sdlm_core.retrofit.lean import LeanModel
from sdlm_core.retrofit.loss import Teacher, cross_entropy
from sdlm_core.retrofit.progress import Progress, StopOnSignal, agree, learning_rate

log = logging.getLogger(__name__)

DTYPES = ("auto", "bfloat16", "float32")
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LASTING = ("block_size", "causal_attn", "mask_token", "lora_alpha", "seed")  # what a run keeps when it is resumed
BETAS = (0.9, 0.98)  # a second moment that follows the quick changes of a short run
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
    base_name: str | None = None  # what adapter_config.json calls the base model; default: `model`

    def check(self) -> None:
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
        if self.teacher_temperature and not self.lora_rank:
            raise SDLMError("The base is its own teacher through an adapter alone: give --lora-rank too.")
        if not 0 <= self.held_out < 1:
            raise SDLMError("held_out is a share of the prompts: at least 0 and below 1.")


def retrofit(config: RetrofitConfig) -> Path:
    """Train as `config` says and return the output folder, which holds the best state by held-out loss.

    SIGTERM and Ctrl-C end the run after the step in hand, with a checkpoint. SDLMError says what is wrong with the
    settings, the model or the data.
    """
    config.check()
    if config.model == "builtin":
        config = replace(config, model=str(builtin.ensure_base()), base_name=config.base_name or BUILTIN_BASE)
    torch.set_flush_denormal(True)
    keep_freed_memory()
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    if config.workers > 1 and (accelerator.num_processes > 1 or accelerator.device.type != "cpu"):
        raise SDLMError("--workers shares out one process on a CPU. Leave it at 1 for GPUs or several processes.")
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)

    # 1. The model, and what of it is trained.
    tokenizer, model, mask_token_id = load_base(config, accelerator.device)
    module = LossModule(model, config, mask_token_id, accelerator.device)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=0.0, betas=BETAS, weight_decay=0.0, fused=True)

    # 2. The data: an endless mixture to train on, fixed batches to judge by.
    sources = load_sources(config.data, config.held_out)
    mixture = Mixture(sources, tokenizer, config.seed, config.max_tokens)
    collator = Collator(config.block_size, mask_token_id, config.block_density, config.max_blocks)
    held_out = held_out_batches(
        sources, tokenizer, collator, config.max_tokens, config.held_out_rows, config.rows_per_pass
    )
    collator = replace(collator, text_labels=config.text_loss > 0)  # judged by the paper's loss, with or without

    # 3. Where an earlier run stopped.
    progress = Progress()
    saver = output.Saver(folder, config, model, tokenizer, mask_token_id, module.lean.lora)
    if config.resume:
        state = output.load_checkpoint(folder, trained, optimizer)
        for name, value in state.get("settings", {}).items():
            if getattr(config, name) != value:
                raise SDLMError(f"{folder} was trained with {name} = {value!r}. Resume with the same.")
        mixture.restore(state["mixture"])
        progress = Progress(**state["progress"])
        module.lean.refresh()
        if accelerator.is_main_process:
            saver.rewind_log(progress.step)
    elif output.has_checkpoint(folder) or any((folder / name).exists() for name in ("adapter", "model")):
        raise SDLMError(f"{folder} already holds a run. Continue it with --resume, or choose another --output.")
    elif accelerator.is_main_process:
        saver.rewind_log(0)  # of a run that was killed before it had anything to keep
    wrapped: Any = accelerator.prepare(module)

    # 4. The loop.
    pool = ThreadPoolExecutor(config.workers, initializer=_one_core) if config.workers > 1 else None
    began = time.perf_counter() - progress.seconds
    saved = time.perf_counter()
    last = progress.done(config)
    with StopOnSignal() as stop:
        while not last:
            step_began = time.perf_counter()
            batches = next_batches(mixture, collator, config, accelerator)
            rate = learning_rate(config, progress)
            for group in optimizer.param_groups:
                group["lr"] = rate
            row_losses = compute_gradients(wrapped, batches, list(trained.values()), accelerator, pool)
            norm = nn.utils.clip_grad_norm_(trained.values(), config.grad_clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            module.lean.refresh()
            progress.step += 1
            rows = sum(map(len, batches)) * accelerator.num_processes
            progress.rows += rows
            progress.seconds, stopping = agree(time.perf_counter() - began, stop.asked, accelerator)

            record: dict[str, Any] = {"step": progress.step, "rows": progress.rows}
            record |= mean_losses(row_losses, batches, config.block_size)
            record |= {"grad_norm": round(float(norm), 4), "lr": rate}
            seconds, labels = time.perf_counter() - step_began, sum(int((b.labels >= 0).sum()) for b in batches)
            record["rows_per_second"] = round(rows / seconds, 1)
            record["tokens_per_second"] = round(labels * accelerator.num_processes / seconds, 1)
            record |= {"seconds": round(progress.seconds, 1), "seconds_left": progress.seconds_left(config)}
            last = progress.done(config) or stopping
            if held_out and (progress.step % config.evaluate_every == 0 or last):
                record |= evaluate(module, held_out, config.block_size, pool)
            if accelerator.is_main_process:
                report(record, saver)
                if held_out and record.get("held_out_loss", math.inf) < progress.best:
                    progress.best = record["held_out_loss"]
                    saver.save_model()
                if last or time.perf_counter() - saved > config.checkpoint_minutes * 60:
                    settings = {name: getattr(config, name) for name in LASTING}
                    state = {"mixture": mixture.state, "progress": asdict(progress), "settings": settings}
                    output.save_checkpoint(folder, trained, optimizer, state)
                    saved = time.perf_counter()
    if accelerator.is_main_process and not held_out:
        saver.save_model()
    return folder


class LossModule(nn.Module):
    """Batch in, mean loss and loss per block row out: one forward that DistributedDataParallel can wrap."""

    def __init__(self, model: nn.Module, config: RetrofitConfig, mask_token_id: int, device: torch.device) -> None:
        super().__init__()
        self.model = model
        self.config = config
        dtype = compute_dtype(config, device)
        self.lean = LeanModel(model, mask_token_id, dtype, config.recompute_layers)
        self.implementation = default_implementation(device) if config.attention == "auto" else config.attention
        self.base = self.lean.base() if config.teacher_temperature else None

    def forward(self, batch: Batch, labels: int) -> tuple[Tensor, Tensor]:
        """The step's mean loss is over `labels` labels; this batch's share of it, a float32 scalar, differentiable, and
        −log p(label) of each labelled row, float32 (m,), 0 where the label is ignored; taught rows have it too."""
        c = self.config
        attend = attention(batch, c.block_size, c.causal_attn, self.implementation, self.lean.dtype)
        hidden = self.lean.hidden(batch.token_ids, batch.rows.position, attend)[batch.loss_rows]  # (m, h)
        weights = (batch.labels >= 0).float() / labels
        weights[batch.offset == TEXT] *= c.text_loss
        head, trained_row = self.lean.head_weight(), self.lean.trained_head_row()
        if self.base is None:
            return cross_entropy(hidden, head, batch.labels, weights, *trained_row)
        text, taught = batch.for_teacher(c.block_size)
        own = ~taught
        loss, own_losses = cross_entropy(hidden[own], head, batch.labels[own], weights[own], *trained_row)
        losses = torch.empty_like(weights).masked_scatter_(own, own_losses)
        if text is not None:
            teacher = Teacher(self._base_hidden(text), c.teacher_temperature, self.lean.mask_token_id)
            taught_loss, taught_losses = cross_entropy(
                hidden[taught], head, batch.labels[taught], weights[taught], *trained_row, teacher
            )
            loss, losses = loss + taught_loss, losses.masked_scatter_(taught, taught_losses)
        return loss, losses

    @torch.no_grad()
    def _base_hidden(self, text: Batch) -> Tensor:
        """The base model's hidden states (m, h) at the labelled rows of sequences without blocks."""
        assert self.base is not None
        implementation = "sdpa" if self.implementation == "split" else self.implementation  # nothing to split
        attend = attention(text, self.config.block_size, self.config.causal_attn, implementation, self.lean.dtype)
        return self.base.forward(text.token_ids, text.rows.position, attend)[text.loss_rows]


def load_base(config: RetrofitConfig, device: torch.device) -> tuple[Any, nn.Module, int]:
    """Tokenizer, model (under PEFT, or with float32 master weights) and the mask token's id."""
    folder = find_folder(config.model)
    dtype = compute_dtype(config, device) if config.lora_rank else torch.float32
    model, tokenizer = load_checkpoint(folder, read_json(folder / "config.json"), device, dtype)
    model.requires_grad_(True)
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
    mean = model.get_input_embeddings().weight.detach().float().mean(dim=0)
    if config.lora_rank:
        lora = LoraConfig(
            r=config.lora_rank,
            lora_alpha=config.lora_alpha,
            target_modules=PROJECTIONS,
            trainable_token_indices=[mask_token_id],
            task_type="CAUSAL_LM",
        )
        torch.manual_seed(config.seed)
        model = get_peft_model(model, lora)
        mask_row = model.get_base_model().model.embed_tokens.token_adapter.trainable_tokens_delta["default"]
        for p in model.parameters():
            if p.requires_grad:
                p.data = p.data.float()
    else:
        mask_row = model.get_input_embeddings().weight[mask_token_id : mask_token_id + 1]
    with torch.no_grad():
        mask_row.copy_(mean)  # no word in particular
    return tokenizer, model.to(device), mask_token_id


def compute_dtype(config: RetrofitConfig, device: torch.device) -> torch.dtype:
    if config.dtype == "auto":
        return torch.bfloat16 if fast_dtype(device) == torch.bfloat16 else torch.float32
    return torch.bfloat16 if config.dtype == "bfloat16" else torch.float32


def next_batches(mixture: Mixture, collator: Collator, config: RetrofitConfig, accelerator: Accelerator) -> list[Batch]:
    """This process's packs. Every process draws all of them, so that all agree on the order and on where it stands."""
    drawn = [collator.draw(mixture, config.rows_per_step) for _ in range(accelerator.num_processes)]
    return [b.to(accelerator.device) for b in packs(drawn[accelerator.process_index], config.rows_per_pass)]


def compute_gradients(
    module: Any, batches: list[Batch], trained: list[nn.Parameter], accelerator: Accelerator, pool: Executor | None
) -> list[Tensor]:
    """Leave the gradient of the mean loss in the parameters and return each batch's row losses.

    With a pool, packs run side by side on a core each: nothing waits for the slower of two cores at every matrix
    product, as threads inside an operation do, and that counts on a machine that has other work. The sum is taken in
    the packs' order, so that the result does not depend on who was first.
    """
    labels = sum(int((b.labels >= 0).sum()) for b in batches)
    if pool is None:
        row_losses = []
        for batch in batches:
            # Processes may hold different numbers of packs, so they meet in the last one's backward pass only.
            with nullcontext() if batch is batches[-1] else accelerator.no_sync(module):
                loss, losses = module(batch, labels)
                accelerator.backward(loss)
            row_losses.append(losses)
        return row_losses

    def one(batch: Batch) -> tuple[Tensor, tuple[Tensor, ...]]:
        loss, losses = module(batch, labels)
        return losses, torch.autograd.grad(loss, trained)

    found = list(pool.map(one, batches))
    for index, parameter in enumerate(trained):
        parameter.grad = found[0][1][index]
        for _, gradients in found[1:]:
            parameter.grad.add_(gradients[index])
    return [losses for losses, _ in found]


def _one_core() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def report(record: dict[str, Any], saver: output.Saver) -> None:
    """One line for people, one for machines."""
    saver.log(record)
    positions = " ".join(f"{v:.2f}" for k, v in record.items() if k.startswith("loss_pos_"))
    line = (
        f"step {record['step']}  loss {record['loss']:.3f}  [{positions}]  norm {record['grad_norm']:.2f}  "
        f"lr {record['lr']:.1e}  {record['rows_per_second']:.0f} rows/s  {record['seconds_left'] // 60} min left"
    )
    sys.stderr.write(line + "\n")
    for key, value in record.items():
        if key.startswith("held_out_"):
            sys.stderr.write(f"    {key}: {json.dumps(value)}\n")
