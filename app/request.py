"""A page's request, checked before it reaches the model; whoever asks for what cannot be gets a sentence (SDLMError).

Everything that comes from a browser passes through here. It knows nothing of Gradio.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from app import limits
from app.prefix import parse_prefix
from sdlm_core import DecodeConfig, ForkTree, SDLMError, Trace
from sdlm_core.models.chat_template import replace_surrogates

_RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Request:
    """A checked request. run_id is a secret of the visitor's page, by which it stops its run and asks for events."""

    run_id: str
    messages: list[dict[str, str]]
    configs: list[DecodeConfig]  # decoded one after the other: one for the chat, three for a race, more in a sweep
    prefix: tuple[int | str, ...] = ()  # what the answer begins with: token ids, then perhaps a text
    model: str | None = None  # its name; None is the first


def parse_request(data: Any, race: bool = False) -> Request:
    """Check what the page sent; SDLMError says what to change."""
    if not isinstance(data, dict):
        raise SDLMError("The page sent nothing that can be decoded. Reload it and try again.")
    settings = data.get("settings")
    config = parse_settings(settings)
    configs = race_configs(config) if race else [config]
    prefix = () if race else parse_prefix(data.get("prefix"))
    return Request(parse_run_id(data.get("run")), parse_prompt(data), configs, prefix, parse_model(settings))


def race_configs(config: DecodeConfig) -> list[DecodeConfig]:
    """The three ways to decode one prompt, in the order of the race tab."""
    chosen = config.algorithm
    if chosen not in limits.BY_CONFIDENCE:
        return [replace(config, algorithm=name) for name in limits.RACE]
    return [replace(config, algorithm=chosen if name in limits.BY_CONFIDENCE else name) for name in limits.RACE]


def parse_run_id(value: Any) -> str:
    """A run's id: 32 hexadecimal digits."""
    if not isinstance(value, str) or not _RUN_ID.fullmatch(value):
        raise SDLMError("The page sent a run without a proper id. Reload it and try again.")
    return value


def parse_prompt(data: Any) -> list[dict[str, str]]:
    """The messages of a page's conversation, after its system prompt where there is one."""
    if not isinstance(data, dict):
        raise SDLMError("The page sent nothing that can be read as a prompt. Reload it and try again.")
    system, messages = data.get("system"), parse_messages(data.get("messages"))
    if system is None:
        return messages
    if not isinstance(system, str):
        raise SDLMError("The system prompt must be a text. Reload the page and try again.")
    if len(system) > limits.MAX_SYSTEM_CHARACTERS:
        most = f"at most {limits.MAX_SYSTEM_CHARACTERS:,} are read"
        raise SDLMError(f"This system prompt has {len(system):,} characters, but {most}. Shorten it.")
    return [{"role": "system", "content": replace_surrogates(system)}, *messages] if system.strip() else messages


def parse_messages(value: Any) -> list[dict[str, str]]:
    """Chat messages that take turns and end with a question."""
    if not isinstance(value, list) or not value or len(value) > 2 * limits.MAX_TURNS:
        raise SDLMError(f"A conversation has between 1 and {limits.MAX_TURNS} turns. Clear it to start a new one.")
    messages = []
    for i, message in enumerate(value):
        content = message.get("content") if isinstance(message, dict) else None
        role = "assistant" if i % 2 else "user"
        if not isinstance(message, dict) or message.get("role") != role or not isinstance(content, str):
            raise SDLMError("Questions and answers must take turns in a conversation. Clear it to start a new one.")
        messages.append({"role": role, "content": replace_surrogates(content)})
    question = messages[-1]
    if question["role"] != "user":
        raise SDLMError("This conversation ends with an answer. Ask something.")
    if not question["content"].strip():
        raise SDLMError("The prompt is empty. Ask something.")
    length = len(question["content"])
    if length > limits.MAX_PROMPT_CHARACTERS:
        most = f"at most {limits.MAX_PROMPT_CHARACTERS:,} are read"
        raise SDLMError(f"This prompt has {length:,} characters, but {most}. Shorten it.")
    if sum(len(m["content"]) for m in messages) > limits.MAX_CONVERSATION_CHARACTERS:
        most = f"{limits.MAX_CONVERSATION_CHARACTERS:,} characters"
        raise SDLMError(f"This conversation is longer than {most}. Clear it to start a new one.")
    return messages


def parse_settings(value: Any) -> DecodeConfig:
    """Settings within this page's limits, which are narrower than the core's."""
    if not isinstance(value, dict):
        raise SDLMError("The page sent no settings. Reload it and try again.")
    config = DecodeConfig.from_dict({k: v for k, v in value.items() if k in limits.SETTINGS})
    if config.max_new_tokens > limits.MAX_NEW_TOKENS:
        asked = f"{config.max_new_tokens:,} were asked for"
        raise SDLMError(f"An answer may have at most {limits.MAX_NEW_TOKENS:,} tokens here, but {asked}.")
    if isinstance(config.block_size, int) and config.block_size > limits.MAX_BLOCK_SIZE:
        raise SDLMError(f"D may be at most {limits.MAX_BLOCK_SIZE} here, but is {config.block_size}.")
    if config.temperature > limits.MAX_TEMPERATURE:
        most = f"{limits.MAX_TEMPERATURE:g}"
        raise SDLMError(f"The temperature may be at most {most} here, but is {config.temperature:g}.")
    if config.top_k > limits.MAX_TOP_K:
        raise SDLMError(f"Top-k may be at most {limits.MAX_TOP_K} here, but is {config.top_k:,}.")
    return config


def parse_model(settings: Any) -> str | None:
    """The name of the model among a page's settings; None where there is none."""
    name = settings.get("model") if isinstance(settings, dict) else None
    if name is not None and not isinstance(name, str):
        raise SDLMError("The name of the model must be a text. Reload the page and try again.")
    return name


def parse_trace(text: Any) -> Trace:
    """A trace someone wants to look at, the first of a tree's; SDLMError in one sentence where it is not one."""
    if not isinstance(text, str):
        raise SDLMError("This file holds no text, so it is not a trace.")
    if len(text) > limits.MAX_TRACE_CHARACTERS:
        most = f"at most {limits.MAX_TRACE_CHARACTERS:,} are read here"
        raise SDLMError(f"This trace is too large: {len(text):,} characters, {most}.")
    tree = ForkTree.from_json(text)
    for trace in tree.traces:
        if not trace.passes:
            raise SDLMError("This trace has no passes, so there is nothing to show.")
        for p in trace.passes:
            if max(len(p.candidates), len(p.draft)) > limits.MAX_TRACE_CANDIDATES:
                many = f"more than {limits.MAX_TRACE_CANDIDATES} candidates"
                raise SDLMError(f"This trace cannot be shown: pass {p.index} has {many}.")
    return tree.root
