"""Requests that are too large, or come too slowly, are refused before they are read into memory. It knows ASGI only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def too_large(max_bytes: int) -> str:
    """The sentence that a refused client reads."""
    return f"This request is too large: at most {max_bytes // 1024**2} MB are read here."


def _refuse(message: str) -> Response:
    return JSONResponse({"detail": message}, 413)


class BodyLimit:
    """Middleware that answers 413 to a body of more than max_bytes, whether its length was announced or not.

    seconds: a body that is not complete after so long is answered 408; None waits for ever.
    refuse:  makes the answer of status 413 from the sentence.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        seconds: float | None = None,
        refuse: Callable[[str], Response] = _refuse,
    ) -> None:
        self.app, self.max_bytes, self.seconds, self.refuse = app, max_bytes, seconds, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        read, complete = 0, False
        deadline = None if self.seconds is None else asyncio.get_running_loop().time() + self.seconds

        async def counted() -> Message:
            nonlocal read, complete
            try:
                async with asyncio.timeout_at(None if complete else deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "The request was not complete in time.") from None
            read += len(message.get("body", b""))
            complete = complete or not message.get("more_body", False)
            if read > self.max_bytes:
                raise HTTPException(413, too_large(self.max_bytes))
            return message

        async def unless_refused(message: Message) -> None:
            if read <= self.max_bytes:  # else the app says that it could not read what it was not given
                await send(message)

        length = Headers(scope=scope).get("content-length", "0")
        announced = int(length) if length.isdecimal() else 0
        if announced <= self.max_bytes:
            await self.app(scope, counted, unless_refused)
        if max(announced, read) > self.max_bytes:
            await self.refuse(too_large(self.max_bytes))(scope, receive, send)
