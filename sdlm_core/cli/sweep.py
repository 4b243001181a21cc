"""`sdlm sweep`: speed against quality over rules, D and τ, in the terminal and in one JSON."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdlm_core.cli.options import (
    add_batch_argument,
    add_block_size_argument,
    add_guesses_argument,
    add_model_arguments,
    add_ray_arguments,
    check_batch,
    prepare_output,
    spread_over,
)
from sdlm_core.config import ALGORITHMS, DecodeConfig
from sdlm_core.errors import SDLMError

if TYPE_CHECKING:
    from sdlm_core.evaluate.sweep import Plan, Progress
    from sdlm_core.evaluate.tasks import TaskSet
    from sdlm_core.models.language_model import LanguageModel

THRESHOLDS = (0.9, 1.0, 0.8, 0.95, 0.7, 0.6, 0.5)
WALL_CLOCK_TOKENS = 64  # longest answer that is timed; speed hardly depends on it
SHIPPED_OUTPUT = Path("assets/sweeps/builtin.json")
SHIPPED_LIMITS = {"problems": 160, "chat": 60}
# What --shipped decides: everything that the published figures depend on.
SHIPPED_DECIDES = (
    "model", "quantization", "set", "limit", "algorithm", "block_size", "tau", "max_new_tokens", "temperature", "seed",
    "wall_clock", "base", "no_likelihood", "guesses",
)  # fmt: skip
EPILOG = """\
Each setting's answers are decoded in batches, and passes that settings share are computed once; figures are those of
separate runs. A sweep that was stopped continues when the same command is given again.

  sdlm sweep --set problems --limit 40 --tau 0.8 0.9 1 --block-size 8
  sdlm report sweep.json                              draws it as one HTML file
  sdlm sweep --shipped                                remakes assets/sweeps/builtin.json, in a checkout
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `sweep`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    add_model_arguments(parser)
    add_ray_arguments(parser)
    parser.add_argument(
        "--shipped",
        action="store_true",
        help="the built-in model's published sweep: 160 problems, 60 open prompts, D 8, 4 and 2, every rule and τ; "
        "where it runs, --batch, --minutes, --fresh and --output can still be given",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=["problems", "chat"],
        metavar="SET",
        help='problems, chat, or a JSONL file with "prompt" and perhaps "answer" (default: problems chat)',
    )
    parser.add_argument("--limit", type=int, metavar="N", help="prompts of each set, in its proportions (default: all)")
    parser.add_argument("--algorithm", nargs="+", choices=ALGORITHMS, default=list(ALGORITHMS), help="default: all")
    add_block_size_argument(parser, nargs="+")
    parser.add_argument(
        "--tau",
        nargs="+",
        type=float,
        default=list(THRESHOLDS),
        metavar="TAU",
        help=f"thresholds (default: {' '.join(f'{t:g}' for t in sorted(THRESHOLDS))})",
    )
    add_guesses_argument(parser)
    parser.add_argument("--max-new-tokens", type=int, help="length limit (default: 100 for chat, else 128)")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy (default)")
    parser.add_argument("--seed", type=int, default=0, help="of samples and of the intervals' resampling (default: 0)")
    add_batch_argument(parser, 16)
    parser.add_argument(
        "--wall-clock",
        type=int,
        default=0,
        metavar="N",
        help="also time every setting on N prompts of each set, one at a time, in turn with autoregressive decoding",
    )
    parser.add_argument("--base", help="a model that reads the τ 1 answers to open prompts too, beside its own")
    parser.add_argument(
        "--no-likelihood", action="store_true", help="do not read open answers back for their likelihood"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="the JSON (default: sweep.json)")
    parser.add_argument(
        "--minutes",
        type=float,
        help="stop after this time and write what is there (0: at once); the same command continues",
    )
    parser.add_argument("--fresh", action="store_true", help="forget the answers of an earlier sweep to this output")


def run(args: argparse.Namespace) -> int:
    """Sweep, print the table, write the files."""
    if args.shipped:
        _settle_shipped(args)
    from sdlm_core.evaluate import table
    from sdlm_core.models import builtin, loading
    from sdlm_core.models.source import find_folder

    output = args.output or (SHIPPED_OUTPUT if args.shipped else Path("sweep.json"))
    prepare_output(output)
    check_batch(args.batch)
    if args.ray and args.base:
        raise SDLMError("--base reads answers with a second model, which --ray does not spread. Leave one of them out.")
    sets = _load_sets(args)
    likelihood = _sets_to_read_back(args, sets)
    DecodeConfig(temperature=args.temperature, seed=args.seed)  # its sentence, before the model loads
    lm = loading.load_model(args.model, args.device, args.dtype, args.quantization)
    folder = builtin.ensure_adapter() if args.model == "builtin" else find_folder(args.model)
    plan = _plan(lm, sets, likelihood, args)
    terminal = Terminal()
    result = _sweep(lm, plan, folder, output, args, terminal)
    if args.wall_clock > 0 and result["complete"]:
        _write(output, result)  # the timing takes minutes more
        result["wall_clock"] = _wall_clock(lm, plan, args, terminal)
    terminal.end()
    _write(output, result)
    print(table.render(result))
    print(f"\nWritten: {output}", file=sys.stderr)
    if not result["complete"]:
        print("The sweep is not complete; the same command continues it.", file=sys.stderr)
    return 0


def _load_sets(args: argparse.Namespace) -> tuple[TaskSet, ...]:
    from sdlm_core.evaluate.tasks import load_set

    limits = SHIPPED_LIMITS if args.shipped else dict.fromkeys(args.set, args.limit)
    sets = tuple(load_set(name, limits[name], args.max_new_tokens) for name in args.set)
    if len({task.name for task in sets}) < len(sets):
        raise SDLMError("Two of the sets have the same name.")
    return sets


def _sets_to_read_back(args: argparse.Namespace, sets: tuple[TaskSet, ...]) -> tuple[str, ...]:
    """Names of the sets whose answers are read for their likelihood. SDLMError where --base would read none."""
    names = () if args.no_likelihood else tuple(task.name for task in sets if not task.checkable)
    if args.base and not names:
        why = "--no-likelihood is given" if args.no_likelihood else "all prompts of the sets have right answers"
        raise SDLMError(
            f"--base {args.base!r} reads answers to open prompts, but {why}, so it would read none. "
            "Leave it out, or let it read a set such as chat."
        )
    return names


def _plan(lm: LanguageModel, sets: tuple[TaskSet, ...], likelihood: tuple[str, ...], args: argparse.Namespace) -> Plan:
    from sdlm_core.decoding.state import coherent_for
    from sdlm_core.evaluate import sweep
    from sdlm_core.evaluate.cells import expand

    algorithms = args.algorithm if lm.mask_token_id is not None else ["autoregressive"]
    return sweep.Plan(
        sets=sets,
        cells=tuple(expand(algorithms, args.block_size or [lm.block_size or 1], args.tau)),
        batch=args.batch,
        temperature=args.temperature,
        seed=args.seed,
        likelihood=likelihood,
        guesses="coherent" if coherent_for(lm, DecodeConfig(guesses=args.guesses)) else "independent",
    )


def _sweep(
    lm: LanguageModel, plan: Plan, folder: Path, output: Path, args: argparse.Namespace, terminal: Terminal
) -> dict[str, Any]:
    """The sweep's result, with the base's own answers where --base is given, and with its provenance."""
    from sdlm_core.evaluate import summary as summaries
    from sdlm_core.evaluate import sweep
    from sdlm_core.evaluate.cells import expand

    base = _load_base(args) if args.base else None
    answers, base_answers = output.with_suffix(".answers.jsonl"), output.with_suffix(".base.jsonl")
    if args.fresh:
        for path in (answers, base_answers):
            path.unlink(missing_ok=True)
    began = time.monotonic()
    elsewhere = spread_over(args, partial(sweep.measure_unit, plan=plan))
    mark = sweep.fingerprint(folder)
    records = sweep.run_sweep(lm, plan, answers, base, mark, args.minutes, terminal.show, elsewhere)
    result = summaries.summarise(plan, records)
    if base is not None and result["complete"]:
        cells = tuple(expand(["autoregressive"], [1], [1.0]))
        open_sets = tuple(task for task in plan.sets if not task.checkable)
        alone = sweep.Plan(open_sets, cells, args.batch, 0.0, args.seed, plan.likelihood)
        terminal.label = "base: "
        found = sweep.run_sweep(base, alone, base_answers, None, str(args.base), None, terminal.show)
        result["base"] = {"model": base.name, "cells": summaries.summarise(alone, found)["cells"]}
    result.update(_provenance(lm, folder, args))
    result["seconds_decoding"] = round(time.monotonic() - began, 1)
    return result


def _settle_shipped(args: argparse.Namespace) -> None:
    """Set what --shipped decides. SDLMError where the command line says otherwise."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    given = [name for name in SHIPPED_DECIDES if getattr(args, name) != parser.get_default(name)]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise SDLMError(
            f"--shipped remakes the published sweep, so it decides {options} itself. Give that or --shipped, not both."
        )
    args.block_size, args.wall_clock, args.base = [8, 4, 2], 6, "builtin-base"


def _write(output: Path, result: dict[str, Any]) -> None:
    """Write the JSON, whole or not at all."""
    part = output.with_suffix(".part")
    part.write_text(json.dumps(result, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    part.replace(output)


def _load_base(args: argparse.Namespace) -> LanguageModel:
    from sdlm_core.models import builtin, loading

    source = str(builtin.ensure_base()) if args.base == "builtin-base" else args.base
    base = loading.load_model(source, args.device, args.dtype, args.quantization)
    base.name = args.base
    return base


def _provenance(lm: LanguageModel, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Who made this file, with what and when."""
    from importlib.metadata import version

    from sdlm_core.evaluate.sweep import fingerprint

    packages = ("torch", "transformers", "rapidfuzz", "math-verify", "numpy")
    return {
        "model": lm.name,
        "fingerprint": fingerprint(folder),
        "model_block_size": lm.block_size,
        "device": lm.description,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": "python -m sdlm_core " + shlex.join(sys.argv[1:]),
        "versions": {name: version(name) for name in packages},
        "seed": args.seed,
    }


def _wall_clock(lm: LanguageModel, plan: Plan, args: argparse.Namespace, terminal: Terminal) -> list[dict[str, Any]]:
    from dataclasses import replace

    from sdlm_core.evaluate import wall_clock

    rows: list[dict[str, Any]] = []
    for task in plan.sets:
        terminal.label = f"wall clock, {task.name}: "
        template = plan.template(task)
        short = replace(template, max_new_tokens=min(template.max_new_tokens, WALL_CLOCK_TOKENS))
        rows += wall_clock.measure(lm, task, plan.cells, args.wall_clock, short, terminal.share)
    return rows


class Terminal:
    """One line of progress, rewritten in a terminal, now and then in a log."""

    def __init__(self) -> None:
        self.label = ""
        self._shown = 0.0
        self._live = sys.stderr.isatty()

    def show(self, progress: Progress) -> None:
        """A sweep's progress."""
        left = progress.seconds_left
        rest = (
            "" if left is None else f", about {left / 60:.0f} min left" if left > 90 else f", about {left:.0f} s left"
        )
        self._print(f"{self.label}{progress.done:6.1%}  {progress.unit}{rest}")

    def share(self, done: float) -> None:
        """A share alone."""
        self._print(f"{self.label}{done:6.1%}")

    def end(self) -> None:
        if self._live:
            print("\r\x1b[K", end="", file=sys.stderr)

    def _print(self, line: str) -> None:
        now = time.monotonic()
        if now - self._shown < (0.2 if self._live else 20):
            return
        self._shown = now
        print(f"\r\x1b[K{line}" if self._live else line, end="" if self._live else "\n", file=sys.stderr, flush=True)
