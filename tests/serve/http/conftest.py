"""The headless server over a tiny model, on a port of its own, in a thread of the test process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import openai
import pytest
import torch

import sdlm_core
from sdlm_core.serve import Engine
from sdlm_core.serve import engine as engine_module
from sdlm_core.serve.fairness import LineLimits
from sdlm_core.serve.http.api import Api
from sdlm_core.serve.http.limits import Limits
from sdlm_core.serve.http.server import create_server, make_server
from sdlm_core.serve.models import LoadedModel


@pytest.fixture(autouse=True)
def whole_floats() -> None:
    """Training turns the smallest floats to 0 in its process; hypothesis refuses to make up requests then."""
    torch.set_flush_denormal(False)


MODEL = "tiny"


@dataclass
class Site:
    """A running server. passes: of the engine so far; with `hold` cleared, the next one waits until it is set."""

    url: str
    api: Api
    engine: Engine
    hold: threading.Event
    entered: threading.Event
    passes: int = 0
    hold_after: int | None = None  # clears `hold` by itself once so many passes were made

    def client(self, **options: Any) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", **{"api_key": "none", "max_retries": 0, **options})

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Give up after ten seconds, which no condition here should need."""
        waiter = threading.Event()
        for _ in range(2000):
            if condition():
                return
            waiter.wait(0.005)
        raise AssertionError("waited in vain")


class Serve:
    """Starts servers, and stops them all in the end."""

    def __init__(self, load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
        self._load = load
        self._stop: list[Callable[[], None]] = []
        self._sites: dict[threading.Thread, Site] = {}  # by the thread of their engine
        monkeypatch.setattr(engine_module, "advance", self._advance)

    def _advance(self, batch: Sequence[sdlm_core.Run], prefill_rows: int, meanwhile: Callable[[], object]) -> Any:
        meanwhile()  # who is held sees the pass before
        site = self._sites[threading.current_thread()]
        if site.passes == site.hold_after:
            site.hold.clear()
        site.entered.set()
        assert site.hold.wait(20)
        if any("break" in run.recorder.prompt_text for run in batch):
            raise ZeroDivisionError("a secret of the server")
        site.passes += 1
        return sdlm_core.advance(batch, prefill_rows, meanwhile)

    def __call__(
        self,
        limits: Limits | None = None,
        line: LineLimits | None = None,
        keys: Sequence[str] = (),
        trusted_proxies: Sequence[str] = (),
        **settings: Any,
    ) -> Site:
        lm = self._load(**{"kind": "qwen2", "tied": False, "causal_attn": True, **settings})
        served = LoadedModel(MODEL, lambda: lm, lambda model: Engine(model, max_runs=16), line)
        served.load()
        assert served.engine is not None
        api = Api([served], limits, keys)
        hold, entered = threading.Event(), threading.Event()
        hold.set()
        site = Site("", api, served.engine, hold, entered)

        self._sites[served.engine.call(lambda _: threading.current_thread()).result()] = site
        server = make_server(create_server(api), "127.0.0.1", 0, trusted_proxies)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        site.wait_until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        site.url = f"http://127.0.0.1:{port}"

        def stop() -> None:
            hold.set()
            server.should_exit = True
            thread.join(20)
            served.close()

        self._stop.append(stop)
        return site

    def close(self) -> None:
        for stop in self._stop:
            stop()


@pytest.fixture(scope="module")
def serve(load: Callable[..., Any]) -> Iterator[Serve]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = Serve(load, monkeypatch)
        yield made
        made.close()


@pytest.fixture(scope="module")
def site(serve: Serve) -> Site:
    return serve()
