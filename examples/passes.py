"""Decode a prompt and print every forward pass: what it guessed, and what it kept.

python examples/passes.py "Tom has 12 apples and buys 7 more. How many apples does he have?"
"""

from __future__ import annotations

import argparse

import sdlm_core


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompt")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--threshold", type=float, default=0.9)
    parser.add_argument("--max-new-tokens", type=int, default=128)
    args = parser.parse_args(argv)

    lm = sdlm_core.load_model(args.model)
    config = sdlm_core.DecodeConfig("prob_conf", threshold=args.threshold, max_new_tokens=args.max_new_tokens)
    tokens = passes = 0
    for p in sdlm_core.stream(lm, args.prompt, config):
        words = [f"{c.text!r} {c.confidence:.2f}" for c in p.candidates]
        print(f"pass {p.index + 1}: kept {', '.join(words[: p.accepted])}; dropped {', '.join(words[p.accepted :])}")
        tokens, passes = tokens + p.accepted, passes + 1
    print(f"{tokens} tokens in {passes} passes")


if __name__ == "__main__":
    main()
