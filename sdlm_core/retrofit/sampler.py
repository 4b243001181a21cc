"""Training a sampler on the hidden states of a frozen SDLM (`models.sampler`; the states are written by states.py).

Teacher-forced: position i is given the text's own tokens before it and learns the next one, by cross-entropy over the
row's 64 candidates (sampler_loss). `train_sampler` is the whole loop. It knows nothing of conversations or masks.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sdlm_core.errors import SDLMError
from sdlm_core.models.language_model import LanguageModel
from sdlm_core.models.loading import load_model
from sdlm_core.models.sampler import FILE, Sampler, head_matrix, load_sampler, save_sampler
from sdlm_core.retrofit import output
from sdlm_core.retrofit.config import RetrofitConfig
from sdlm_core.retrofit.data import mix_seed
from sdlm_core.retrofit.progress import Progress, StopOnSignal, learning_rate
from sdlm_core.retrofit.sampler_loss import mean_loss
from sdlm_core.retrofit.sampler_report import collect, fit_scale, summarize
from sdlm_core.retrofit.states import States, StatesConfig, write_states

log = logging.getLogger(__name__)

PART = 32  # blocks judged at once
BETAS = (0.9, 0.98)
LOSS = ("dropout", "chance_weights", "miss_weight", "teacher_weight", "teacher_temperature")  # settings of mean_loss
LASTING = ("width", "batch_blocks", "seed")  # what a run keeps when it is resumed


@dataclass
class SamplerConfig:
    """Everything a run depends on. With both `steps` and `minutes`, whichever ends first."""

    states: str  # folder of the hidden states
    output: str  # folder for sampler.safetensors, the log and the checkpoint
    width: int = 768
    steps: int | None = None
    minutes: float | None = None  # training time, accumulated over resumes
    batch_blocks: int = 256
    learning_rate: float = 8e-4
    schedule: str = "cosine"  # or "constant"
    warmup_steps: int = 100
    weight_decay: float = 0.5  # this much and so much dropout, since it overfits long before it has learnt
    dropout: float = 0.3
    chance_weights: float = 1.0  # 0: all positions count the same; 1: by the chance that those before hold
    miss_weight: float = 1.0  # of a label outside the candidates; 0 leaves it out
    teacher_weight: float = 0.5  # of the model's own prediction, beside the label
    teacher_temperature: float = 0.7
    grad_clip: float = 1.0
    held_out_blocks: int = 6000  # a group
    evaluate_every: int = 200
    patience: int = 8  # evaluations without a better held-out loss, after which the run ends
    checkpoint_minutes: float = 5.0
    calibrate: bool = False  # at the end, fit a factor of the scores for each position on the held-out blocks
    seed: int = 0
    resume: bool = False

    def check(self) -> None:
        if self.steps is None and self.minutes is None:
            raise SDLMError("Say how long to train: --steps, --minutes or both.")
        for name in ("width", "batch_blocks", "held_out_blocks", "evaluate_every", "patience"):
            if getattr(self, name) < 1:
                raise SDLMError(f"{name} must be at least 1, but is {getattr(self, name)}.")
        if not 0 <= self.dropout < 1:
            raise SDLMError("dropout is a share: at least 0 and below 1.")


class Task:
    """What a run works with: the frozen model's matrices and the blocks, those to train on and those to judge by."""

    def __init__(self, lm: LanguageModel, config: SamplerConfig) -> None:
        self.states = States(config.states)
        self.block_size = int(self.states.settings["block_size"])
        self.hidden = lm.transformer.shape.hidden
        if self.states.hidden != self.hidden:
            raise SDLMError(f"The states in {config.states} are another model's: their size is {self.states.hidden}.")
        self.embedding, self.head = lm.transformer.embedding, head_matrix(lm.transformer)
        self.device = self.head.device
        apart = self.states.column("held_out").bool()
        self.training = (~apart).nonzero()[:, 0]
        self.held_out = held_out_blocks(self.states, apart, config.held_out_blocks)
        if not len(self.training) or not self.held_out:
            raise SDLMError(f"{config.states} needs blocks to train on and held-out ones. Write more states.")
        log.info(
            "%d blocks to train on, held out %s", len(self.training), {g: len(i) for g, i in self.held_out.items()}
        )

    def batch(self, config: SamplerConfig, step: int) -> dict[str, Tensor]:
        """The blocks of a step, on the model's device."""
        indices = self.training[batch_indices(len(self.training), config, step)]
        return {name: value.to(self.device) for name, value in self.states.take(indices).items()}


def train_sampler(lm: LanguageModel, config: SamplerConfig) -> Path:
    """Train as `config` says; returns the folder with the best sampler by held-out loss and report.json.

    SIGTERM and Ctrl-C end the run after the step in hand, with a checkpoint. SDLMError says what is wrong with the
    settings or the states.
    """
    config.check()
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_flush_denormal(True)
    torch.manual_seed(config.seed)
    task = Task(lm, config)
    sampler = Sampler(task.hidden, config.width, task.block_size).to(task.device)
    trained = dict(sampler.named_parameters())
    optimizer = make_optimizer(sampler, config)
    progress, worse = find_progress(folder, config, trained, optimizer)
    began, saved = time.perf_counter() - progress.seconds, time.perf_counter()
    last, losses = progress.done(config), []
    with StopOnSignal() as stop:
        while not last:
            batch = task.batch(config, progress.step)
            rate = learning_rate(config, progress)
            for group in optimizer.param_groups:
                group["lr"] = rate
            sampler.train()
            loss = mean_loss(
                sampler, task.head, task.embedding, batch, **{name: getattr(config, name) for name in LOSS}
            )
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(trained.values(), config.grad_clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(float(loss.detach()))
            progress.step += 1
            progress.rows += len(batch["labels"])  # blocks
            progress.seconds = time.perf_counter() - began
            last = progress.done(config) or stop.asked
            if progress.step % config.evaluate_every == 0 or last:
                record = {"step": progress.step, "blocks": progress.rows, "seconds": round(progress.seconds, 1)}
                record |= {"lr": rate, "loss": round(sum(losses) / len(losses), 4)} | evaluate(sampler, task)
                losses = []
                worse += 1
                if record["held_out_loss"] < progress.best:
                    progress.best, worse = record["held_out_loss"], 0
                    save_sampler(sampler, folder)
                    write_report(folder, record)
                report(folder, record, worse)
                last = last or worse >= config.patience
            if last or time.perf_counter() - saved > config.checkpoint_minutes * 60:
                kept = {name: getattr(config, name) for name in LASTING}
                state = {"progress": asdict(progress), "settings": kept, "worse": worse}
                output.save_checkpoint(folder, trained, optimizer, state)
                saved = time.perf_counter()
    if config.calibrate:
        calibrate(folder, task)
    return folder


def make_optimizer(sampler: Sampler, config: SamplerConfig) -> torch.optim.Optimizer:
    """AdamW, whose decay leaves the biases alone."""
    decayed = [p for name, p in sampler.named_parameters() if name != "bias"]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": [sampler.bias], "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=BETAS, fused=True)


def find_progress(
    folder: Path, config: SamplerConfig, trained: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> tuple[Progress, int]:
    """Where an earlier run stopped, its weights put back, and its evaluations since the best one; or a fresh start."""
    if not config.resume:
        if output.has_checkpoint(folder):
            raise SDLMError(f"{folder} already holds a run. Continue it with --resume, or choose another --output.")
        return Progress(), 0
    state = output.load_checkpoint(folder, trained, optimizer)
    for name, value in state["settings"].items():
        if getattr(config, name) != value:
            raise SDLMError(f"{folder} was trained with {name} = {value!r}. Resume with the same.")
    return Progress(**state["progress"]), state["worse"]


def report(folder: Path, record: dict[str, Any], worse: int) -> None:
    """A few lines for people, one for machines."""
    with (folder / "sampler_log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    log.info(
        "step %d  %.0f s  loss %.4f  held out %.4f%s",
        *(record[name] for name in ("step", "seconds", "loss", "held_out_loss")),
        f"  no better for {worse} evaluations" if worse else "",
    )
    for group, found in record.items():
        if isinstance(found, dict):
            log.info("    %s: %s", group, json.dumps(found))


def write_report(folder: Path, record: dict[str, Any]) -> None:
    """report.json: what the sampler in `folder` is worth."""
    (folder / "report.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def calibrate(folder: Path, task: Task) -> None:
    """Give the sampler in `folder` the factors of its scores that suit the held-out blocks best, by position, and
    renew its report. The sampler's formula has a factor of 1; take others only where the report shows a need."""
    sampler = load_sampler(folder, task.hidden, task.device)
    if sampler is None:
        return
    sampler.scale = torch.ones_like(sampler.scale)
    blocks = (task.states.take(part) for part in torch.cat(list(task.held_out.values())).split(PART))
    sampler.scale = fit_scale(collect(sampler, task.embedding, task.head, blocks)).to(task.device)
    save_sampler(sampler, folder)
    write_report(folder, {"scale": [round(x, 3) for x in sampler.scale.tolist()], **evaluate(sampler, task)})


def add_sampler(config: RetrofitConfig, trained: Path | None, width: int, blocks: int, minutes: float) -> Path:
    """Write the states of a finished retrofit, or of config.model as it is, train a sampler on them, and return its
    path: beside the weights in `trained`, or in the output folder where the model's own folder is not ours to change.

    Called again, it goes on where it stopped.
    """
    folder = Path(config.output)
    lm = load_model(str(trained) if trained else config.model)
    states = StatesConfig(
        config.data,
        str(folder / "states"),
        blocks=blocks,
        block_density=config.block_density,
        max_tokens=config.max_tokens,
        held_out=config.held_out,
        rows_per_pass=min(config.rows_per_pass, 4096),
        seed=config.seed,
    )
    write_states(lm, states)
    run = folder / "sampler"
    settings = SamplerConfig(states.output, str(run), width=width, minutes=minutes, seed=config.seed)
    train_sampler(lm, replace(settings, resume=output.has_checkpoint(run)))
    target = trained or folder
    shutil.copyfile(run / FILE, target / FILE)
    return target / FILE


def batch_indices(count: int, config: SamplerConfig, step: int) -> Tensor:
    """The training blocks of a step, of `count`: each once an epoch, in an order fixed by the seed."""
    steps = math.ceil(count / config.batch_blocks)
    epoch, place = divmod(step, steps)
    generator = torch.Generator().manual_seed(mix_seed(config.seed, epoch))
    return torch.randperm(count, generator=generator)[place * config.batch_blocks : (place + 1) * config.batch_blocks]


def held_out_blocks(states: States, apart: Tensor, most: int) -> dict[str, Tensor]:
    """Indices of the held-out blocks of every group, evenly thinned to at most `most`."""
    found: dict[str, Tensor] = {}
    source = states.column("source")
    for group in dict.fromkeys(states.groups):
        mine = torch.tensor([i for i, g in enumerate(states.groups) if g == group])
        indices = (apart & torch.isin(source, mine.int())).nonzero()[:, 0]
        if len(indices):
            found[group] = indices[:: math.ceil(len(indices) / most)]
    return found


@torch.no_grad()
def evaluate(sampler: Sampler, task: Task) -> dict[str, Any]:
    """A summary of every group and `held_out_loss`, the mean of their weighted losses."""
    sampler.eval()
    record: dict[str, Any] = {}
    for group, indices in task.held_out.items():
        blocks = (task.states.take(part) for part in indices.split(PART))
        record[group] = summarize(collect(sampler, task.embedding, task.head, blocks))
    losses = [found["weighted_loss"] for found in record.values()]
    return record | {"held_out_loss": round(sum(losses) / len(losses), 4)}
