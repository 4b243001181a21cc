"""`sdlm decode`: an answer in the terminal, pass by pass."""

from __future__ import annotations

import argparse
import dataclasses
import io
import sys
import unicodedata
from pathlib import Path

from sdlm_core.cli.options import add_decoding_arguments, add_model_arguments, prepare_output
from sdlm_core.config import DecodeConfig
from sdlm_core.text import REPLACEMENT
from sdlm_core.trace import Pass

SHADES = (196, 208, 220, 148, 40)  # 256-colour codes, from low confidence to high


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `decode`."""
    parser.add_argument("prompt", help="what to ask; - reads standard input")
    add_model_arguments(parser)
    add_decoding_arguments(parser)
    defaults = DecodeConfig()
    parser.add_argument("--temperature", type=float, default=defaults.temperature, help="0 is greedy (default)")
    parser.add_argument("--top-k", type=int, default=defaults.top_k, help="0 is off (default)")
    parser.add_argument("--top-p", type=float, default=defaults.top_p, help="1 is off (default)")
    parser.add_argument(
        "--max-new-tokens", type=int, default=defaults.max_new_tokens, help="length limit (default: 256)"
    )
    parser.add_argument("--no-cache", dest="use_cache", action="store_false", help="compute every row in every pass")
    parser.add_argument("--quiet", action="store_true", help="print the answer only, not the passes")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the trace as JSON")


def run(args: argparse.Namespace) -> int:
    """Decode and print: a line a pass, then the answer and its figures."""
    from sdlm_core.decoding.loop import Run
    from sdlm_core.models.loading import load_model

    if args.save:
        prepare_output(args.save)
    config = DecodeConfig(**{f.name: getattr(args, f.name) for f in dataclasses.fields(DecodeConfig)})
    lm = load_model(args.model, args.device, args.dtype, args.quantization)
    decoding = Run(lm, read_input() if args.prompt == "-" else args.prompt, config)
    for p in decoding:
        if not args.quiet:
            print(describe_pass(p, colour=sys.stdout.isatty()))
    trace = decoding.trace()
    text = without_controls(trace.text) if sys.stdout.isatty() else trace.text  # a file gets what the model said
    print(text if args.quiet else f"\n{text}\n")
    print(
        f"{len(trace.token_ids)} tokens in {len(trace.passes)} passes: {trace.tokens_per_pass:.2f} tokens per pass; "
        f"{trace.seconds:.2f} s, {len(trace.token_ids) / trace.seconds:.1f} tokens/s ({trace.device})",
        file=sys.stderr,
    )
    if args.save:
        args.save.write_text(trace.to_json(), encoding="utf-8")
    return 0


def read_input() -> str:
    """Standard input. Bytes that are no text become replacement characters."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    return sys.stdin.read()


def without_controls(text: str) -> str:
    """A model's answer for a terminal, with every control character replaced, since they begin escape sequences.

    Line ends and tabs stay, and so do joiners and wide spaces, which are part of emoji and scripts.
    """
    return "".join(REPLACEMENT if unicodedata.category(ch) == "Cc" and ch not in "\n\t" else ch for ch in text)


def describe_pass(p: Pass, colour: bool) -> str:
    """One line: number, accepted of D, milliseconds, and the candidates; those not accepted after a bar."""
    words = []
    for i, c in enumerate(p.candidates):
        # A candidate is read alone, so whatever cannot be seen is replaced, not only control characters.
        text = c.text.replace("\n", "⏎").replace(" ", "·") or "…"
        text = "".join(ch if ch.isprintable() else REPLACEMENT for ch in text)
        if colour:
            shade = SHADES[min(int(c.confidence * len(SHADES)), len(SHADES) - 1)]
            text = f"\x1b[{'' if i < p.accepted else '2;'}38;5;{shade}m{text}\x1b[0m"
        words.append(f"{'| ' if i == p.accepted else ''}{text} {c.confidence:.2f}")
    return f"{p.index + 1:4}  {p.accepted} of {len(p.candidates)}  {1e3 * p.seconds:5.0f} ms  {'  '.join(words)}"
