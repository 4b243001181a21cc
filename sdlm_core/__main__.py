"""The command line: `sdlm COMMAND`, or `python -m sdlm_core COMMAND`. Each command is a module of `sdlm_core.cli`."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdlm_core.errors import SDLMError

# sdlm_core.cli.NAME has `add_arguments(parser)` and `run(args) -> int`. It is imported only when its command is given.
COMMANDS = {
    "demo": "start the app: chat in the browser and watch every forward pass",
    "decode": "answer a prompt and show what every forward pass guessed and kept",
    "sweep": "decode a set over thresholds and block sizes: speed against quality",
    "site": "write recorded runs as a web page that needs no Python behind it",
    "report": "draw a sweep as one HTML file that opens anywhere",
    "retrofit": "turn an autoregressive model into an SDLM",
    "synthesize": "make training data: the model's own answers, and checkable problems",
    "bench": "time passes, answers and many visitors against transformers",
    "serve": "answer OpenAI-compatible requests over HTTP, without the page",
    "evaluate": "run tasks of lm-evaluation-harness",
}
# Which extra of the package brings what a command may find missing.
EXTRAS = {
    "gradio": "app",
    "plotly": "app",
    "peft": "train",
    "fastapi": "serve",
    "uvicorn": "serve",
    "prometheus_client": "serve",
    "rapidfuzz": "eval",
    "math_verify": "eval",
    "lm_eval": "eval",
    "bitsandbytes": "quantization",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. A user's mistake ends in one sentence and exit code 2."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        return _run(words)
    except SDLMError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        install = f"pip install 'sdlm-theatre[{extra}]'"
        print(f"Error: this needs {error.name}, which is not installed. Install it with: {install}", file=sys.stderr)
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


def program() -> str:
    """How this command line was called: `sdlm` where it is installed, else `python -m sdlm_core`."""
    return "sdlm" if Path(sys.argv[0]).name in ("sdlm", "sdlm.exe") else "python -m sdlm_core"


def _run(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog=program(),
        description="Sequential Diffusion Language Models: decode, measure and train them.",
        epilog=f"`{program()} COMMAND --help` explains a command.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    given = next((word for word in words if word in COMMANDS), None)
    module: Any = importlib.import_module(f"sdlm_core.cli.{given}") if given else None
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == given:
            module.add_arguments(command)
    if given == "demo":  # app.py reads its own options
        return int(module.run(words[words.index(given) + 1 :]))
    args = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return int(module.run(args) or 0)


if __name__ == "__main__":
    sys.exit(main())
