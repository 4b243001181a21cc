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
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from sdlm_core.errors import SDLMError
from sdlm_core.models import builtin
from sdlm_core.models.heap import keep_freed_memory
from sdlm_core.models.source import BUILTIN_BASE
from sdlm_core.retrofit import output
from sdlm_core.retrofit.attention import attention, default_implementation
from sdlm_core.retrofit.base_model import compute_dtype, load_base
from sdlm_core.retrofit.collate import TEXT, Batch, Collator, packs
from sdlm_core.retrofit.config import RetrofitConfig
from sdlm_core.retrofit.data import Mixture, load_sources
from sdlm_core.retrofit.held_out import evaluate, held_out_batches, mean_losses
from sdlm_core.retrofit.lean import LeanModel
from sdlm_core.retrofit.loss import Teacher, cross_entropy
from sdlm_core.retrofit.progress import Progress, StopOnSignal, agree, learning_rate

log = logging.getLogger(__name__)

LASTING = ("block_size", "causal_attn", "mask_token", "lora_alpha", "seed")  # what a run keeps when it is resumed
BETAS = (0.9, 0.98)  # a second moment that follows the quick changes of a short run


def retrofit(config: RetrofitConfig) -> Path:
    """Train as `config` says and return the output folder, which holds the best state by held-out loss.

    SIGTERM and Ctrl-C end the run after the step in hand, with a checkpoint. SDLMError says what is wrong with the
    settings, the model or the data.
    """
    config.check()
    if config.model == "builtin":
        config = replace(config, model=str(builtin.ensure_base()), base_name=config.base_name or BUILTIN_BASE)
    accelerator = begin_process(config)
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
    saver = output.Saver(folder, config, model, tokenizer, mask_token_id, module.lean.lora)
    progress = find_progress(config, folder, trained, optimizer, mixture)
    module.lean.refresh()
    if accelerator.is_main_process:
        saver.rewind_log(progress.step)  # a run that was killed may have logged more than it kept
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
            row_losses = compute_gradients(wrapped, batches, list(trained.values()), accelerator, pool)
            norm = update(optimizer, list(trained.values()), rate, config.grad_clip)
            module.lean.refresh()
            progress.step += 1
            progress.rows += sum(map(len, batches)) * accelerator.num_processes
            progress.seconds, stopping = agree(time.perf_counter() - began, stop.asked, accelerator)

            record: dict[str, Any] = {"step": progress.step, "rows": progress.rows}
            record |= mean_losses(row_losses, batches, config.block_size)
            record |= {"grad_norm": round(norm, 4), "lr": rate}
            record |= speed(batches, time.perf_counter() - step_began, accelerator.num_processes)
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
                    output.save_checkpoint(folder, trained, optimizer, state_of(config, mixture, progress))
                    saved = time.perf_counter()
    if accelerator.is_main_process and not held_out:
        saver.save_model()
    return folder


def begin_process(config: RetrofitConfig) -> Accelerator:
    """Set this process up and return its devices. SDLMError where `workers` does not go with them."""
    torch.set_flush_denormal(True)
    keep_freed_memory()
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    if config.workers > 1 and (accelerator.num_processes > 1 or accelerator.device.type != "cpu"):
        raise SDLMError("--workers shares out one process on a CPU. Leave it at 1 for GPUs or several processes.")
    return accelerator


def state_of(config: RetrofitConfig, mixture: Mixture, progress: Progress) -> dict[str, Any]:
    """What a checkpoint holds besides tensors; `find_progress` reads it."""
    settings = {name: getattr(config, name) for name in LASTING}
    return {"mixture": mixture.state, "progress": asdict(progress), "settings": settings}


def find_progress(
    config: RetrofitConfig,
    folder: Path,
    trained: dict[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    mixture: Mixture,
) -> Progress:
    """Where an earlier run stopped, its weights, moments and place in the data put back; or a fresh start.

    SDLMError where the folder holds a run that is not to be resumed, none that could be, or one with other settings.
    """
    if not config.resume:
        if output.has_checkpoint(folder) or any((folder / name).exists() for name in ("adapter", "model")):
            raise SDLMError(f"{folder} already holds a run. Continue it with --resume, or choose another --output.")
        return Progress()
    state = output.load_checkpoint(folder, trained, optimizer)
    for name, value in state.get("settings", {}).items():
        if getattr(config, name) != value:
            raise SDLMError(f"{folder} was trained with {name} = {value!r}. Resume with the same.")
    mixture.restore(state["mixture"])
    return Progress(**state["progress"])


def update(optimizer: torch.optim.Optimizer, trained: list[nn.Parameter], rate: float, longest: float) -> float:
    """One step of the optimizer at a learning rate. Returns the gradient's norm before it is cut to `longest`."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    norm = nn.utils.clip_grad_norm_(trained, longest)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(norm)


def speed(batches: list[Batch], seconds: float, processes: int) -> dict[str, float]:
    """Rows, and labelled tokens, a second over all processes."""
    rows, labels = sum(map(len, batches)), sum(int((b.labels >= 0).sum()) for b in batches)
    return {
        "rows_per_second": round(rows * processes / seconds, 1),
        "tokens_per_second": round(labels * processes / seconds, 1),
    }


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
