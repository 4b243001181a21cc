"""Hidden states of a frozen SDLM's blocks, written once, so that a sampler can be trained on them in minutes.

Conversations go through the model with the training layout (collate, masks) and every drawn block leaves what a sampler
reads: its rows' hidden states, its labels, each row's likeliest tokens with their own scores, and how likely the model
itself finds them when it knows the text before. Files are safetensors shards, which are mapped into memory when they
are read. It knows nothing of the sampler itself.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sdlm_core import masks
from sdlm_core.errors import SDLMError
from sdlm_core.models.language_model import LanguageModel
from sdlm_core.models.sampler import CANDIDATES
from sdlm_core.retrofit.attention import attention, default_implementation
from sdlm_core.retrofit.collate import Batch, Collator, Segment, pack
from sdlm_core.retrofit.data import Source, load_sources, mix_seed
from sdlm_core.retrofit.progress import StopOnSignal

log = logging.getLogger(__name__)

HEAD_ROWS = 512  # rows of logits at once
VERSION = "2"


@dataclass
class StatesConfig:
    """Which blocks to write. A conversation is read once; a data file that has grown is read on where it ended."""

    data: str  # JSONL or meta JSON, as for the retrofit
    output: str  # folder of the shards
    blocks: int = 400_000  # stop when there are so many
    block_density: float = 0.5  # blocks per answer token
    max_tokens: int = 1024  # a conversation, longer ones are cut
    held_out: float = 0.05  # share of the prompts kept out of training
    rows_per_pass: int = 2048
    shard_blocks: int = 4096
    seed: int = 0

    def check(self) -> None:
        for name in ("blocks", "max_tokens", "rows_per_pass", "shard_blocks"):
            if getattr(self, name) < 1:
                raise SDLMError(f"{name} must be at least 1, but is {getattr(self, name)}.")
        if not 0 < self.block_density <= 1:
            raise SDLMError("block_density is a share of the answer's tokens: above 0 and at most 1.")
        if not 0 < self.held_out < 1:
            raise SDLMError("held_out is a share of the prompts: above 0 and below 1. The sampler is judged by them.")


@dataclass
class _Reader:
    """Takes conversations from the sources, always from the one furthest behind its share of blocks, its held-out and
    training lines mixed. `done` counts the lines read of both, for each source."""

    sources: list[Source]
    seed: int
    done: list[list[int]] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)

    def lines(self) -> Iterator[tuple[int, bool, int, str]]:
        """(source, held out, number of the line, line) until all are read."""
        while left := [i for i in range(len(self.sources)) if self._left(i)]:
            index = min(left, key=lambda i: (self.blocks[i] / self.sources[i].weight, i))
            source, done = self.sources[index], self.done[index]
            parts = (source.held_out, source.records)
            side = min((0, 1), key=lambda k: (done[k] + 1) / len(parts[k]) if done[k] < len(parts[k]) else math.inf)
            number = done[side]
            done[side] += 1
            yield index, side == 0, number, parts[side][number]

    def _left(self, index: int) -> bool:
        return sum(self.done[index]) < len(self.sources[index].held_out) + len(self.sources[index].records)


def write_states(lm: LanguageModel, config: StatesConfig) -> Path:
    """Write the shards and return their folder. Called again, it goes on after the last whole shard.

    Stops at `config.blocks`, at the end of the data, or after the pass in hand at SIGTERM or Ctrl-C. SDLMError where
    the model is no SDLM, or the folder holds states of something else.
    """
    config.check()
    if lm.block_size is None or lm.mask_token_id is None or lm.block_size < 2:
        raise SDLMError(f"The model {lm.name!r} guesses no blocks; a sampler needs an SDLM. Retrofit it first.")
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    sources = load_sources(config.data, config.held_out)
    collator = Collator(lm.block_size, lm.mask_token_id, config.block_density, 1 << 20, text_ahead=lm.block_size)
    reader = _Reader(sources, config.seed, [[0, 0] for _ in sources], [0] * len(sources))
    shards = sorted(folder.glob("states-*.safetensors"))
    settings = {"model": lm.name, "weights": _fingerprint(lm), "block_size": lm.block_size, "seed": config.seed}
    settings["held_out"] = config.held_out
    total = _resume(shards, reader, settings) if shards else 0
    if total >= config.blocks:
        return folder

    rest: list[dict[str, Tensor]] = []  # of the shard being filled
    began, rows, first = time.perf_counter(), 0, total
    with StopOnSignal() as stop:
        for batch, facts, done in _passes(lm, reader, collator, config):
            rest.append(block_states(lm, batch) | facts)
            rows += len(batch)
            count = sum(len(part["source"]) for part in rest)
            ending = stop.asked or total + count >= config.blocks
            if count >= config.shard_blocks or ending:
                _save(folder / f"states-{len(shards):05d}.safetensors", rest, settings, reader, done)
                shards.append(folder)
                total, rest = total + count, []
                seconds = time.perf_counter() - began
                log.info("%d blocks, %.0f rows/s, %.0f blocks/s", total, rows / seconds, (total - first) / seconds)
            if ending:
                break
    if rest:
        _save(folder / f"states-{len(shards):05d}.safetensors", rest, settings, reader, reader.done)
    return folder


def _passes(
    lm: LanguageModel, reader: _Reader, collator: Collator, config: StatesConfig
) -> Iterator[tuple[Batch, dict[str, Tensor], list[list[int]]]]:
    """Packs of at most rows_per_pass rows (one conversation may have more), where each of their blocks is from, and
    what the reader had read when the pack was whole: it is a conversation ahead."""
    parts: list[Batch] = []
    facts: list[tuple[int, int, int, int]] = []
    done = reader.done
    for index, apart, number, line in reader.lines():
        conversation = reader.sources[index].conversation(line, lm.tokenizer, config.max_tokens)
        if not conversation.turns:
            continue
        generator = torch.Generator().manual_seed(mix_seed(config.seed, index, int(apart), number))
        starts = collator.draw_starts(conversation, generator)
        part = collator.sequence(conversation, starts)
        if parts and sum(map(len, parts)) + len(part) > config.rows_per_pass:
            yield pack(parts), _columns(facts), done
            parts, facts = [], []
        parts.append(part)
        facts += [(index, int(apart), number, s) for s, _ in starts]
        reader.blocks[index] += len(starts)
        done = [list(counts) for counts in reader.done]
    if parts:
        yield pack(parts), _columns(facts), done


def _columns(facts: list[tuple[int, int, int, int]]) -> dict[str, Tensor]:
    names = ("source", "held_out", "conversation", "start")
    return dict(zip(names, torch.tensor(facts, dtype=torch.int32).unbind(1), strict=True))


@torch.inference_mode()
def block_states(lm: LanguageModel, batch: Batch) -> dict[str, Tensor]:
    """What a sampler reads of each of a batch's N blocks, on the CPU.

    hidden (N, D, h) after the final norm, in the model's dtype; labels int32 (N, D), IGNORE after the answer's end;
    ids int32 (N, D, k) each row's likeliest tokens, best first, and own (N, D, k) their scores, in the model's dtype.
    teacher (N, D, k): those tokens' log-probabilities in the model's autoregressive prediction, which knows all text
    before the label, in its dtype; taught bool (N, D): whether the batch holds the text row that predicts it.
    """
    size, device = lm.block_size or 1, lm.device
    batch = batch.to(device)
    attend = attention(batch, size, lm.causal_attn, default_implementation(device), lm.dtype)
    every = lm.transformer.forward(batch.token_ids, batch.rows.position, attend)  # (n, h)
    hidden = every[batch.loss_rows]  # (N · D, h)
    own, ids = [], []
    for rows in hidden.split(HEAD_ROWS):
        logits = lm.transformer.logits(rows)
        best = logits.topk(min(CANDIDATES, logits.shape[1]), dim=1)
        own.append(best.values)
        ids.append(best.indices.int())
    states = {"hidden": hidden, "labels": batch.labels.int(), "ids": torch.cat(ids), "own": torch.cat(own)}
    states["teacher"], states["taught"] = teach(lm, batch, every, states["ids"])
    return {name: value.unflatten(0, (-1, size)).cpu().contiguous() for name, value in states.items()}


def teach(lm: LanguageModel, batch: Batch, hidden: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """`teacher` (m, k) and `taught` (m,) of a batch's m labelled rows, whose candidates are ids (m, k); hidden (n, h)
    of all its rows. Untaught rows have log-probability 0 everywhere."""
    starts, texts = (
        torch.tensor(x, device=hidden.device) for x in zip(*((s.start, s.text) for s in batch.segments), strict=True)
    )
    sequence, position = batch.sequence[batch.loss_rows], batch.rows.position[batch.loss_rows]
    taught = position < texts[sequence]
    teacher = torch.zeros(ids.shape, dtype=hidden.dtype, device=hidden.device)
    rows, which = (starts[sequence] + position)[taught].unique(return_inverse=True)  # several blocks share a text row
    students = taught.nonzero()[:, 0]
    for start in range(0, len(rows), HEAD_ROWS):
        log_p = lm.transformer.logits(hidden[rows[start : start + HEAD_ROWS]]).float().log_softmax(dim=-1)
        mine = (which >= start) & (which < start + HEAD_ROWS)
        found = log_p[which[mine] - start].gather(1, ids[students[mine]].long())
        teacher[students[mine]] = found.to(teacher.dtype)
    return teacher, taught


def _fingerprint(lm: LanguageModel) -> list[float]:
    """A few numbers that another adapter under the same name would change."""
    row = torch.tensor([lm.mask_token_id])
    batch = Batch(row, row * 0, masks.causal_rows(0, 1), [Segment(0, 1, 0)], row * 0, row, row)
    attend = attention(batch.to(lm.device), 1, lm.causal_attn, "sdpa", lm.dtype)
    with torch.inference_mode():
        hidden = lm.transformer.forward(row.to(lm.device), torch.zeros_like(row, device=lm.device), attend)
    return [round(x, 2) for x in hidden[0, :8].float().tolist()]


def _save(
    path: Path, parts: list[dict[str, Tensor]], settings: dict[str, Any], reader: _Reader, done: list[list[int]]
) -> None:
    """The shard, whole or not at all, and what has been read for it and those before."""
    state = {"done": done, "blocks": reader.blocks, "files": [s.path.name for s in reader.sources]}
    metadata = {"version": VERSION, "settings": json.dumps(settings), "reader": json.dumps(state)}
    metadata["groups"] = json.dumps([s.group for s in reader.sources])
    fresh = path.with_suffix(".tmp")
    save_file({name: torch.cat([part[name] for part in parts]) for name in parts[0]}, fresh, metadata)
    fresh.replace(path)


def _resume(shards: list[Path], reader: _Reader, settings: dict[str, Any]) -> int:
    """Put the reader where the last shard left it; returns the blocks there are."""
    metadata = _metadata(shards[-1])
    state = json.loads(metadata["reader"])
    if json.loads(metadata["settings"]) != settings or len(state["done"]) != len(reader.sources):
        raise SDLMError(
            f"{str(shards[-1].parent)!r} holds states of another model, of other data or other settings. "
            "Choose another folder, or remove this one."
        )
    reader.done, reader.blocks = state["done"], state["blocks"]
    return sum(reader.blocks)


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, "pt") as file:
            metadata: dict[str, str] | None = file.metadata()
    except (OSError, SafetensorError) as error:
        raise SDLMError(f"The states in {str(path)!r} cannot be read. Remove the file, and write it again.") from error
    if metadata is None or metadata.get("version") != VERSION:
        raise SDLMError(f"{str(path)!r} holds no hidden states that this version can read.")
    return metadata


class States:
    """The blocks of a folder's shards, mapped into memory: `take` copies some of them."""

    def __init__(self, folder: str | Path) -> None:
        self.paths = sorted(Path(folder).glob("states-*.safetensors"))
        if not self.paths:
            raise SDLMError(f"There are no hidden states in {str(folder)!r}.")
        metadata = _metadata(self.paths[-1])
        self.settings: dict[str, Any] = json.loads(metadata["settings"])
        self.groups: list[str] = json.loads(metadata["groups"])
        files: list[Any] = [safe_open(path, "pt") for path in self.paths]
        self.shards = [{name: file.get_tensor(name) for name in file.keys()} for file in files]  # noqa: SIM118
        counts = torch.tensor([0] + [len(shard["source"]) for shard in self.shards])
        self.ends = counts.cumsum(0)  # (shards + 1,): where each begins

    def __len__(self) -> int:
        return int(self.ends[-1])

    @property
    def hidden(self) -> int:
        """Size of a hidden state."""
        return int(self.shards[0]["hidden"].shape[-1])

    def column(self, name: str) -> Tensor:
        """One of the small fields of all blocks, (N, …)."""
        return torch.cat([shard[name] for shard in self.shards])

    def take(self, indices: Tensor) -> dict[str, Tensor]:
        """The fields of the blocks at `indices` (n,), in that order."""
        order = indices.argsort()
        ordered = indices[order]
        shard = torch.bucketize(ordered, self.ends[1:], right=True)
        places = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))
        parts = [
            {name: value[ordered[shard == s] - self.ends[s]] for name, value in self.shards[s].items()}
            for s in shard.unique().tolist()
        ]
        return {name: torch.cat([part[name] for part in parts])[places] for name in parts[0]}
