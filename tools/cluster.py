"""What engines of a cluster are worth, on a Ray cluster of this machine that ends with the command.

    python -m tools.cluster scaling     1, 2 and 4 replicas whose model sleeps instead of computing
    python -m tools.cluster overhead    what the way to a replica adds to a pass
    python -m tools.cluster builtin     the built-in model: two replicas of one thread against one engine of two

Each measures in turns, as often as --repeat says, and prints one JSON object. On a machine with other work, look at the
ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import psutil  # type: ignore[import-untyped]
import ray
import torch

from sdlm_core import DecodeConfig, LanguageModel
from sdlm_core.models.loading import load_model
from sdlm_core.serve import Engine
from sdlm_core.serve.cluster import connect, leave, start_cluster
from sdlm_core.serve.cluster_options import ClusterOptions
from sdlm_core.serve.remote import RemoteEngine
from tools.slowed import load_sleeping, make_tiny

ROOT = Path(__file__).parents[1]
PLACES = 4  # runs in a pass of a replica that sleeps
START_ATTEMPTS = 3
ONE_A_PASS = DecodeConfig(threshold=1.0, max_new_tokens=100)
PROMPTS = (
    "Why is the sky blue?",
    "Give me three names for a grey cat.",
    "Write a short story about a lighthouse keeper and the sea.",
    "How do I make a cup of tea?",
    "What is a prime number?",
    "Describe a walk through a forest in autumn.",
    "Why do we sleep?",
    "How does a bicycle stay upright?",
)


class TooBusy(Exception):
    """This machine has so much other work that Ray gives up."""


@contextmanager
def local_cluster(cpus: int) -> Iterator[None]:
    """A Ray cluster of this machine, whose replicas import what is here. cpus: what it may give away, there or not."""
    # By default Ray's processes have a low priority: on a busy machine, replicas would starve.
    with mock.patch.dict(os.environ, {"PYTHONPATH": str(ROOT), "RAY_worker_niceness": "0"}):
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                ray.init(address="local", num_cpus=cpus, include_dashboard=False, object_store_memory=100_000_000,
                         log_to_driver=False, logging_level="WARNING")  # fmt: skip
                break
            except Exception as error:  # a bare one, where a node does not start within Ray's fifteen seconds
                leave()
                if attempt == START_ATTEMPTS:
                    raise TooBusy("Ray's processes did not start in time") from error
        try:
            yield
        finally:
            leave()


def replica_processes() -> list[psutil.Process]:
    """The replicas of this process's own cluster."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "ServeReplica:sdlm:Engine" in " ".join(process.cmdline()):
                found.append(process)
    return found


@contextmanager
def engines(options: ClusterOptions, load: Callable[[], LanguageModel] | None = None) -> Iterator[RemoteEngine]:
    """The engines of the local cluster, once all of them answer."""
    start_cluster("local", options, load)
    with connect("local") as engine:
        while len(engine.cluster_load()) < options.replicas:
            time.sleep(0.2)
        yield engine


def tokens_per_second(engine: Engine | RemoteEngine, clients: int, seconds: float, jobs: Sequence[Any]) -> float:
    """Tokens that so many clients get a second, each asking again at once; after two seconds of warming up."""
    counts, stop = [0] * clients, threading.Event()

    def client(i: int) -> None:
        asked = i
        while not stop.is_set():
            prompt, config = jobs[asked % len(jobs)]
            asked += clients
            for p in engine.stream(prompt, config):
                counts[i] += p.accepted
                if stop.is_set():
                    break

    threads = [threading.Thread(target=client, args=(i,)) for i in range(clients)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    before, began = sum(counts), time.monotonic()
    time.sleep(seconds)
    found = (sum(counts) - before) / (time.monotonic() - began)
    stop.set()
    for thread in threads:
        thread.join()
    return found


def scaling(args: argparse.Namespace, folder: str) -> dict[str, Any]:
    """Tokens a second of 1, 2 and 4 replicas, each with twice the clients that it has places for."""
    load = partial(load_sleeping, folder, args.sleep)
    jobs = [([5, 6, 7], ONE_A_PASS)]
    rates: dict[int, list[float]] = {1: [], 2: [], 4: []}
    for _ in range(args.repeat):
        for n, found in rates.items():
            with engines(ClusterOptions(replicas=n, max_runs=PLACES, grace_seconds=0.5), load) as engine:
                found.append(tokens_per_second(engine, 2 * PLACES * n, args.seconds, jobs))
    ideal = PLACES / args.sleep
    shares = {n: [rate / n / rates[1][i] for i, rate in enumerate(found)] for n, found in rates.items()}
    return {
        "tokens_per_second": rates,
        "of_linear": shares,
        "of_what_sleeping_allows": {n: [rate / n / ideal for rate in found] for n, found in rates.items()},
    }


def overhead(args: argparse.Namespace, folder: str) -> dict[str, Any]:
    """Milliseconds a pass, remote and in an engine of this process, alone and with 15 others in the pass."""
    torch.set_num_threads(1)  # as a replica
    load = partial(load_sleeping, folder, args.sleep)
    found: dict[str, list[float]] = {}
    with Engine(load(), max_runs=16) as here, engines(ClusterOptions(max_runs=16), load) as there:
        for _ in range(args.repeat):
            for runs in (1, 16):
                for name, engine in (("here", here), ("there", there)):
                    found.setdefault(f"{name}, {runs} runs", []).append(_milliseconds_a_pass(engine, runs))
    added = {
        n: [t - h for h, t in zip(found[f"here, {n} runs"], found[f"there, {n} runs"], strict=True)] for n in (1, 16)
    }
    return {
        "milliseconds_a_pass": found,
        "added_milliseconds_a_pass": added,
        "median_added": {n: statistics.median(values) for n, values in added.items()},
    }


def _milliseconds_a_pass(engine: Engine | RemoteEngine, runs: int) -> float:
    """From the request to the end, the way there included, over the passes of a run."""
    began = time.perf_counter()
    tickets = [engine.submit([5, 6, 7 + i], ONE_A_PASS) for i in range(runs)]
    passes = [len(list(ticket)) for ticket in tickets]
    return (time.perf_counter() - began) / max(passes) * 1000


def builtin(args: argparse.Namespace, folder: str) -> dict[str, Any]:
    """Tokens a second of eight clients. One engine of two threads is a replica too, so that only the split differs."""
    config = DecodeConfig("self_speculative", max_new_tokens=64)
    jobs = [(prompt, config) for prompt in PROMPTS]
    load = partial(load_model, "builtin")
    split: dict[str, ClusterOptions] = {
        "one of two threads": ClusterOptions(replicas=1, threads=2, max_runs=8, grace_seconds=0.5),
        "two of one thread": ClusterOptions(replicas=2, threads=1, max_runs=8, grace_seconds=0.5),
    }
    rates: dict[str, list[float]] = {name: [] for name in split}
    for _ in range(args.repeat):
        for label, options in split.items():
            with engines(options, load) as engine:
                rates[label].append(tokens_per_second(engine, 8, args.seconds, jobs))
    one, two = rates.values()
    return {"tokens_per_second": rates, "two_over_one": [b / a for a, b in zip(one, two, strict=True)]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = {"scaling": scaling, "overhead": overhead, "builtin": builtin}
    parser.add_argument("what", choices=what)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement (default: %(default)g)")
    parser.add_argument(
        "--sleep", type=float, default=0.05, help="seconds of a pass that sleeps (default: %(default)g)"
    )
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, local_cluster(cpus=8):
        result = what[args.what](args, make_tiny(Path(folder)))
    busy = [load / (os.cpu_count() or 1) for load in os.getloadavg()]
    print(json.dumps({"what": args.what, "sleep": args.sleep, **result, "load_per_core": busy}, indent=1))


if __name__ == "__main__":
    main()
