"""Does a setting change what the built-in model says? Token for token, in the dtype that is decoded with.

On open prompts: self-speculative decoding against one token a pass of the same block size, "auto" against
autoregressive decoding, and each run in the company of seven others against the same run alone.

    python -m tools.lossless --prompts 60 --tokens 96
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import sdlm_core
from sdlm_core import DecodeConfig
from tools.together import together

PROMPTS = Path(__file__).parents[1] / "assets" / "benchmarks" / "open_prompts.jsonl"
COMPANY = 8


def settings(tokens: int) -> dict[str, DecodeConfig]:
    """By name; the first of a pair is what the second must equal."""
    return {
        "τ 1": DecodeConfig(threshold=1.0, max_new_tokens=tokens),
        "self-speculative": DecodeConfig("self_speculative", max_new_tokens=tokens),
        "autoregressive": DecodeConfig("autoregressive", max_new_tokens=tokens),
        "self-speculative, auto": DecodeConfig("self_speculative", block_size="auto", max_new_tokens=tokens),
    }


EQUAL = {"self-speculative": "τ 1", "self-speculative, auto": "autoregressive"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--tokens", type=int, default=96)
    args = parser.parse_args(arguments)
    lm = sdlm_core.load_model(args.model)
    prompts = [json.loads(line)["prompt"] for line in PROMPTS.read_text().splitlines()[: args.prompts]]
    print(f"{lm.name}, {lm.dtype}, {len(prompts)} prompts, up to {args.tokens} tokens", flush=True)
    alone: dict[str, list[list[int]]] = {}
    for name, config in settings(args.tokens).items():
        alone[name] = [sdlm_core.decode(lm, prompt, config).token_ids for prompt in prompts]
        company = [run.token_ids for run in together(lm, prompts, config, COMPANY)]
        report(f"{name}, in company of {COMPANY - 1} others = alone", company, alone[name])
        if name in EQUAL:
            report(f"{name} = {EQUAL[name]}", alone[name], alone[EQUAL[name]])


def report(what: str, found: list[list[int]], expected: list[list[int]]) -> None:
    same = [a == b for a, b in zip(found, expected, strict=True)]
    different = [i for i, equal in enumerate(same) if not equal]
    print(f"{what}: {sum(same)} of {len(same)}" + (f"; differ: {different}" if different else ""), flush=True)


if __name__ == "__main__":
    main()
