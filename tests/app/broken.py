"""Files that are not traces, each wrong in its own way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.app.synthetic import make_trace


def _changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[], str]:
    """A good trace after one change."""

    def text() -> str:
        data = make_trace().to_dict()
        change(data)
        return json.dumps(data)

    return text


def _set(path: str, value: Any) -> Callable[[], str]:
    """A good trace with one value replaced; the path is dotted, numbers index lists."""
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]

    def change(data: Any) -> None:
        for key in parents:
            data = data[key]
        data[last] = value

    return _changed(change)


def _without(key: str) -> Callable[[], str]:
    return _changed(lambda data: data.pop(key))


BROKEN: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "not JSON": lambda: "<html></html>",
    "half of one": lambda: make_trace().to_json()[:5000],
    "an array": lambda: "[1, 2, 3]",
    "a number": lambda: "42",
    "null": lambda: "null",
    "another format": _set("format", "something-else"),
    "a later version": _set("version", 99),
    "no format": _without("format"),
    "no passes": _without("passes"),
    "an empty list of passes": _changed(lambda data: data.update(passes=[], token_ids=[], text="")),
    "passes that are an object": _set("passes", {}),
    "a pass that is a number": _set("passes.0", 7),
    "no config": _without("config"),
    "an unknown setting": _set("config.colour", "blue"),
    "an unknown algorithm": _set("config.algorithm", "magic"),
    "an empty config": _set("config", {}),
    "no threshold": _changed(lambda data: data["config"].pop("threshold")),
    "a threshold of two": _set("config.threshold", 2),
    "a wrong index": _set("passes.1.index", 5),
    "a wrong start": _set("passes.2.start", 400),
    "more accepted than guessed": _set("passes.0.accepted", 99),
    "none accepted": _set("passes.0.accepted", 0),
    "a negative count": _set("passes.0.rows", -1),
    "more rows kept than run": _set("passes.1.rows_written", 99),
    "a text for a number": _set("passes.0.seconds", "fast"),
    "NaN confidence": _set("passes.0.candidates.0.confidence", float("nan")),
    "infinite seconds": _set("passes.0.seconds", float("inf")),
    "confidence above one": _set("passes.0.candidates.0.confidence", 1.5),
    "a token without text": _set("passes.0.candidates.0.text", None),
    "an alternative of two": _set("passes.0.candidates.0.alternatives", [[1, "a"]]),
    "alternatives that are text": _set("passes.0.candidates.0.alternatives", "abc"),
    "token ids that contradict": _set("token_ids", [1, 2, 3]),
    "a huge token id": _set("passes.0.candidates.0.token_id", 2**70),
    "true for a number": _set("passes.0.start", True),
    "an unknown ending": _set("finish_reason", "boredom"),
    "more candidates than the block": _set("block_size", 2),
    "a prompt that is a list": _set("prompt", ["a"]),
    "a draft of nothing": _set("passes.1.draft", [None]),
    "deep nesting": lambda: '{"format":"sdlm-trace","version":1,"passes":' + "[" * 100_000 + "]" * 100_000 + "}",
}
