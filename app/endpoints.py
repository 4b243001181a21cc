"""The page's public endpoints, for `gradio_client`, plain HTTP and MCP: decode, compare and models.

They go the way of a visitor's question: the same checks and limits, the same line, the same engine. Their docstrings
are what the API page and MCP clients show. Annotations are real types here, not texts, since Gradio reads them.
"""

import contextlib
import json
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Literal, TypedDict

from app import limits
from app.events import End, Event, Failed, Passes, Start
from app.model import ServedModel
from app.quick_gradio import gr
from app.request import Request, parse_messages, parse_model, parse_settings
from app.sessions import Sessions
from app.visitors import client_of
from sdlm_core import ALGORITHMS, DecodeConfig, SDLMError, Trace

log = logging.getLogger(__name__)

Algorithm = Literal["prob_conf", "entropy_conf", "self_speculative", "autoregressive"]
BlockSize = int | Literal["auto"] | None
Guesses = Literal["coherent", "independent"] | None
History = list[dict[str, str]] | None


class Update(TypedDict):
    """What `decode` sends: the text so far, the passes since the last update, and in the last the whole record."""

    text: str
    passes: list[dict[str, Any]]
    trace: dict[str, Any] | None


class Answer(TypedDict):
    """What one setting of a comparison comes to. seconds: None where others shared its passes. trace: if asked for."""

    settings: dict[str, Any]
    text: str
    tokens: int
    passes: int
    tokens_per_pass: float
    seconds: float | None
    finish_reason: str
    trace: dict[str, Any] | None


def connect(sessions: Sessions) -> None:
    """Add the endpoints to the page that is being built."""

    async def models() -> list[dict[str, Any]]:
        """List the models that decode and compare can use, with their state and the limits of a request.

        Returns:
            a list with, for each model: name, state (unloaded, loading, ready or failed; an unloaded one is loaded
            when it is asked), block_size, device, algorithms, limits
        """
        return [_model(model) for model in sessions.models]

    gr.api(_decode(sessions), api_name="decode", concurrency_limit=None)
    gr.api(_compare(sessions), api_name="compare", concurrency_limit=None)
    gr.api(models, api_name="models", queue=False)


def _decode(sessions: Sessions) -> Callable[..., Any]:
    """The endpoint `decode`."""

    async def decode(
        prompt: str,
        request: gr.Request,
        algorithm: Algorithm = "prob_conf",
        block_size: BlockSize = None,
        threshold: float = 0.9,
        temperature: float = 0.0,
        max_new_tokens: int = limits.DEFAULT_NEW_TOKENS,
        seed: int = 0,
        guesses: Guesses = None,
        history: History = None,
        with_trace: bool = True,
        model: str | None = None,
    ) -> AsyncGenerator[Update]:
        """Answer a prompt with a sequential diffusion language model, which guesses several tokens in each forward pass
        and keeps those it is sure of.

        Args:
            prompt: the question or instruction, at most 4,000 characters.
            algorithm: how many guesses of a pass are kept; the first two by the threshold, autoregressive always one.
            block_size: D, tokens guessed in a pass, 1 to 16; "auto" chooses before each pass; null is the model's own.
            threshold: τ, 0 to 1. Higher keeps fewer guesses: 1 keeps one token per pass.
            temperature: 0 takes the likeliest token, above it samples; at most 2.
            max_new_tokens: the longest answer, at most 1,024 tokens.
            seed: fixes what is sampled.
            guesses: whether the guesses of a pass know each other; null is the model's own way.
            history: earlier turns as {"role": "user" or "assistant", "content": text}, by turns, the user's first.
            with_trace: false leaves out the passes and gives a record without them, which is short.
            model: its name, as `models` lists it; null is the first.

        Returns:
            text: the answer so far; passes: the forward passes since the last update; trace: null until the last
            update, then the run's whole record, which the page can open
        """
        config: dict[str, Any] = {"algorithm": algorithm, "block_size": block_size, "threshold": threshold}
        config |= {"temperature": temperature, "max_new_tokens": max_new_tokens, "seed": seed, "guesses": guesses}
        with sentences():
            asked = _request(prompt, history, [_settings(config)], model)
            served = sessions.find(model)
            text = ""
            async for events in _events(sessions, asked, request):
                passes = [p for e in events if isinstance(e, Passes) for p in e.passes]
                kept = [c for p in passes for c in p.candidates[: p.accepted]]
                text += "".join(c.text for c in kept if c.token_id not in served.end_token_ids)
                shown = [p.to_dict() for p in passes] if with_trace else []
                end = next((e.trace for e in events if isinstance(e, End)), None)
                if end is not None:
                    yield Update(text=end.text, passes=shown, trace=_record(end, with_trace))
                elif passes:
                    yield Update(text=text, passes=shown, trace=None)

    decode.__annotations__["return"] = Update  # Gradio reads types of what is returned, not of what is yielded
    return decode


def _compare(sessions: Sessions) -> Callable[..., Any]:
    """The endpoint `compare`."""

    async def compare(
        prompt: str,
        settings: list[dict[str, Any]],
        request: gr.Request,
        with_trace: bool = False,
        model: str | None = None,
    ) -> AsyncGenerator[list[Answer]]:
        """Decode one prompt with several settings, one after the other, and compare speed and text.

        Args:
            prompt: the question or instruction, at most 4,000 characters.
            settings: 1 to 8 objects, each with some of the settings that `decode` has, by the same names.
            with_trace: whether each answer comes with the record of its forward passes.
            model: its name, as `models` lists it; null is the first.

        Returns:
            a list with, for each setting: its settings, text, tokens, passes, tokens_per_pass, seconds (null where
            others shared its passes), finish_reason and, if asked for, trace. It grows while they are decoded.
        """
        with sentences():
            if not isinstance(settings, list) or not 1 <= len(settings) <= limits.MAX_COMPARED:
                raise SDLMError(f"settings must be a list of 1 to {limits.MAX_COMPARED} settings.")
            asked = _request(prompt, None, [_settings(one) for one in settings], model)
            answers: list[Answer] = []
            async for events in _events(sessions, asked, request):
                ends = [e for e in events if isinstance(e, End)]
                answers += [_answer(e, with_trace) for e in ends]
                if ends or any(isinstance(e, Start) for e in events):
                    yield answers

    compare.__annotations__["return"] = list[Answer]
    return compare


def write_json(blocks: gr.Blocks) -> None:
    """MCP clients get what is not text as JSON; Gradio would write it as Python does."""
    server = blocks.mcp_server_obj
    if server is not None:
        write = server.postprocess_output_data
        server.postprocess_output_data = lambda data, root: write([_as_text(value) for value in data], root)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@contextlib.contextmanager
def sentences() -> Any:
    """Whatever goes wrong reaches the caller as a sentence."""
    try:
        yield
    except SDLMError as error:
        raise gr.Error(str(error), print_exception=False) from None
    except Exception as error:
        log.exception("A request failed")
        sentence = f"This could not be decoded ({type(error).__name__}). The server's log says more."
        raise gr.Error(sentence, print_exception=False) from None


async def _events(sessions: Sessions, asked: Request, request: gr.Request) -> AsyncIterator[list[Event]]:
    """The events of a run as they come; leaving ends the run. Raises SDLMError with what makes it fail."""
    client = client_of(request)
    async with contextlib.aclosing(sessions.follow(asked, f"api {client}", False, client)) as following:
        async for events in following:
            failed = next((e for e in events if isinstance(e, Failed)), None)
            if failed is not None:
                raise SDLMError(failed.message)
            yield events


def _request(prompt: Any, history: Any, configs: list[DecodeConfig], model: Any) -> Request:
    """A checked request. Raises SDLMError."""
    if not isinstance(prompt, str):
        raise SDLMError("prompt must be a text.")
    if history is not None and not isinstance(history, list):
        raise SDLMError('history must be a list of {"role": …, "content": …}.')
    messages = parse_messages([*(history or []), {"role": "user", "content": prompt}])
    return Request(secrets.token_hex(16), messages, configs, model=parse_model({"model": model}))


def _settings(value: Any) -> DecodeConfig:
    """Settings within the page's limits; unlike the page's own, unknown ones are refused. Raises SDLMError."""
    if not isinstance(value, dict):
        raise SDLMError(f"Settings must be an object with some of: {', '.join(limits.SETTINGS)}.")
    if unknown := sorted(str(name)[:40] for name in set(value) - set(limits.SETTINGS)):
        raise SDLMError(f"Unknown setting {unknown[0]!r}. The settings are: {', '.join(limits.SETTINGS)}.")
    return parse_settings({"max_new_tokens": limits.DEFAULT_NEW_TOKENS, **value})


def _record(trace: Trace, whole: bool) -> dict[str, Any]:
    record = trace.to_dict()
    return record if whole else {key: value for key, value in record.items() if key not in ("passes", "token_ids")}


def _answer(end: End, with_trace: bool) -> Answer:
    """What one setting of a comparison comes to."""
    trace = end.trace
    config = trace.config.to_dict()
    return Answer(
        settings={name: config[name] for name in limits.SETTINGS},
        text=trace.text,
        tokens=len(trace.token_ids),
        passes=len(trace.passes),
        tokens_per_pass=trace.tokens_per_pass,
        seconds=None if end.shared_pass else trace.seconds,
        finish_reason=trace.finish_reason,
        trace=trace.to_dict() if with_trace else None,
    )


def _model(model: ServedModel) -> dict[str, Any]:
    """A model as `models` lists it."""
    status = model.status()
    return {
        "name": model.name,
        "state": status["state"],
        "message": status.get("message"),
        "block_size": model.block_size,
        "device": status.get("device"),
        "algorithms": list(ALGORITHMS),
        "limits": limits.for_page()["limits"],
    }
