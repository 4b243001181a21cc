"""Requests that are too large are refused before anybody reads them into memory.

Gradio limits uploads only; whatever else is posted it would read whole, and parse where all visitors wait for it. It
knows ASGI and nothing of Gradio.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 20 * 1024 * 1024  # bytes
TOO_LARGE = f"This request is too large: at most {MAX_BODY // 1024**2} MB are read here."


class BodyLimit:
    """Middleware that answers 413 to a body of more than MAX_BODY, whether its length was announced or not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY:
                raise HTTPException(413, TOO_LARGE)
            return message

        async def unless_refused(message: Message) -> None:
            if read <= MAX_BODY:  # else Gradio says that it could not read what it was not given
                await send(message)

        announced = int(Headers(scope=scope).get("content-length", 0))
        if announced <= MAX_BODY:
            await self.app(scope, counted, unless_refused)
        if max(announced, read) > MAX_BODY:
            await JSONResponse({"detail": TOO_LARGE}, 413)(scope, receive, send)
