"""The command line: `python -m sdlm_core COMMAND`. Each command lives beside what it runs; here they are only named."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys

from sdlm_core.errors import SDLMError

# Each module has `add_arguments(parser)` and `run(args) -> int`, and is imported only when its command is asked for.
COMMANDS = {
    "decode": ("sdlm_core.decode_cli", "answer a prompt and show what every forward pass guessed and kept"),
    "sweep": ("sdlm_core.evaluate.sweep_cli", "decode a set over thresholds and block sizes: speed against quality"),
    "retrofit": ("sdlm_core.retrofit.cli", "turn an autoregressive model into an SDLM"),
    "synthesize": (
        "sdlm_core.retrofit.synthesize",
        "make training data: the model's own answers, and checkable problems",
    ),
    "bench": ("sdlm_core.serve.bench", "time passes, answers and many visitors against transformers"),
    "evaluate": ("sdlm_core.evaluate.harness_cli", "run tasks of lm-evaluation-harness"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; a user's mistake ends in one sentence and exit code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m sdlm_core",
        description="Sequential Diffusion Language Models: decode, measure and train them.",
        epilog="`python -m sdlm_core COMMAND --help` explains a command.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    words = sys.argv[1:] if argv is None else argv
    asked = next((word for word in words if word in COMMANDS), None)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == asked:
            importlib.import_module(module).add_arguments(command)
    args = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        return int(importlib.import_module(COMMANDS[args.command][0]).run(args) or 0)
    except SDLMError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"Error: {error.filename or 'the system'}: {error.strerror or error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
