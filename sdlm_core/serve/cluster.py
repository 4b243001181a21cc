"""Engines on many machines: replicas of one engine as a Ray Serve application, and the way to it.

`start_cluster` deploys the replicas, `connect` gives a client that is used like an `Engine`. Ray Serve places and
watches the replicas, replaces those that die, adds and removes some with the load, and routes each run to the less
loaded of two replicas chosen at random. There is no HTTP between client and replica: both belong to the Ray cluster.

Ray's own Gradio integration (`GradioServer`) was looked at and left: it puts the whole page into a replica. A page
keeps each visitor's state in its process, so it must have a single replica, and page and model would not scale apart.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from sdlm_core.errors import SDLMError
from sdlm_core.models.language_model import LanguageModel
from sdlm_core.models.loading import load_model
from sdlm_core.serve.cluster_options import ClusterOptions
from sdlm_core.serve.replica import Replica

try:
    import ray
    from ray import serve
    from ray.serve.exceptions import RayServeException

    from sdlm_core.serve.remote import RemoteEngine
except ImportError as error:
    raise SDLMError(f"A cluster needs Ray, but {error.name} is missing: pip install 'ray[serve]==2.60.0'") from None

LOCAL = "local"  # the address that stands for a cluster of this machine, which ends with this process
APPLICATION = "sdlm"
OBJECT_STORE = 100_000_000  # bytes, of a local cluster; passes are small and travel inside messages


def start_cluster(
    address: str, options: ClusterOptions | None = None, load: Callable[[], LanguageModel] | None = None
) -> None:
    """Deploy the engines and wait until they have loaded their model. Where they run already, each is replaced, one
    after the other, and their runs go on: a rolling restart.

    address: see `join`. load: makes the model in a replica, instead of `load_model` with the options; it must be
    importable there. Raises SDLMError where the cluster cannot be reached or the engines do not start.
    """
    options = options or ClusterOptions()
    join(address)
    make = load or partial(load_model, options.model, options.device, options.dtype, options.quantization)
    serve.start(proxy_location="Disabled", logging_config={"enable_access_log": False})
    places = options.max_runs + options.max_waiting
    deployment: Any = serve.deployment(Replica)  # type: ignore[call-overload]
    scaling: dict[str, Any] = {"num_replicas": options.replicas}
    if options.max_replicas is not None:
        scaling = {
            "autoscaling_config": {
                "min_replicas": options.replicas,
                "max_replicas": options.max_replicas,
                "target_ongoing_requests": options.target_runs,
            }
        }
    deployment = deployment.options(
        name="Engine",
        ray_actor_options={
            "num_cpus": options.threads,
            "num_gpus": options.gpus,
            # Before the process starts: OpenMP reads it once, for all threads.
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(options.threads)}},
        },
        max_ongoing_requests=places,
        max_queued_requests=options.max_waiting,
        graceful_shutdown_timeout_s=options.grace_seconds,
        graceful_shutdown_wait_loop_s=min(1.0, options.grace_seconds / 4),
        health_check_period_s=5,
        health_check_timeout_s=60,
        **scaling,
    )
    try:
        # Serve counts places; the engine's own line is as long, so that it never refuses whom Serve has let in.
        application = deployment.bind(make, options.max_runs, places)
        serve.run(application, name=APPLICATION, route_prefix=None)
    except RuntimeError as error:
        raise SDLMError(f"The engines do not start: {error}") from None


def connect(address: str, wait: bool = False) -> RemoteEngine:
    """A client of the engines that run at `address` (see `join`). Raises SDLMError where none do.

    wait: whether `submit` waits for a replica's word, see `RemoteEngine`.
    """
    join(address)
    try:
        handle = serve.get_app_handle(APPLICATION)
    except RayServeException:
        raise SDLMError(
            f"No engines run in the Ray cluster {address!r}. Start them: python -m sdlm_core serve --ray {address}"
        ) from None
    return RemoteEngine(handle, handle.info.remote().result(), wait)


def join(address: str) -> None:
    """Make this process part of a Ray cluster, if it is not yet. SDLMError where there is none.

    address: the head's host:port, where this machine belongs to the cluster (`ray start --address=HOST:PORT`);
    "auto" for the cluster of this machine; "local" for a new one that ends with this process.
    """
    if ray.is_initialized():
        return
    if address.startswith("ray://"):
        raise SDLMError(
            f"{address!r} is an address for Ray Client, which cannot carry runs. Let this machine join the cluster "
            "(ray start --address=HOST:PORT --num-cpus=0), and give HOST:PORT or auto."
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    common: dict[str, Any] = {"logging_level": "WARNING", "log_to_driver": False}
    try:
        if address == LOCAL:
            ray.init(address=LOCAL, include_dashboard=False, object_store_memory=OBJECT_STORE, **common)
        else:
            ray.init(address=address, **common)
    except Exception as error:  # Ray raises a bare Exception where a node does not start in time
        reason = str(error).strip().split("\n")[0]
        raise SDLMError(f"The Ray cluster {address!r} cannot be joined: {reason}") from None


def stop_cluster() -> None:
    """Remove the engines from the cluster that this process has joined."""
    serve.delete(APPLICATION)


def leave() -> None:
    """Let this process leave its cluster; a local one ends."""
    ray.shutdown()
