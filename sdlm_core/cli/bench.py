"""`sdlm bench`: what a pass, an answer and many visitors cost, as a table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sdlm_core.bench.bench import SECTIONS, measure
from sdlm_core.bench.models import BenchConfig
from sdlm_core.bench.random_weights import SHAPES
from sdlm_core.cli.options import add_block_size_argument, add_model_arguments, prepare_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `bench`."""
    defaults = BenchConfig()
    add_model_arguments(parser)
    parser.add_argument(
        "--random-weights", choices=sorted(SHAPES), help="measure this shape with random weights instead of --model"
    )
    parser.add_argument(
        "--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="what to measure (default: all)"
    )
    add_block_size_argument(parser, help="default: the model's, or 4 with random weights")
    parser.add_argument(
        "--repeats", type=int, default=defaults.repeats, help="rounds behind each median (default: %(default)s)"
    )
    parser.add_argument(
        "--prompts",
        default="problems",
        metavar="SET",
        help='problems, chat, or a JSONL file with "prompt" (default: problems)',
    )
    parser.add_argument("--limit", type=int, default=defaults.limit, help="prompts to answer (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table as JSON")


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the file."""
    from sdlm_core.evaluate.tasks import load_set

    config = BenchConfig(
        model=args.model,
        device=args.device,
        dtype=args.dtype,
        quantization=args.quantization,
        random_weights=args.random_weights,
        sections=tuple(args.sections),
        block_size=args.block_size,
        repeats=args.repeats,
        limit=args.limit,
    )
    if args.output:
        prepare_output(args.output)
    result = measure(config, [item.prompt for item in load_set(args.prompts).items])
    print(f"\n{result.model}, {result.device}, torch {result.torch}\n")
    width = max(len(row.what) for row in result.rows)
    for row in result.rows:
        print(f"{row.what:<{width}}  {row.value:>10}  {row.note}")
    if args.output:
        args.output.write_text(json.dumps(result.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0
