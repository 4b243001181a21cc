"""Logs for machines: one JSON object a line, a line a request, with the request's id and none of its text."""

from __future__ import annotations

import json
import logging
import secrets
import time
import traceback
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sdlm_core.serve.http.errors import ApiError, shown

log = logging.getLogger("sdlm.requests")

CLIENT_LEFT = 499  # as nginx logs it: there is nobody to answer
_FACTS = "sdlm_facts"  # attribute of a log record


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON. Of an exception its class and where it was raised; its message may quote input."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, _FACTS, {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            line["traceback"] = "".join(traceback.format_tb(record.exc_info[2]))
        return json.dumps(line, ensure_ascii=False, default=str)


class RequestLog:
    """Middleware: gives each request an id, logs it, and answers 500 for what nobody caught.

    Endpoints add facts to the dictionary scope["state"]["facts"]. The id is also in the header X-Request-Id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        request_id = f"req_{secrets.token_hex(12)}"
        facts: dict[str, Any] = {"request_id": request_id, "method": scope["method"], "path": shown(scope["path"])}
        scope["state"] = {**scope.get("state", {}), "facts": facts}

        async def with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        failure: Exception | None = None
        try:
            await self.app(scope, receive, with_id)
        except ClientDisconnect:
            status = CLIENT_LEFT
        except Exception as error:
            failure = error
            if not status:
                await fault(error, request_id).response()(scope, receive, with_id)
        facts |= {"status": status, "seconds": round(time.perf_counter() - began, 4)}
        log.log(logging.ERROR if failure else logging.INFO, "request", exc_info=failure, extra={_FACTS: facts})


def fault(error: Exception, request_id: str) -> ApiError:
    """What a client is told of a mistake of ours."""
    name = type(error).__name__
    return ApiError(500, f"The server failed on this request ({name}). Its log says more under the id {request_id}.")


def log_as_json(level: int = logging.INFO) -> None:
    """Write every log of this process as JSON lines to the standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
