"""Errors in the shape of the OpenAI API: one sentence for people, the parameter it is about, a code for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request

from sdlm_core.errors import SDLMError
from sdlm_core.models.chat_template import replace_surrogates
from sdlm_core.serve.engine import EngineFull

MAX_SHOWN = 80  # characters of a name that the client sent, in a sentence
RETRY_SECONDS = 5  # after which a client may try again


class ApiError(Exception):
    """What the client is told. param: the parameter at fault, as a path such as "messages[0].role"."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    @property
    def kind(self) -> str:
        """OpenAI's "type"."""
        kinds = {401: "authentication_error", 429: "rate_limit_error"}
        return "server_error" if self.status >= 500 else kinds.get(self.status, "invalid_request_error")

    def to_dict(self) -> dict[str, Any]:
        """The body of the answer."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        headers = {"Retry-After": str(RETRY_SECONDS)} if self.status in (429, 503) else None
        return JSONResponse(self.to_dict(), self.status, headers)

    @classmethod
    def of(cls, error: SDLMError) -> ApiError:
        """A mistake of the client, or an engine with no room."""
        if isinstance(error, EngineFull):
            return cls(429, str(error), code="rate_limit_exceeded")
        return cls(400, str(error))


def add_handlers(app: FastAPI) -> None:
    """Answer every error of `app` in this shape."""

    @app.exception_handler(ApiError)
    async def own(_: Request, error: ApiError) -> JSONResponse:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return from_validation(error.errors()).response()

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404:
            return ApiError(404, f"Unknown address: {request.method} {shown(request.url.path)}.").response()
        response = ApiError(error.status_code, f"{error.detail}.".replace("..", ".")).response()
        response.headers.update(error.headers or {})
        return response


def from_validation(errors: Sequence[Any]) -> ApiError:
    """The first thing that pydantic found wrong, as a sentence."""
    first = errors[0]
    param = path(first["loc"])
    name, kind = shown(param or "the body"), first["type"]
    if kind == "json_invalid":
        return ApiError(400, "The body is not valid JSON.")
    if kind == "extra_forbidden":
        message = f"Unknown parameter: '{name}'. It is not supported here. Leave it out."
        return ApiError(400, message, shown(param), "unknown_parameter")
    if not param:
        remedy = 'Send it with the header "Content-Type: application/json".'
        return ApiError(400, f"The body must be a JSON object. {remedy}")
    if kind == "missing":
        return ApiError(400, f"The parameter '{name}' is missing.", shown(param), "missing_required_parameter")
    reason = str(first["msg"]).removeprefix("Value error, ")
    return ApiError(400, f"The parameter '{name}' is wrong. {shown(reason, 300)}.".replace("..", "."), shown(param))


def path(location: Sequence[str | int]) -> str:
    """A place in the body as people write it: messages[0].role."""
    text = ""
    for part in location[1:]:  # the first is "body"
        if isinstance(part, int):
            text += f"[{part}]"
        elif part not in UNION_TAGS:
            text += f".{part}" if text else part
    return text


# Names by which pydantic tells the members of a union apart; nobody sent them.
UNION_TAGS = frozenset({"str", "int", "list[TextPart]", "list[str]", "literal['auto']"})


def shown(text: str, most: int = MAX_SHOWN) -> str:
    """Text of a client, short and without halves of characters, which cannot be encoded."""
    return replace_surrogates(text if len(text) <= most else f"{text[: most - 1]}…")
