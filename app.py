"""Starts the app: the page at once, the model beside it. Also the entry point on Hugging Face Spaces."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sdlm_core.serve.remote import RemoteEngine


def parse_arguments(argv: Sequence[str] | None = None, prog: str = "app.py") -> argparse.Namespace:
    """Command line first, environment second, defaults last. prog: what the help calls the program."""

    def setting(*names: str, default: str | None = None) -> str | None:
        return next((os.environ[name] for name in names if os.environ.get(name)), default)

    parser = argparse.ArgumentParser(
        prog=prog,
        description="Chat with a Sequential Diffusion Language Model and watch every forward pass, in the browser.",
        epilog="Each option is also an environment variable, named in brackets; the option wins.",
    )
    parser.add_argument(
        "--model",
        action="append",
        help='"builtin", a checkpoint\'s folder, or a hub id such as OpenGVLab/SDLM-3B-D4; given more than once, the '
        "page has a menu of them and the APIs list them all [SDLM_MODEL, divided by commas] (default: builtin)",
    )
    parser.add_argument(
        "--max-loaded-models",
        type=int,
        metavar="N",
        default=setting("SDLM_MAX_LOADED_MODELS"),
        help="how many of several models stay in memory; the one asked for longest ago makes room "
        "[SDLM_MAX_LOADED_MODELS] (default: as many as fit; on a CPU 1)",
    )
    parser.add_argument(
        "--device",
        default=setting("SDLM_DEVICE", default="auto"),
        help="auto (CUDA, else MPS, else CPU), cpu, cuda, cuda:1, mps [SDLM_DEVICE] (default: %(default)s)",
    )
    parser.add_argument(
        "--quantization",
        default=setting("SDLM_QUANTIZATION"),
        choices=("int8", "nf4"),
        help="load the weights in 8 or 4 bits by bitsandbytes [SDLM_QUANTIZATION] (default: no)",
    )
    parser.add_argument(
        "--engine",
        metavar="ADDRESS",
        default=setting("SDLM_ENGINE"),
        help="use the engines that run in this Ray cluster (host:port, or auto) instead of a model here; --model, "
        "--device and --quantization are then theirs; see docs/cluster.md [SDLM_ENGINE] (default: no)",
    )
    parser.add_argument(
        "--host",
        default=setting("SDLM_HOST", "GRADIO_SERVER_NAME", default="127.0.0.1"),
        help="address to listen on; 0.0.0.0 for all [SDLM_HOST, GRADIO_SERVER_NAME] (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=setting("SDLM_PORT", "GRADIO_SERVER_PORT", "PORT"),
        help="port to listen on [SDLM_PORT, GRADIO_SERVER_PORT, PORT] (default: the first free one from 7860)",
    )
    arguments = parser.parse_args(argv)
    names = arguments.model or str(setting("SDLM_MODEL", default="builtin")).split(",")
    arguments.model = list(dict.fromkeys(name for said in names if (name := said.strip())))
    _check(parser, arguments)
    return arguments


def _check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with a sentence where the options cannot be meant."""
    from sdlm_core.cli.options import check_several
    from sdlm_core.errors import SDLMError

    if arguments.quantization not in (None, "int8", "nf4"):  # argparse checks no defaults
        parser.error(f"SDLM_QUANTIZATION is {arguments.quantization!r}; choose int8 or nf4, or leave it out.")
    try:
        check_several(arguments.model, arguments.max_loaded_models, "--engine" if arguments.engine else None)
    except SDLMError as error:
        parser.error(str(error))


def main(argv: Sequence[str] | None = None, prog: str = "app.py") -> None:
    """Serve the page; the model loads meanwhile, and the page says so until it is there."""
    arguments = parse_arguments(argv, prog)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

    from sdlm_core.models.heap import keep_freed_memory

    keep_freed_memory()  # now: a thread that is there already, such as Gradio's, has a heap of its own

    from app import page, visitors
    from app.model import ServedModel
    from app.sessions import Sessions
    from sdlm_core.cli.options import check_several
    from sdlm_core.execution.switches import on_zerogpu
    from sdlm_core.serve.models import Models

    def load(name: str) -> object:
        import sdlm_core

        return sdlm_core.load_model(name, device=arguments.device, quantization=arguments.quantization)

    @cache
    def engines() -> RemoteEngine:
        from sdlm_core.serve.cluster import connect

        return connect(arguments.engine)

    names = arguments.model
    zerogpu = on_zerogpu()
    if arguments.engine:
        models = [ServedModel(lambda: engines().lm, lambda _: engines())]
    elif zerogpu:
        from app.zero import ZeroEngine

        check_several(names, None, "ZeroGPU")
        models = [ServedModel(partial(load, names[0]), ZeroEngine)]
        models[0].load()  # here and now: ZeroGPU takes the weights that are there when the page is launched
    else:
        models = [ServedModel(partial(load, name), name=name if len(names) > 1 else None) for name in names]
    on_demand = Models(models, arguments.device, quantization=arguments.quantization, most=arguments.max_loaded_models)
    visitors.trust_proxies()
    blocks, url = page.launch(Sessions(*models), server_name=arguments.host, server_port=arguments.port)
    if arguments.engine or not zerogpu:
        on_demand.load_first()  # after the page, which should not wait for the model's imports
    print(f"The page is at {url}  (Ctrl+C ends it)", flush=True)
    blocks.block_thread()
    on_demand.close()


if __name__ == "__main__":
    main()
