"""What a visitor may ask for, and the sentence they get where they ask for something else.

Everything that comes from a browser passes through here before it reaches the model. It knows nothing of Gradio.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from sdlm_core import DecodeConfig, SDLMError, Trace
from sdlm_core.chat import whole

MAX_PROMPT_CHARACTERS = 4_000
MAX_CONVERSATION_CHARACTERS = 24_000
MAX_TURNS = 40
MAX_NEW_TOKENS = 1_024
MAX_BLOCK_SIZE = 16  # what a row of the stage can show; the core itself goes further
MAX_TEMPERATURE = 2.0
MAX_TRACE_CHARACTERS = 16_000_000
MAX_TRACE_CANDIDATES = 64  # a pass of an imported trace

SETTINGS = ("algorithm", "block_size", "threshold", "temperature", "max_new_tokens", "seed")
_RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Request:
    """A checked wish. run_id is a secret of the visitor's page, by which it stops its run and recovers messages."""

    run_id: str
    messages: list[dict[str, str]]
    configs: list[DecodeConfig]  # decoded one after the other: one for the chat, three for a race, more in a sweep


def parse_request(data: Any, race: bool = False) -> Request:
    """Check what the page sent; SDLMError says what to change."""
    if not isinstance(data, dict):
        raise SDLMError("The page sent nothing that can be decoded. Reload it and try again.")
    config = parse_settings(data.get("settings"))
    configs = race_lanes(config) if race else [config]
    return Request(parse_run_id(data.get("run")), parse_messages(data.get("messages")), configs)


def race_lanes(config: DecodeConfig) -> list[DecodeConfig]:
    """The three ways to decode one prompt, in the order of the race tab."""
    by_confidence = config.algorithm in ("prob_conf", "entropy_conf")
    threshold = config.algorithm if by_confidence else "prob_conf"
    return [replace(config, algorithm=a) for a in ("autoregressive", threshold, "self_speculative")]


def parse_run_id(value: Any) -> str:
    """A run's id: 32 hexadecimal digits."""
    if not isinstance(value, str) or not _RUN_ID.fullmatch(value):
        raise SDLMError("The page sent a run without a proper id. Reload it and try again.")
    return value


def parse_messages(value: Any) -> list[dict[str, str]]:
    """Chat messages that take turns and end with a question."""
    if not isinstance(value, list) or not value or len(value) > 2 * MAX_TURNS:
        raise SDLMError(f"A conversation has between 1 and {MAX_TURNS} turns. Clear it to start a new one.")
    messages = []
    for i, message in enumerate(value):
        content = message.get("content") if isinstance(message, dict) else None
        role = "assistant" if i % 2 else "user"
        if not isinstance(message, dict) or message.get("role") != role or not isinstance(content, str):
            raise SDLMError("Questions and answers must take turns in a conversation. Clear it to start a new one.")
        messages.append({"role": role, "content": whole(content)})  # halves of characters cannot be sent back
    question = messages[-1]
    if question["role"] != "user":
        raise SDLMError("This conversation ends with an answer. Ask something.")
    if not question["content"].strip():
        raise SDLMError("The prompt is empty. Ask something.")
    length = len(question["content"])
    if length > MAX_PROMPT_CHARACTERS:
        raise SDLMError(
            f"This prompt has {length:,} characters, but at most {MAX_PROMPT_CHARACTERS:,} are read. Shorten it."
        )
    if sum(len(m["content"]) for m in messages) > MAX_CONVERSATION_CHARACTERS:
        limit = f"{MAX_CONVERSATION_CHARACTERS:,} characters"
        raise SDLMError(f"This conversation is longer than {limit}. Clear it to start a new one.")
    return messages


def parse_settings(value: Any) -> DecodeConfig:
    """Settings within this page's limits, which are narrower than the core's."""
    if not isinstance(value, dict):
        raise SDLMError("The page sent no settings. Reload it and try again.")
    config = DecodeConfig.from_dict({k: v for k, v in value.items() if k in SETTINGS})
    if config.max_new_tokens > MAX_NEW_TOKENS:
        asked = f"{config.max_new_tokens:,} were asked for"
        raise SDLMError(f"An answer may have at most {MAX_NEW_TOKENS:,} tokens here, but {asked}.")
    if config.block_size is not None and config.block_size > MAX_BLOCK_SIZE:
        raise SDLMError(f"D may be at most {MAX_BLOCK_SIZE} here, but is {config.block_size}.")
    if config.temperature > MAX_TEMPERATURE:
        raise SDLMError(f"The temperature may be at most {MAX_TEMPERATURE:g} here, but is {config.temperature:g}.")
    return config


def parse_trace(text: Any) -> Trace:
    """A trace someone wants to look at; SDLMError in one sentence where it is not one."""
    if not isinstance(text, str):
        raise SDLMError("This file holds no text, so it is not a trace.")
    if len(text) > MAX_TRACE_CHARACTERS:
        limit = f"at most {MAX_TRACE_CHARACTERS:,} are read here"
        raise SDLMError(f"This trace is too large: {len(text):,} characters, {limit}.")
    trace = Trace.from_json(text)
    if not trace.passes:
        raise SDLMError("This trace has no passes, so there is nothing to show.")
    for p in trace.passes:
        if max(len(p.candidates), len(p.draft)) > MAX_TRACE_CANDIDATES:
            limit = f"more than {MAX_TRACE_CANDIDATES} candidates"
            raise SDLMError(f"This trace cannot be shown: pass {p.index} has {limit}.")
    return trace
