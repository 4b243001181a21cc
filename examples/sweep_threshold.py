"""Sweep τ on prompts of your own: the tokens per pass, and how far the answer stays that of τ = 1.

python examples/sweep_threshold.py prompts.txt          one prompt a line
"""

from __future__ import annotations

import argparse
from pathlib import Path

import sdlm_core


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--threshold", type=float, nargs="+", default=[0.95, 0.9, 0.8, 0.6])
    parser.add_argument("--max-new-tokens", type=int, default=96)
    args = parser.parse_args(argv)

    lm = sdlm_core.load_model(args.model)
    prompts = [line for line in args.prompts.read_text(encoding="utf-8").splitlines() if line.strip()]

    def answers(threshold: float) -> list[sdlm_core.Trace]:
        config = sdlm_core.DecodeConfig("prob_conf", threshold=threshold, max_new_tokens=args.max_new_tokens)
        return [sdlm_core.decode(lm, prompt, config) for prompt in prompts]

    one_by_one = answers(1.0)
    print("   τ  tokens per pass  answers as at τ 1")
    for threshold in args.threshold:
        traces = answers(threshold)
        per_pass = sum(len(t.token_ids) for t in traces) / sum(len(t.passes) for t in traces)
        same = sum(a.token_ids == b.token_ids for a, b in zip(traces, one_by_one, strict=True))
        print(f"{threshold:4.2f}  {per_pass:15.2f}  {same} of {len(prompts)}")


if __name__ == "__main__":
    main()
