"""`python -m sdlm_core serve`: the OpenAI-compatible API without the page; with --ray, over engines of a cluster."""

from __future__ import annotations

import argparse
import os
from functools import cache, partial
from typing import TYPE_CHECKING

from sdlm_core.cli.options import add_model_arguments, check_several
from sdlm_core.errors import SDLMError
from sdlm_core.serve.cluster_options import ClusterOptions

if TYPE_CHECKING:
    from sdlm_core.serve.fairness import LineLimits
    from sdlm_core.serve.models import LoadedModel
    from sdlm_core.serve.remote import RemoteEngine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `serve`."""
    add_model_arguments(parser, several=True)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (default: %(default)s)"
    )
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--max-runs", type=int, default=16, metavar="N", help="runs in one forward pass (default: %(default)s)"
    )
    parser.add_argument(
        "--max-runs-per-client",
        type=int,
        default=4,
        metavar="N",
        help="of one API key, or of one address where no key is needed (default: %(default)s)",
    )
    parser.add_argument(
        "--max-tokens", type=int, default=4096, metavar="N", help="longest answer (default: %(default)s)"
    )
    parser.add_argument(
        "--trusted-proxies",
        default="",
        metavar="ADDRESSES",
        help="addresses or networks, divided by commas, whose X-Forwarded-For header names the client (default: none)",
    )
    _add_cluster_arguments(parser)
    parser.epilog = (
        "The environment variable SDLM_API_KEYS holds the keys that are accepted, divided by commas; without it nobody "
        "needs one. Endpoints: /v1/chat/completions, /v1/models, /health, /ready, /metrics."
    )


def _add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    """What is only for --ray, and --engine."""
    defaults = ClusterOptions()
    group = parser.add_argument_group(
        "engines in a Ray cluster", "See docs/cluster.md. They need: pip install '.[ray]'"
    )
    where = 'its head\'s host:port, or "auto" for the one of this machine'
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--ray",
        metavar="ADDRESS",
        help=f'run the model in engines of this Ray cluster: {where}, or "local" for one that ends with this command. '
        "Elsewhere they go on after it; engines that run there already are replaced, one after the other",
    )
    either.add_argument("--engine", metavar="ADDRESS", help=f"use the engines that run in this Ray cluster: {where}")
    group.add_argument(
        "--replicas", type=int, metavar="N", default=defaults.replicas, help="engines (default: %(default)s)"
    )
    group.add_argument("--max-replicas", type=int, metavar="N", help="add engines with the load, up to N (default: no)")
    group.add_argument(
        "--target-runs",
        type=int,
        metavar="N",
        default=defaults.target_runs,
        help="with --max-replicas: runs that an engine should have (default: %(default)s)",
    )
    group.add_argument(
        "--threads", type=int, metavar="N", default=defaults.threads, help="CPU cores of an engine (default: 1)"
    )
    group.add_argument(
        "--gpus", type=float, metavar="N", default=defaults.gpus, help="GPUs of an engine, also a part (default: 0)"
    )
    group.add_argument(
        "--grace-seconds",
        type=float,
        metavar="S",
        default=defaults.grace_seconds,
        help="how long an engine that is replaced may finish its runs; the rest go on elsewhere (default: %(default)g)",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted. The model is loaded while the server already answers; /ready says when it is there. Of
    several, the first is loaded then, and the others when somebody asks for them."""
    args.model = list(dict.fromkeys(args.model or ["builtin"]))
    _check(args)
    from sdlm_core.models.heap import keep_freed_memory

    keep_freed_memory()  # before there is another thread, which would have a heap of its own

    from sdlm_core.serve.fairness import LineLimits
    from sdlm_core.serve.http.api import Api, keys_from_environment
    from sdlm_core.serve.http.limits import Limits
    from sdlm_core.serve.http.logs import log_as_json
    from sdlm_core.serve.http.server import create_server, make_server
    from sdlm_core.serve.models import Models

    log_as_json()
    at_once = args.max_runs * (args.max_replicas or args.replicas)
    line_limits = LineLimits(running=at_once, running_per_client=args.max_runs_per_client)
    models = [_served(args, name, line_limits) for name in args.model]
    api = Api(models, Limits(new_tokens=args.max_tokens), keys_from_environment())
    proxies = [proxy.strip() for proxy in args.trusted_proxies.split(",") if proxy.strip()]
    server = make_server(create_server(api), args.host, args.port, proxies)
    on_demand = Models(models, args.device, args.dtype, args.quantization, args.max_loaded_models)
    on_demand.load_first()
    try:
        server.run()
    finally:
        on_demand.close()
    return 0 if server.started else 1


def _served(args: argparse.Namespace, name: str, limits: LineLimits) -> LoadedModel:
    """A model of this process, or what stands for that of a cluster. limits: of its line."""
    from sdlm_core.serve.models import LoadedModel

    if args.ray is None and args.engine is None:
        from sdlm_core.models.loading import load_model
        from sdlm_core.serve.engine import Engine

        load = partial(load_model, name, args.device, args.dtype, args.quantization)
        return LoadedModel(name, load, partial(Engine, max_runs=args.max_runs), limits)
    from sdlm_core.serve.cluster import connect, start_cluster

    fields = ClusterOptions.__dataclass_fields__.keys() - {"model"}
    options = ClusterOptions(model=name, **{field: getattr(args, field) for field in fields if hasattr(args, field)})

    @cache
    def engines() -> RemoteEngine:
        if args.ray is not None:
            start_cluster(args.ray, options)
        return connect(args.ray or args.engine, wait=True)

    return LoadedModel(name, lambda: engines().lm, lambda _: engines(), limits)


def _check(args: argparse.Namespace) -> None:
    """Raise SDLMError for numbers that cannot be meant."""
    for option in ("max_runs", "max_runs_per_client", "max_tokens"):
        if getattr(args, option) < 1:
            name = f"--{option.replace('_', '-')}"
            raise SDLMError(f"{name} must be at least 1, but is {getattr(args, option)}.")
    check_several(args.model, args.max_loaded_models, "A Ray cluster" if args.ray or args.engine else None)
    if not 0 <= args.port < 65_536:
        raise SDLMError(f"--port must be between 0 and 65535, but is {args.port}.")
    if "SDLM_API_KEYS" in os.environ and not os.environ["SDLM_API_KEYS"].replace(",", "").strip():
        raise SDLMError("SDLM_API_KEYS is set, but holds no key. Unset it, or give at least one.")
