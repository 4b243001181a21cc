"""What a chat request may hold, and what it asks of the decoder. Shapes are checked by pydantic, numbers by Limits."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sdlm_core.config import DecodeConfig
from sdlm_core.errors import SDLMError
from sdlm_core.models.chat_template import replace_surrogates
from sdlm_core.serve.http.errors import ApiError
from sdlm_core.serve.http.limits import MAX_STOPS, SEED_RANGE, Limits


class _Strict(BaseModel):
    """Types as they are sent ("0.5" is no number), no NaN, and no parameter that we do not know."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class TextPart(_Strict):
    """A part of a message's content."""

    type: Literal["text"]
    text: str


class Message(_Strict):
    """A chat message. The role "developer" is another name for "system"."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[TextPart], Field(min_length=1)]

    def to_dict(self) -> dict[str, str]:
        """The message as the model's chat template takes it."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": replace_surrogates(text)}


class StreamOptions(_Strict):
    """include_usage: send one more chunk, with the usage and no choice, before the stream's end."""

    include_usage: bool = False


class Extras(_Strict):
    """What OpenAI's API has no name for. The first five are settings of DecodeConfig.

    passes: send each forward pass with its chunk, or the whole trace with the answer.
    """

    algorithm: str | None = None
    threshold: float | None = None
    block_size: int | Literal["auto"] | None = None
    top_k: int | None = None
    guesses: str | None = None
    passes: bool = False


class ChatRequest(_Strict):
    """The body of POST /v1/chat/completions. A parameter that is null counts as not given."""

    model: str
    messages: Annotated[list[Message], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    n: int | None = None
    sdlm: Extras | None = None

    @property
    def stops(self) -> list[str]:
        """The stop strings."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def extras(self) -> Extras:
        """Our own parameters, or their defaults."""
        return self.sdlm or Extras()


def check(request: ChatRequest, limits: Limits) -> tuple[list[dict[str, str]], DecodeConfig]:
    """The prompt and the settings of a run. Raises ApiError with the parameter that is at fault."""
    _check_shape(request, limits)
    return [message.to_dict() for message in request.messages], _config(request, limits)


def _check_shape(request: ChatRequest, limits: Limits) -> None:
    """What is about the request itself, not about decoding."""
    if request.n not in (None, 1):
        raise ApiError(400, "n must be 1: one answer is made for a request. Send the request again for another.", "n")
    if request.stream_options is not None and not request.stream:
        raise ApiError(400, "stream_options needs stream: true.", "stream_options")
    count = len(request.messages)
    if count > limits.messages:
        raise ApiError(400, f"There are {count:,} messages, but at most {limits.messages:,} are read.", "messages")
    characters = sum(len(message.to_dict()["content"]) for message in request.messages)
    if characters > limits.characters:
        sentence = f"The messages have {characters:,} characters, but at most {limits.characters:,} are read."
        raise ApiError(400, f"{sentence} Shorten them.", "messages", "context_length_exceeded")
    if request.messages[-1].role == "assistant":
        raise ApiError(400, "The last message is an answer. End with a message of the role user.", "messages")
    if len(request.stops) > MAX_STOPS:
        raise ApiError(400, f"There are {len(request.stops)} stop strings, but at most {MAX_STOPS} are taken.", "stop")
    if any(not 1 <= len(stop) <= limits.stop_characters for stop in request.stops):
        raise ApiError(400, f"A stop string must have 1 to {limits.stop_characters} characters.", "stop")


def _config(request: ChatRequest, limits: Limits) -> DecodeConfig:
    """The settings of the run; what is not given keeps DecodeConfig's default, except the seed."""
    extras = request.extras.model_dump(exclude={"passes"}, exclude_none=True)
    settings: dict[str, Any] = {**extras}
    for name, value in (("temperature", request.temperature), ("top_p", request.top_p)):
        if value is not None:
            settings[name] = float(value)
    # Without a seed, each answer is another one, as with OpenAI.
    settings["seed"] = secrets.randbelow(2**31) if request.seed is None else request.seed
    name, length = _length(request)
    if length is not None:
        settings["max_new_tokens"] = length
    try:
        config = DecodeConfig.from_dict(settings)
    except SDLMError as error:
        raise ApiError(400, str(error).replace("max_new_tokens", name), _blamed(str(error), name)) from None
    if length is not None and length > limits.new_tokens:
        sentence = f"An answer may have at most {limits.new_tokens:,} tokens here, but {name} is {length:,}."
        raise ApiError(400, sentence, name)
    if isinstance(config.block_size, int) and config.block_size > limits.block_size:
        sentence = f"block_size (D) may be at most {limits.block_size} here, but is {config.block_size}."
        raise ApiError(400, sentence, "sdlm.block_size")
    if config.temperature > limits.temperature:
        sentence = f"temperature may be at most {limits.temperature:g} here, but is {config.temperature:g}."
        raise ApiError(400, sentence, "temperature")
    if not -SEED_RANGE <= config.seed < SEED_RANGE:
        raise ApiError(400, "seed must be an integer of 64 bits.", "seed")
    return config


def _length(request: ChatRequest) -> tuple[str, int | None]:
    """The answer's length limit, and by which of its two names it was given."""
    old, new = request.max_tokens, request.max_completion_tokens
    if old is not None and new is not None and old != new:
        sentence = "max_tokens and max_completion_tokens mean the same, but differ. Send one of them."
        raise ApiError(400, sentence, "max_tokens")
    return ("max_tokens", old) if old is not None else ("max_completion_tokens", new)


def _blamed(sentence: str, length: str) -> str | None:
    """The parameter that a sentence of DecodeConfig names."""
    names = {"max_new_tokens": length, **{name: name for name in ("temperature", "top_p", "seed")}}
    names |= {name: f"sdlm.{name}" for name in Extras.model_fields}
    return next((param for name, param in names.items() if name in sentence), None)
