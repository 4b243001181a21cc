"""Starts the app: the page at once, the model beside it. Also the entry point on Hugging Face Spaces."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Command line first, environment second, defaults last."""

    def setting(*names: str, default: str | None = None) -> str | None:
        return next((os.environ[name] for name in names if os.environ.get(name)), default)

    parser = argparse.ArgumentParser(
        prog="app.py",
        description="Chat with a Sequential Diffusion Language Model and watch every forward pass, in the browser.",
        epilog="Each option is also an environment variable, named in brackets; the option wins.",
    )
    parser.add_argument(
        "--model",
        default=setting("SDLM_MODEL", default="builtin"),
        help='"builtin", a checkpoint\'s folder, or a hub id such as OpenGVLab/SDLM-3B-D4 [SDLM_MODEL] '
        "(default: %(default)s)",
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
    if arguments.quantization not in (None, "int8", "nf4"):  # argparse checks no defaults
        parser.error(f"SDLM_QUANTIZATION is {arguments.quantization!r}; choose int8 or nf4, or leave it out.")
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the page; the model loads meanwhile, and the page says so until it is there."""
    arguments = parse_arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

    from sdlm_core.heap import keep_freed_memory

    keep_freed_memory()  # now: a thread that is there already, such as Gradio's, has a heap of its own

    from app import page
    from app.runs import House
    from sdlm_core.fixed import on_zerogpu

    def load() -> object:
        import sdlm_core

        return sdlm_core.load_model(arguments.model, device=arguments.device, quantization=arguments.quantization)

    zerogpu = on_zerogpu()
    if zerogpu:
        from app.zero import ZeroEngine

        house = House(load, ZeroEngine)
        house.load()  # here and now: ZeroGPU takes the weights that are there when the page is launched
    else:
        house = House(load)
    blocks = page.build(house)
    _, url, _ = blocks.launch(
        server_name=arguments.host,
        server_port=arguments.port,
        prevent_thread_lock=True,
        quiet=True,
        **page.launch_options(),
    )
    if not zerogpu:
        house.open()  # after the page, which should not wait for the model's imports
    print(f"The page is at {url}  (Ctrl+C ends it)", flush=True)
    blocks.block_thread()
    house.close()


if __name__ == "__main__":
    main()
