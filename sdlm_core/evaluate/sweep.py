"""A sweep: sets of prompts decoded over rules, D and τ, with what it gives and costs, in one JSON file.

The work is cut into units (see `unit`): the next prompts of one set, at one D. Each finished unit is one line of a file
beside the output, written to the end of it and never changed. A sweep that was killed reads it, skips what is done, and
ends with the numbers of one that was not. It knows nothing of the terminal or of plots.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sdlm_core.config import DecodeConfig
from sdlm_core.errors import SDLMError
from sdlm_core.evaluate import metrics
from sdlm_core.evaluate.cells import RULES, Cell
from sdlm_core.evaluate.likelihood import log_likelihoods
from sdlm_core.evaluate.tasks import Item, TaskSet
from sdlm_core.evaluate.unit import BATCH, Answer, decode_unit
from sdlm_core.jsonl import read_records
from sdlm_core.models.language_model import LanguageModel
from sdlm_core.problems.grading import is_correct
from sdlm_core.text import answer_text

log = logging.getLogger(__name__)

FORMAT, VERSION = "sdlm-sweep-answers", 1
Record = dict[str, Any]
Elsewhere = Callable[[Sequence["Unit"]], Generator[tuple["Unit", Record], None, None]]  # in any order


@dataclass(frozen=True)
class Plan:
    """What to sweep.

    batch:      runs in one forward pass; it also cuts the units, so it belongs to the result's identity.
    likelihood: the sets whose answers are read back for their log-likelihood, by name; open ones, as a rule.
    guesses:    "coherent" or "independent", see DecodeConfig; of every setting that guesses more than one token.
    """

    sets: tuple[TaskSet, ...]
    cells: tuple[Cell, ...]
    batch: int = BATCH
    temperature: float = 0.0
    seed: int = 0
    likelihood: tuple[str, ...] = ()
    guesses: str = "independent"

    def template(self, task: TaskSet) -> DecodeConfig:
        return DecodeConfig(
            temperature=self.temperature, seed=self.seed, max_new_tokens=task.max_new_tokens, guesses=self.guesses
        )

    def units(self) -> Iterator[Unit]:
        """All units: the first prompts of each set at every D, then the next: a partial sweep has every curve."""
        size = 2 * self.batch
        block_sizes = list(dict.fromkeys(cell.block_size for cell in self.cells))
        for start in range(0, max(len(task.items) for task in self.sets), size):
            for d in block_sizes:
                for task in self.sets:
                    items = task.items[start : start + size]
                    if items:
                        yield Unit(task, d, start, items, tuple(c for c in self.cells if c.block_size == d))

    def to_dict(self) -> Record:
        """Everything that decides the answers; two sweeps with the same may share a file of answers."""
        return {
            "sets": [
                {"name": t.name, "n": len(t.items), "max_new_tokens": t.max_new_tokens, "digest": t.digest}
                for t in self.sets
            ],
            "cells": [asdict(cell) for cell in self.cells],
            "batch": self.batch,
            "temperature": self.temperature,
            "seed": self.seed,
            "likelihood": list(self.likelihood),
            "guesses": self.guesses,
        }


@dataclass(frozen=True)
class Unit:
    """The items of one set from `start` on, at one D, under some cells."""

    task: TaskSet
    block_size: int
    start: int
    items: tuple[Item, ...]
    cells: tuple[Cell, ...]

    @property
    def key(self) -> str:
        return f"{self.task.name}/D{self.block_size}/{self.start}"


@dataclass(frozen=True)
class Progress:
    """How far a sweep is. seconds_left is None until something can be said."""

    done: float
    seconds_left: float | None
    unit: str


def run_sweep(
    lm: LanguageModel,
    plan: Plan,
    answers: Path,
    base: LanguageModel | None = None,
    fingerprint: str = "",
    minutes: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    elsewhere: Elsewhere | None = None,
) -> list[Record]:
    """Decode what `answers` does not hold yet; returns the records of all finished units, in order.

    base: another model whose log-likelihood of the same answers is noted too. minutes: stop after the unit in which
    they are over. elsewhere: measures the units in other processes (`measure_unit` there); without it they are
    measured here, one after the other. Raises SDLMError where `answers` belongs to another sweep, or `base` has other
    tokens.
    """
    if base is not None:
        known = lm.tokenizer.get_vocab()
        if any(known.get(token) != i for token, i in base.tokenizer.get_vocab().items()):
            raise SDLMError(
                f"The base {base.name!r} has another tokenizer than {lm.name!r}, so it cannot read its answers."
            )
    header = {
        "format": FORMAT,
        "version": VERSION,
        "model": lm.name,
        "fingerprint": fingerprint,
        "base": base.name if base else None,
        "device": lm.description,
        "plan": plan.to_dict(),
    }
    with _sole_writer(answers):
        return _work(lm, plan, answers, header, base, minutes, progress, elsewhere)


def _work(
    lm: LanguageModel,
    plan: Plan,
    answers: Path,
    header: Record,
    base: LanguageModel | None,
    minutes: float | None,
    progress: Callable[[Progress], None] | None,
    elsewhere: Elsewhere | None,
) -> list[Record]:
    done = finished_units(answers, header)
    units = list(plan.units())
    began, worked, left = time.monotonic(), 0.0, sum(_weight(u) for u in units if u.key not in done)
    whole = sum(_weight(u) for u in units)
    with answers.open("a", encoding="utf-8") as file:
        if file.tell() == 0:
            _append(file, header)

        def report(unit: Unit, share: float) -> None:
            """Say how far the sweep is with `share` of a unit done; `worked` holds the units before it."""
            if progress:
                now = worked + share * _weight(unit)
                spent = time.monotonic() - began
                rest = spent * (left - now) / now if now > 0.02 * left or (spent > 30 and now > 0) else None
                progress(Progress((whole - left + now) / whole, rest, unit.key))

        missing = [unit for unit in units if unit.key not in done]
        here = ((unit, measure_unit(lm, unit, plan, base, partial(report, unit))) for unit in missing)
        with contextlib.closing(elsewhere(missing) if elsewhere else here) as results:
            while minutes is None or time.monotonic() - began <= 60 * minutes:
                if (measured := next(results, None)) is None:
                    break
                unit, record = measured
                _append(file, record)
                done[unit.key] = record
                report(unit, 1.0)
                worked += _weight(unit)
    return [done[unit.key] for unit in units if unit.key in done]


def measure_unit(
    lm: LanguageModel,
    unit: Unit,
    plan: Plan,
    base: LanguageModel | None = None,
    progress: Callable[[float], None] | None = None,
) -> Record:
    """Decode a unit, grade and read back its answers: one line of the file of answers."""
    result = decode_unit(lm, unit.items, unit.block_size, unit.cells, plan.template(unit.task), plan.batch, progress)
    readings: dict[tuple[str, tuple[int, ...]], float] = {}
    base_readings: dict[tuple[str, tuple[int, ...]], float] = {}
    if unit.task.name in plan.likelihood:
        readings = _read_back(lm, result.answers)
        if base is not None:
            at_one = [a for a in result.answers if a.token_ids == result.references[a.item.id]]
            base_readings = _read_back(base, at_one)
    rows = []
    for answer in result.answers:
        place = answer.item.id, tuple(answer.token_ids)
        text = answer_text(lm, answer.token_ids)
        problem = answer.item.problem
        rows.append(
            {
                "id": answer.item.id,
                "cell": answer.cell.key,
                "tokens": len(answer.token_ids),
                "passes": len(answer.accepted),
                "accepted": metrics.accepted_histogram(answer.accepted, unit.block_size),
                "finish_reason": answer.finish_reason,
                "correct": None if problem is None else is_correct(text, problem),
                "agreement": metrics.agreement(answer.token_ids, result.references[answer.item.id]),
                "log_likelihood": readings.get(place),  # sum over the tokens, nats
                "base_log_likelihood": base_readings.get(place),
                "text": text,
            }
        )
    return {
        "unit": unit.key,
        "set": unit.task.name,
        "block_size": unit.block_size,
        "passes_computed": result.computed,
        "answers": rows,
        "calibration": _calibrate(result.blocks, result.references) if unit.block_size > 1 else {},
    }


def _read_back(lm: LanguageModel, answers: Sequence[Answer]) -> dict[tuple[str, tuple[int, ...]], float]:
    """Summed log-likelihood (nats) of every different answer; many settings give the same one."""
    different = {(a.item.id, tuple(a.token_ids)): a for a in answers}
    pairs = [(lm.encode(a.item.prompt)[1], a.token_ids) for a in different.values()]
    found = log_likelihoods(lm, pairs)
    return {place: round(sum(x for x, _ in tokens), 4) for place, tokens in zip(different, found, strict=True)}


def _calibrate(blocks: dict[str, list[Any]], references: dict[str, list[int]]) -> Record:
    """For each rule and position in the block, the reliability bins of the τ 1 runs (see `metrics.judge_trace`).

    A τ 1 run has one pass at each place, so every candidate is judged at the prefix that τ 1 decoding has there.
    """
    out: Record = {}
    for rule in RULES:
        judged = [
            metrics.Judged(i + 1, confidence, token == references[name][start + i])
            for name, passes in blocks.items()
            for start, block in enumerate(passes)
            for i, (token, confidence) in enumerate(zip(block.token_ids, block.confidence(rule), strict=True))
            if start + i < len(references[name])
        ]
        bins = metrics.calibration(judged)
        out[rule] = {
            str(position): {"count": b.count, "confidence": [round(x, 6) for x in b.confidence], "right": b.right}
            for position, b in bins.items()
        }
    return out


def _weight(unit: Unit) -> float:
    """A unit's share of the work, for the time left: passes at τ 1 and, of the other cells, what they do not share."""
    return len(unit.items) * unit.task.max_new_tokens * (1.0 if unit.block_size == 1 else 2.0 + 0.15 * len(unit.cells))


# -- the file of answers ----------------------------------------------------------------------------------------------


def finished_units(path: Path, header: Record) -> dict[str, Record]:
    """The finished units of a file of answers, by key. SDLMError where it is none, or belongs to another sweep."""
    records = read_records(path)
    if not records:
        return {}
    if records[0].get("format") != FORMAT or records[0].get("version") != VERSION:
        raise SDLMError(f"{str(path)!r} is not a file of answers. Give another --output, or remove it.")
    _compare(records[0], json.loads(json.dumps(header)), path)
    return {record["unit"]: record for record in records[1:]}


def _compare(found: Record, wanted: Record, path: Path) -> None:
    pairs = {**found, **found["plan"]}, {**wanted, **wanted["plan"]}
    different = [key for key in pairs[1] if key != "plan" and pairs[0].get(key) != pairs[1][key]]
    if different:
        raise SDLMError(
            f"{str(path)!r} holds answers of another sweep: {', '.join(different)} differ. "
            "Give another --output, or --fresh to begin anew."
        )


@contextlib.contextmanager
def _sole_writer(path: Path) -> Iterator[None]:
    """Two sweeps must not write one file; the second ends with a sentence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_suffix(".lock"), timeout=0):
            yield
    except Timeout:
        raise SDLMError(
            f"Another sweep is writing {str(path)!r}. Wait for it to end, or give another --output."
        ) from None


def _append(file: Any, record: Record) -> None:
    file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
    file.flush()
    os.fsync(file.fileno())


def fingerprint(folder: Path) -> str:
    """A short hash of a checkpoint's weights: names, sizes, first and last MiB of its safetensors files."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name}/{size}/".encode())
        with path.open("rb") as file:
            digest.update(file.read(2**20))
            file.seek(max(0, size - 2**20))
            digest.update(file.read())
    return digest.hexdigest()[:16]
