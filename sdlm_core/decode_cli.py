"""`python -m sdlm_core decode`: an answer in the terminal, pass by pass."""

from __future__ import annotations

import argparse
import dataclasses
import io
import os
import sys
import unicodedata
from pathlib import Path

from sdlm_core.config import ALGORITHMS, DecodeConfig
from sdlm_core.errors import SDLMError
from sdlm_core.text import REPLACEMENT
from sdlm_core.trace import Pass

SHADES = (196, 208, 220, 148, 40)  # 256-colour codes from unsure to sure


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """--model, --device, --dtype and --quantization, as every command that loads a model takes them."""
    parser.add_argument(
        "--model", default="builtin", help='"builtin", a checkpoint\'s folder, or a hub id (default: builtin)'
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    parser.add_argument("--dtype", default="auto", help="auto, bfloat16, float16, float32 (default: what is fast here)")
    parser.add_argument("--quantization", choices=["int8", "nf4"], help="load quantized weights, by bitsandbytes")


def prepare_output(path: Path) -> None:
    """Make the folder of a file that will be written. SDLMError where it cannot be: before the work, not after it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SDLMError(f"{str(path)!r} cannot be written ({error.strerror}). Give another file.") from None
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise SDLMError(f"{str(path)!r} cannot be written: it is a folder, or protected. Give another file.")


def check_batch(batch: int) -> None:
    """SDLMError unless --batch, the runs in one forward pass, is at least 1."""
    if batch < 1:
        raise SDLMError(f"--batch must be at least 1, but is {batch}.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `decode`."""
    parser.add_argument("prompt", help="what to ask; - reads standard input")
    add_model_arguments(parser)
    defaults = DecodeConfig()
    parser.add_argument("--algorithm", choices=ALGORITHMS, default=defaults.algorithm)
    parser.add_argument("--block-size", type=int, metavar="D", help="candidates a pass (default: the model's)")
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="TAU",
        default=defaults.threshold,
        help="keep candidates surer than this (default: 0.9)",
    )
    parser.add_argument("--temperature", type=float, default=defaults.temperature, help="0 is greedy (default)")
    parser.add_argument("--top-k", type=int, default=defaults.top_k, help="0 is off (default)")
    parser.add_argument("--top-p", type=float, default=defaults.top_p, help="1 is off (default)")
    parser.add_argument(
        "--max-new-tokens", type=int, default=defaults.max_new_tokens, help="length limit (default: 256)"
    )
    parser.add_argument("--no-cache", dest="use_cache", action="store_false", help="compute every row in every pass")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--quiet", action="store_true", help="print the answer only, not the passes")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the trace as JSON")


def run(args: argparse.Namespace) -> int:
    """Decode and print: a line a pass, then the answer and its figures."""
    from sdlm_core.decoding import Run
    from sdlm_core.loading import load_model

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
        f"{len(trace.token_ids)} tokens in {len(trace.passes)} passes: {trace.tokens_per_pass:.2f} tokens a pass; "
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
    """A model's answer for a terminal. It is data: control characters, which begin every escape sequence, must not
    reach the terminal. Lines and tabs stay, and so do joiners and wide spaces, which are part of emoji and scripts."""
    return "".join(REPLACEMENT if unicodedata.category(ch) == "Cc" and ch not in "\n\t" else ch for ch in text)


def describe_pass(p: Pass, colour: bool) -> str:
    """One line: number, accepted of D, milliseconds, and the candidates; those not accepted after a bar."""
    words = []
    for i, c in enumerate(p.candidates):
        # Control characters as above, and whatever else cannot be seen: a candidate is looked at by itself.
        text = c.text.replace("\n", "⏎").replace(" ", "·") or "…"
        text = "".join(ch if ch.isprintable() else REPLACEMENT for ch in text)
        if colour:
            shade = SHADES[min(int(c.confidence * len(SHADES)), len(SHADES) - 1)]
            text = f"\x1b[{'' if i < p.accepted else '2;'}38;5;{shade}m{text}\x1b[0m"
        words.append(f"{'| ' if i == p.accepted else ''}{text} {c.confidence:.2f}")
    return f"{p.index + 1:4}  {p.accepted} of {len(p.candidates)}  {1e3 * p.seconds:5.0f} ms  {'  '.join(words)}"
