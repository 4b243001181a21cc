"""How much one request may ask of a server, each number defined here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

MAX_STOPS = 4  # as with OpenAI
SEED_RANGE = 2**63  # seeds are integers of 64 bits


@dataclass(frozen=True)
class Limits:
    """characters: of all messages together. new_tokens: of an answer. stop_characters: of one stop string.

    body_bytes, body_seconds: size of a request's body, and how long it may take to arrive.
    send_seconds:             how long a client may take to read what waits for it, before it counts as gone.
    """

    characters: int = 100_000
    messages: int = 200
    new_tokens: int = 4_096
    block_size: int = 16
    temperature: float = 2.0
    stop_characters: int = 200
    body_bytes: int = 4 * 1024 * 1024
    body_seconds: float = 30.0
    send_seconds: float = 30.0
