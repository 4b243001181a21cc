"""The record of a run: there and back, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import sdlm_core
from sdlm_core import DecodeConfig, SDLMError, Trace
from sdlm_core.decoding.algorithms import count_accepted


@pytest.fixture
def trace(load: Callable[..., sdlm_core.LanguageModel]) -> Trace:
    lm = load(kind="qwen2", tied=True, initializer_range=0.5, seed=1)
    return sdlm_core.decode(lm, "hello there", DecodeConfig(threshold=0.5, max_new_tokens=20, block_size=8))


def test_json_there_and_back(trace: Trace) -> None:
    assert Trace.from_json(trace.to_json()) == trace
    assert trace.tokens_per_pass == len(trace.token_ids) / len(trace.passes)
    assert sum(p.accepted for p in trace.passes) == len(trace.token_ids)


def test_settings_that_came_later_may_be_missing(trace: Trace) -> None:
    data = trace.to_dict()
    data["config"] = {"algorithm": "entropy_conf", "threshold": 0.25}
    assert Trace.from_json(json.dumps(data)).config == DecodeConfig(algorithm="entropy_conf", threshold=0.25)


def test_recorded_confidences_explain_what_was_accepted(trace: Trace) -> None:
    for p in trace.passes[:-1]:
        assert p.accepted == count_accepted([c.confidence for c in p.candidates], trace.config.threshold)


def test_a_pass_is_small_on_the_wire(trace: Trace) -> None:
    assert max(len(json.dumps(p.to_dict(), ensure_ascii=False).encode()) for p in trace.passes) <= 6_000


def broken(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], str]:
    def apply(data: dict[str, Any]) -> str:
        change(data)
        return json.dumps(data)

    return apply


BROKEN: dict[str, Callable[[dict[str, Any]], str]] = {
    "empty": lambda d: "",
    "not JSON": lambda d: "<html>",
    "a list": lambda d: "[]",
    "deep": lambda d: "[" * 100_000,
    "NaN": lambda d: json.dumps({**d, "prompt_tokens": float("nan")}),
    "no format": broken(lambda d: d.pop("format")),
    "other version": broken(lambda d: d.update(version=99)),
    "no passes": broken(lambda d: d.pop("passes")),
    "passes a text": broken(lambda d: d.update(passes="many")),
    "a pass a number": broken(lambda d: d["passes"].__setitem__(0, 7)),
    "accepted zero": broken(lambda d: d["passes"][0].update(accepted=0)),
    "accepted too many": broken(lambda d: d["passes"][0].update(accepted=99)),
    "accepted other tokens": broken(lambda d: d["token_ids"].__setitem__(0, 1 + d["token_ids"][0])),
    "start off": broken(lambda d: d["passes"][-1].update(start=0, index=len(d["passes"]) - 1)),
    "index off": broken(lambda d: d["passes"][0].update(index=5)),
    "confidence above one": broken(lambda d: d["passes"][0]["candidates"][0].update(confidence=2)),
    "confidence a text": broken(lambda d: d["passes"][0]["candidates"][0].update(confidence="high")),
    "confidence infinite": broken(lambda d: d["passes"][0]["candidates"][0].update(confidence=float("inf"))),
    "candidate a list": broken(lambda d: d["passes"][0]["candidates"].__setitem__(0, [])),
    "alternative too short": broken(lambda d: d["passes"][0]["candidates"][0].update(alternatives=[[1]])),
    "text a number": broken(lambda d: d["passes"][0]["candidates"][0].update(text=3)),
    "seconds negative": broken(lambda d: d["passes"][0].update(seconds=-1)),
    "seconds past all numbers": broken(lambda d: d["passes"][0].update(seconds=10**400)),
    "a setting past all numbers": broken(lambda d: d["config"].update(temperature=10**400)),
    "rows a fraction": broken(lambda d: d["passes"][0].update(rows=1.5)),
    "rows true": broken(lambda d: d["passes"][0].update(rows=True)),
    "more rows kept than run": broken(lambda d: d["passes"][0].update(rows_written=d["passes"][0]["rows"] + 1)),
    "empty config": broken(lambda d: d.update(config={})),
    "no algorithm": broken(lambda d: d["config"].pop("algorithm")),
    "no threshold": broken(lambda d: d["config"].pop("threshold")),
    "unknown setting": broken(lambda d: d["config"].update(beams=4)),
    "bad setting": broken(lambda d: d["config"].update(threshold=7)),
    "finish reason": broken(lambda d: d.update(finish_reason="tired")),
    "block too small": broken(lambda d: d.update(block_size=2)),
    "token id a text": broken(lambda d: d["passes"][0]["candidates"][0].update(token_id="1")),
    "no model": broken(lambda d: d.pop("model")),
    "draft a number": broken(lambda d: d["passes"][0].update(draft=1)),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_malformed_trace_gets_one_clear_sentence(case: str, trace: Trace) -> None:
    with pytest.raises(SDLMError) as error:
        Trace.from_json(BROKEN[case](json.loads(trace.to_json())))
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)
