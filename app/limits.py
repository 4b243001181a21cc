"""The numbers of the page, each defined here and nowhere else: what may be asked for, who is let in, what is kept.

The page's scripts get theirs from `for_page`. This module knows nothing of Gradio, nor of what is done with a number.
"""

from __future__ import annotations

from typing import Any

from sdlm_core import ALGORITHMS, DecodeConfig
from sdlm_core.config import GUESSES
from sdlm_core.forks import MAX_FORKS

# What one request may hold.
MAX_PROMPT_CHARACTERS = 4_000
MAX_SYSTEM_CHARACTERS = 2_000
MAX_CONVERSATION_CHARACTERS = 24_000
MAX_TURNS = 40
MAX_NEW_TOKENS = 1_024
MAX_BLOCK_SIZE = 16  # what a row of the stage can show; the core itself goes further
MAX_TEMPERATURE = 2.0
MAX_FORK_CHARACTERS = 200  # of a text that an answer is made to go on with
MAX_TOP_K = 100
MAX_BODY_MB = 20  # of an upload, and of any other request's body
MAX_TRACE_CHARACTERS = 16_000_000  # of an imported trace
MAX_TRACE_CANDIDATES = 64  # in a pass of an imported trace

# Who is let in.
MAX_RUNS = 32  # runs in one forward pass
MAX_WAITING = 64  # visitors in line for them
MAX_RUNS_PER_CLIENT = 8  # of those 32, for one address, whatever number of sessions it opens; a class may share one
MAX_WAITING_PER_CLIENT = 32  # of those in line
MAX_RUNS_PER_SESSION = 4  # an answer, a race, a sweep, and one that is just being stopped

# What is kept of finished runs, for pages that ask again.
KEEP_RUNS = 64
KEEP_BYTES = 200_000_000  # of memory, the runs in progress included
# Browser sessions whose last values Gradio keeps: about 0.27 MiB each, and the lab's results of a visitor who sweeps.
# When another comes, the one that has been idle longest loses them.
KEEP_SESSIONS = 150

# Sweeps in the lab.
SWEEP_THRESHOLDS = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
MAX_SWEEP_PROMPTS = 20
MAX_SWEEP_TOKENS = 100  # of an answer to a visitor's own prompt
MAX_COMPARED = 8  # settings that one call of the API's `compare` decodes
KEEP_RESULTS = 400  # of one browser session. One takes about 100 kB where a pass keeps one token

# The settings of a run that the page offers; others keep the core's defaults.
FILTERS = ("temperature", "top_p", "top_k")
SETTINGS = ("algorithm", "block_size", "threshold", *FILTERS, "max_new_tokens", "seed", "guesses")
MIN_NEW_TOKENS = 8  # the shortest answer that the page offers; the server takes shorter ones
MIN_TOP_P = 0.05  # the smallest that the page offers; the server takes any above 0
DEFAULT_NEW_TOKENS = 200
BY_CONFIDENCE = ("prob_conf", "entropy_conf")  # the algorithms that use τ
RACE = ("autoregressive", "prob_conf", "self_speculative")  # in the order of the tab


def for_page() -> dict[str, Any]:
    """What the page's scripts must know, as plain JSON values.

    limits:     for each numeric setting [least, most]; counts of characters, turns and candidates as one number.
    algorithms, guesses: names in the order of their menus; by_confidence: those that use τ; race: those of the race.
    defaults:   the settings a visitor starts with.
    """
    default = DecodeConfig(block_size="auto", max_new_tokens=DEFAULT_NEW_TOKENS).to_dict()
    return {
        "limits": {
            "block_size": [1, MAX_BLOCK_SIZE],
            "threshold": [0, 1],
            "temperature": [0, MAX_TEMPERATURE],
            "top_p": [MIN_TOP_P, 1],
            "top_k": [0, MAX_TOP_K],
            "max_new_tokens": [MIN_NEW_TOKENS, MAX_NEW_TOKENS],
            "prompt_characters": MAX_PROMPT_CHARACTERS,
            "system_characters": MAX_SYSTEM_CHARACTERS,
            "conversation_characters": MAX_CONVERSATION_CHARACTERS,
            "turns": MAX_TURNS,
            "fork_characters": MAX_FORK_CHARACTERS,
            "forks": MAX_FORKS,
            "trace_characters": MAX_TRACE_CHARACTERS,
            "trace_candidates": MAX_TRACE_CANDIDATES,
        },
        "algorithms": list(ALGORITHMS),
        "guesses": list(GUESSES),
        "by_confidence": list(BY_CONFIDENCE),
        "race": list(RACE),
        "defaults": {name: default[name] for name in SETTINGS},
    }
