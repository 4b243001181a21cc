"""The endpoints /v1/chat/completions and /v1/models, as an ASGI app of their own or beside a page.

It is OpenAI's API as far as it goes; what goes beyond is under the one key "sdlm". It knows nothing of how models are
loaded and runs decoded.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Mount

from sdlm_core.errors import SDLMError
from sdlm_core.serve.fairness import client_of_address
from sdlm_core.serve.http.body_limit import BodyLimit
from sdlm_core.serve.http.chat_run import ChatRun, NotLoaded, Served
from sdlm_core.serve.http.errors import ApiError, add_handlers, shown
from sdlm_core.serve.http.limits import Limits
from sdlm_core.serve.http.logs import RequestLog
from sdlm_core.serve.http.metrics import Metrics
from sdlm_core.serve.http.replies import Reply
from sdlm_core.serve.http.schema import ChatRequest, check
from sdlm_core.serve.http.streaming import EventStream, unless_gone

API_KEYS = "SDLM_API_KEYS"  # environment: the keys that are accepted, divided by commas; none is needed if it is empty


class Api:
    """What the endpoints share: the models, the limits, the keys and the metrics."""

    def __init__(
        self,
        models: Sequence[Served],
        limits: Limits | None = None,
        keys: Sequence[str] = (),
        metrics: Metrics | None = None,
    ) -> None:
        self.models, self.limits, self.metrics = models, limits or Limits(), metrics or Metrics()
        self._keys = [sha256(key.encode()).hexdigest() for key in keys]
        self._began = int(time.time())

    def client(self, request: Request) -> str:
        """Who asks: the key, or where none is needed the address. Raises ApiError 401 for a wrong key."""
        if not self._keys:
            return client_of_address(request.client.host if request.client else None)
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        given = sha256(key.strip().encode("utf-8", "replace")).hexdigest()
        known = [hmac.compare_digest(given, own) for own in self._keys]  # all of them: the time tells nothing
        if scheme.lower() != "bearer" or not any(known):
            sentence = 'This server needs an API key. Send it as the header "Authorization: Bearer KEY".'
            raise ApiError(401, sentence, code="invalid_api_key")
        return f"key:{given[:12]}"

    def find(self, name: str) -> Served:
        """The model of this name, which is loaded, or will be for who waits in its line. Raises ApiError otherwise."""
        for served in self.models:
            if served.name == name:
                if served.engine is None and not served.line.paused:
                    loading = f"The model '{shown(name)}' is being loaded. Try again in a minute."
                    raise ApiError(503, served.error or loading)
                return served
        if any(served.name is None and not served.error for served in self.models):
            raise ApiError(503, "A model is being loaded. Try again in a minute.")
        known = ", ".join(str(served.name) for served in self.models if served.name)
        raise ApiError(404, f"There is no model '{shown(name)}' here. Choose: {known}.", "model", "model_not_found")

    def describe(self, served: Served) -> dict[str, Any]:
        """A model in OpenAI's list."""
        return {"id": served.name, "object": "model", "created": self._began, "owned_by": "sdlm"}

    async def answer(self, request: Request, asked: ChatRequest) -> Response:
        """Answer one chat request. The client's leaving ends its run within a pass."""
        facts = request.scope["state"]["facts"]
        run, prompt = self._enter(request, asked, facts)
        stream: EventStream | None = None

        def close() -> None:
            run.close()
            facts.update(
                finish=run.outcome,
                wait_seconds=run.wait_seconds,
                first_token_seconds=run.first_token_seconds,
                prompt_tokens=run.prompt_tokens,
                completion_tokens=run.tokens,
                passes=len(run.passes),
            )

        try:
            await unless_gone(request.receive, run.start(prompt))
            reply = Reply(asked, run, facts["request_id"])
            if asked.stream:
                stream = EventStream(reply.events(), self.limits.send_seconds, close)
                return stream
            return JSONResponse(await unless_gone(request.receive, reply.whole()))
        except NotLoaded as error:
            raise ApiError(503, str(error)) from None
        except SDLMError as error:
            raise ApiError.of(error) from None
        finally:
            if stream is None:
                close()

    def _enter(
        self, request: Request, asked: ChatRequest, facts: dict[str, Any]
    ) -> tuple[ChatRun, list[dict[str, str]]]:
        """Check the request and join the line. Raises ApiError."""
        try:
            facts["client"] = client = self.client(request)
            served = self.find(asked.model)
            prompt, config = check(asked, self.limits)
            return ChatRun(served, config, client, self.metrics, asked.stops), prompt
        except (ApiError, SDLMError) as error:
            self.metrics.count_request("refused")
            raise error if isinstance(error, ApiError) else ApiError.of(error) from None


def create_app(api: Api) -> FastAPI:
    """The endpoints without their prefix /v1, with the log of their requests and their limits of size and time."""

    def refuse(message: str) -> Response:
        return ApiError(413, message).response()

    limits = api.limits
    body_limit = Middleware(BodyLimit, max_bytes=limits.body_bytes, seconds=limits.body_seconds, refuse=refuse)
    app = FastAPI(
        title="SDLM",
        summary="An OpenAI-compatible API over a Sequential Diffusion Language Model",
        docs_url=None,  # it would load scripts from elsewhere
        redoc_url=None,
        middleware=[Middleware(RequestLog), body_limit],
    )
    add_handlers(app)

    @app.post("/chat/completions", summary="Answer a conversation")
    async def chat_completions(request: Request, asked: ChatRequest) -> Response:
        return await api.answer(request, asked)

    @app.get("/models", summary="The models served here")
    async def models(request: Request) -> dict[str, Any]:
        api.client(request)
        return {"object": "list", "data": [api.describe(served) for served in api.models if served.name]}

    @app.get("/models/{name:path}", summary="One of the models served here")
    async def model(request: Request, name: str) -> dict[str, Any]:
        api.client(request)
        for served in api.models:
            if served.name == name:
                return api.describe(served)
        raise ApiError(404, f"There is no model '{shown(name)}' here.", "model", "model_not_found")

    return app


def route(
    models: Sequence[Served],
    limits: Limits | None = None,
    keys: Sequence[str] | None = None,
) -> Mount:
    """The endpoints under /v1, for an app that serves something else too. It comes before a route for any path.

    keys: accepted API keys; None takes those of the environment, and with none nobody needs one.
    """
    api = Api(models, limits, keys_from_environment() if keys is None else keys)
    return Mount("/v1", create_app(api))


def keys_from_environment() -> list[str]:
    """The keys of SDLM_API_KEYS."""
    return [key.strip() for key in os.environ.get(API_KEYS, "").split(",") if key.strip()]
