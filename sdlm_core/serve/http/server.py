"""The API by itself: /v1, /health, /ready and /metrics on one port, until the process is told to end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount

from sdlm_core.serve.http.api import Api, create_app
from sdlm_core.serve.http.errors import add_handlers

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def create_server(api: Api) -> FastAPI:
    """The API with the endpoints by which a host watches it. /health and /ready need no key."""
    app = FastAPI(title="SDLM server", docs_url=None, redoc_url=None, openapi_url=None)
    add_handlers(app)
    watch(api)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/ready")
    async def ready() -> Response:
        """The model is loaded; of several, which are loaded when asked for, one at least could be. 503 otherwise."""
        states = {str(model.name): model.state for model in api.models}
        several = len(states) > 1
        done = any(s != "failed" for s in states.values()) if several else set(states.values()) == {"ready"}
        return JSONResponse({"ready": done, "models": states}, 200 if done else 503)

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        """For Prometheus."""
        api.client(request)
        return Response(api.metrics.render(), media_type=METRICS_TYPE)

    app.router.routes.append(Mount("/v1", create_app(api)))
    return app


def watch(api: Api) -> None:
    """Gauges of what is going on now, over all models."""

    def engines(of: Callable[[Any], float]) -> float:
        return float(sum(of(engine) for model in api.models if (engine := model.engine) is not None))

    gauges: tuple[tuple[str, str, Callable[[], float]], ...] = (
        ("sdlm_queue_length", "Requests waiting for their turn", lambda: sum(m.line.load[1] for m in api.models)),
        ("sdlm_requests_running", "Requests whose turn has come", lambda: sum(m.line.load[0] for m in api.models)),
        ("sdlm_runs_decoding", "Runs in the next forward pass", lambda: engines(lambda e: e.load[0])),
        ("sdlm_runs_queued", "Runs that wait within an engine", lambda: engines(lambda e: e.load[1])),
        ("sdlm_cache_bytes", "Memory of the KV caches", lambda: engines(lambda e: getattr(e, "cache_memory", 0))),
    )
    for name, text, value in gauges:
        api.metrics.watch(name, text, value)


def make_server(
    app: FastAPI, host: str, port: int, trusted_proxies: Sequence[str] = (), connections: int = 1000
) -> uvicorn.Server:
    """A uvicorn server. trusted_proxies: addresses or networks whose X-Forwarded-For header is believed.

    connections: more at once are answered 503 at once.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,  # RequestLog's is the one
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        limit_concurrency=connections,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=64 * 1024,
        ws="none",
        lifespan="off",
    )
    return uvicorn.Server(config)
