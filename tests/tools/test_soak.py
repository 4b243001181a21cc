"""Many visitors for a few seconds: the real app in a process of its own, over its own HTTP interface."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.synthetic import make_trace
from tests.browser import tiny
from tools import soak


def test_visitors_get_whole_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(soak, "STOPS", 0.25)  # of the eight first runs with this seed, two are stopped and one is left
    monkeypatch.setattr(soak, "LEAVES", 0.25)
    folder = tiny.make_checkpoint(tmp_path)
    arguments = ["--minutes", "9", "--runs", "8", "--clients", "8", "--model", str(folder), "--seed", "17"]
    assert soak.main(arguments) == 0
    out = capsys.readouterr().out
    result = json.loads(out[out.index("{") :])
    assert result["first_errors"] == []
    assert result["runs"] >= 5
    assert result["stopped"] >= 1
    assert result["left"] >= 1
    assert result["tokens"] > 20 * result["runs"] / 2
    assert 0 < result["first_token_seconds"]["median"] <= result["first_token_seconds"]["p95"]
    assert result["memory_mib"]["start"] > 50


def run_events() -> soak.Events:
    """A good run's events."""
    trace = make_trace()
    tail = {"text": trace.text, "token_ids": list(trace.token_ids), "finish_reason": trace.finish_reason}
    messages: list[dict[str, Any]] = [
        {"kind": "waiting", "position": 1, "model": "ready"},
        {"kind": "start", "lane": 0, "head": {}},
        *({"kind": "passes", "lane": 0, "passes": [p.to_dict()]} for p in trace.passes),
        {"kind": "end", "lane": 0, "tail": tail, "last": True, "shared_pass": False},
    ]
    return dict(enumerate(messages))


def test_broken_answers_are_noticed() -> None:
    good = run_events()
    settings = {"max_new_tokens": 500}
    assert soak.broken(good, settings, False) is None
    last = max(good)

    def changed(change: Any) -> str:
        bad = copy.deepcopy(good)
        change(bad)
        return str(soak.broken(bad, settings, False))

    assert "missing" in changed(lambda s: s.pop(3))
    assert "missing" in changed(lambda s: s.clear())
    assert "not in order" in changed(lambda s: s.pop(last))
    assert "not in order" in changed(lambda s: s[last].update(last=False))
    assert "follows" in changed(lambda s: s[4]["passes"][0].update(start=0))
    assert "not the answer" in changed(lambda s: s[last]["tail"]["token_ids"].pop())
    assert "ended as cancelled" in changed(lambda s: s[last]["tail"].update(finish_reason="cancelled"))
    assert "not the limit" in changed(lambda s: s[last]["tail"].update(finish_reason="length"))
    assert changed(lambda s: s.update({last: {"kind": "failed", "message": "Too bad."}})) == "failed: Too bad."
