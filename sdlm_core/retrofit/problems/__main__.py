"""Write problems to a JSONL file: python -m sdlm_core.retrofit.problems --split test --count 320 --out FILE."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from sdlm_core.retrofit.problems import KINDS, generate, to_conversation


def main(argv: list[str] | None = None) -> None:
    """Parse the command line, draw the problems and write one JSON object a line."""
    parser = argparse.ArgumentParser(
        prog="python -m sdlm_core.retrofit.problems",
        description="Draw problems with worked solutions and checkable answers into a JSONL file. "
        "The two splits never share a problem, whatever the seeds.",
    )
    parser.add_argument("--split", choices=("train", "test"), required=True, help="the side of the split to draw from")
    parser.add_argument("--count", type=int, required=True, help="how many problems")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same file (default: %(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="only these kinds (default: all, in turn)")
    parser.add_argument(
        "--format",
        choices=("problem", "conversation"),
        default="problem",
        help="problem: id, kind, level, prompt, solution, answer; conversation: ShareGPT-style, for training "
        "(default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the JSONL file to write")
    options = parser.parse_args(argv)
    if options.count < 1:
        parser.error("--count must be at least 1")

    record = asdict if options.format == "problem" else to_conversation
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", encoding="utf-8") as file:
        try:
            for problem in generate(options.split, options.count, options.seed, options.kinds):
                file.write(json.dumps(record(problem), ensure_ascii=False) + "\n")
        except ValueError as error:
            parser.exit(1, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    main()
