"""Answers in OpenAI's shapes: one object, or chunks as server-sent events. What they lack is under the key "sdlm"."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import AsyncGenerator
from typing import Any

from sdlm_core.errors import SDLMError
from sdlm_core.serve.http.chat_run import ChatRun
from sdlm_core.serve.http.errors import ApiError
from sdlm_core.serve.http.logs import fault
from sdlm_core.serve.http.schema import ChatRequest

log = logging.getLogger(__name__)

DONE = "data: [DONE]\n\n"


class Reply:
    """The answer to a request whose run has started."""

    def __init__(self, asked: ChatRequest, run: ChatRun, request_id: str) -> None:
        self.asked, self.run, self.request_id = asked, run, request_id
        self.head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": asked.model}

    async def whole(self) -> dict[str, Any]:
        """The answer, once it is complete. Raises ApiError where the engine ended the run, or what went wrong."""
        try:
            text = "".join([step.text async for step in self.run.steps()])
        except SDLMError as error:
            raise ApiError(503, str(error)) from None
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": self.run.finish_reason, "logprobs": None}
        sdlm = self._figures()
        if self.asked.extras.passes:
            sdlm["trace"] = self.run.trace().to_dict()
        body = {**self.head, "object": "chat.completion", "choices": [choice]}
        return {**body, "usage": self._usage(), "sdlm": sdlm}

    async def events(self) -> AsyncGenerator[str, None]:
        """The answer as server-sent events, a chunk a pass. What goes wrong is the last event, without [DONE]."""
        yield self._chunk({"role": "assistant", "content": ""})
        try:
            async for step in self.run.steps():
                delta = {"content": step.text} if step.text else {}
                passes = [p.to_dict() for p in step.passes] if self.asked.extras.passes else []
                if delta or passes:
                    yield self._chunk(delta, sdlm={"passes": passes} if passes else None)
        except SDLMError as error:
            yield _event(ApiError(503, str(error)).to_dict())
            return
        except Exception as error:
            log.exception("A run failed (%s)", self.request_id)
            yield _event(fault(error, self.request_id).to_dict())
            return
        yield self._chunk({}, self.run.finish_reason, sdlm=self._figures())
        if self.asked.stream_options is not None and self.asked.stream_options.include_usage:
            yield _event({**self.head, "object": "chat.completion.chunk", "choices": [], "usage": self._usage()})
        yield DONE

    def _chunk(
        self, delta: dict[str, Any], finish_reason: str | None = None, sdlm: dict[str, Any] | None = None
    ) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        chunk = {**self.head, "object": "chat.completion.chunk", "choices": [choice]}
        return _event(chunk if sdlm is None else {**chunk, "sdlm": sdlm})

    def _usage(self) -> dict[str, int]:
        """Tokens of the prompt and of the answer; these include an end token, and a stop string with its pass."""
        prompt, answer = self.run.prompt_tokens, self.run.tokens
        return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}

    def _figures(self) -> dict[str, Any]:
        """What OpenAI's usage has no name for."""
        passes = len(self.run.passes)
        return {
            "pass_count": passes,
            "tokens_per_pass": self.run.tokens / passes if passes else 0.0,
            "seed": self.run.config.seed,
        }


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"
