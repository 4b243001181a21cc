"""Apps for tests: each is forked from one process that has imported what they need, since the imports take longest."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from typing import Any

from tools.page import ROOT, SERVED_SECONDS

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.browser.preload"])


def in_fork(function: Callable[..., Any], *args: Any, **named: Any) -> None:
    """Call a function in a process of its own, which need not import what it uses."""
    process = FORKS.Process(target=function, args=args, kwargs=named)
    process.start()
    process.join()
    assert process.exitcode == 0


@contextlib.contextmanager
def forked_app(model: str | Sequence[str], program: str = "app.py", **environment: str) -> Iterator[str]:
    """As `tools.page.running_app`, in less time."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    models = [f"--model={name}" for name in ([model] if isinstance(model, str) else model)]
    argv = [program, *models, "--port", str(port), "--host", "127.0.0.1"]
    process = FORKS.Process(target=_run, args=(argv, environment))
    process.start()
    address = f"http://127.0.0.1:{port}/"
    try:
        _wait_until_served(address, process)
        yield address
    finally:
        process.terminate()
        process.join(15)
        process.kill()


def _run(argv: list[str], environment: dict[str, str]) -> None:
    """What the forked process does: the program, as from a command line."""
    os.chdir(ROOT)
    os.environ.update(environment)
    sys.argv = argv
    runpy.run_path(argv[0], run_name="__main__")


def _wait_until_served(address: str, process: BaseProcess) -> None:
    end = time.monotonic() + SERVED_SECONDS
    while time.monotonic() < end:
        assert process.exitcode is None, f"the app ended with status {process.exitcode} before it served a page"
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            process.join(0.05)
    raise AssertionError(f"the app served no page within {SERVED_SECONDS:.0f} seconds")
