"""Who asks: the client behind a request, for limits that hold for a client whatever number of sessions it opens.

A client is an address, as `sdlm_core.serve.fairness` has it; the address is what uvicorn says, which believes
X-Forwarded-For from trusted proxies only. MCP requests reach the page's endpoints by way of this server itself, so
their client travels in a header that this process has signed.
"""

from __future__ import annotations

import hmac
import os
import secrets

from starlette.types import ASGIApp, Receive, Scope, Send

from app.quick_gradio import gr
from sdlm_core.serve.fairness import client_of_address

MCP_PATH = "/gradio_api/mcp"
HEADER = "x-sdlm-client"
TRUSTED_PROXIES = "SDLM_TRUSTED_PROXIES"  # environment: whose X-Forwarded-For is believed, divided by commas
SPACE_PROXIES = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"  # a Space can be reached by way of its host's proxy only
_SECRET = secrets.token_bytes(32)


def trust_proxies() -> None:
    """Believe X-Forwarded-For from the configured proxies only. Call it before the page is launched: Gradio leaves the
    decision to uvicorn, which reads it from the environment and by itself believes whoever is on the same machine."""
    default = SPACE_PROXIES if os.environ.get("SPACE_ID") else ""
    os.environ["FORWARDED_ALLOW_IPS"] = os.environ.get(TRUSTED_PROXIES, default)


def client_of(request: gr.Request) -> str:
    """The client of a request that Gradio hands to a function."""
    client, _, signature = str(request.headers.get(HEADER, "")).rpartition(" ")
    if client and hmac.compare_digest(signature.encode("utf-8"), _sign(client).encode("utf-8")):
        return client
    return client_of_address(request.client.host if request.client else None)


class SignMcpClient:
    """Middleware that writes the signed client into the headers of MCP requests."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and MCP_PATH in scope["path"]:
            address = scope.get("client")
            client = client_of_address(address[0] if address else None)
            name = HEADER.encode("ascii")
            others = [(key, value) for key, value in scope["headers"] if key.lower() != name]
            scope = {**scope, "headers": [*others, (name, f"{client} {_sign(client)}".encode())]}
        await self._app(scope, receive, send)


def _sign(client: str) -> str:
    return hmac.new(_SECRET, client.encode("utf-8"), "sha256").hexdigest()
