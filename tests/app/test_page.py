"""The page as it is put together, and the command that serves it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from app import page, wire
from app.runs import House
from app.theatre import theatre
from sdlm_core import Trace
from tests.app.synthetic import HOSTILE, make_trace

ROOT = Path(__file__).parents[2]


@pytest.fixture
def command() -> Any:
    spec = importlib.util.spec_from_file_location("command", ROOT / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_options_win_over_the_environment(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SDLM_MODEL", "SDLM_PORT", "GRADIO_SERVER_PORT", "PORT", "SDLM_HOST", "GRADIO_SERVER_NAME"):
        monkeypatch.delenv(name, raising=False)
    plain = command.parse_arguments([])
    assert (plain.model, plain.device, plain.quantization, plain.host, plain.port) == (
        "builtin",
        "auto",
        None,
        "127.0.0.1",
        None,
    )
    monkeypatch.setenv("SDLM_MODEL", "some/model")
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    monkeypatch.setenv("PORT", "8123")
    said = command.parse_arguments(["--model", "other"])
    assert (said.model, said.host, said.port) == ("other", "0.0.0.0", 8123)


def test_a_wrong_environment_is_a_usage_error(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDLM_QUANTIZATION", "int3")
    with pytest.raises(SystemExit):
        command.parse_arguments([])


def test_the_page_is_built_without_a_model() -> None:
    blocks = page.build(House(lambda: None))
    assert {block.label for block in blocks.blocks.values() if type(block).__name__ == "Tab"} >= {"Watch", "Race"}


def test_gradio_works_out_no_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = page.build(House(lambda: None))
    monkeypatch.setattr(blocks._queue, "_get_df", None)  # what it would call after each event
    blocks._queue.events_recorded += 1
    blocks._queue.compute_analytics_summary([{"function": "decode", "status": "success", "process_time": 1.0}])


def test_the_shipped_examples_are_traces() -> None:
    ask = {f.__name__: f for f in wire.server_functions(House(lambda: None))}
    race = [Trace.from_json(text) for text in ask["race_example"]()]
    assert [t.config.algorithm for t in race] == ["autoregressive", "prob_conf", "self_speculative"]
    assert len({t.prompt for t in race}) == 1
    texts = ask["examples"]()
    assert texts
    for text in texts:
        assert Trace.from_json(text).passes


def test_nothing_in_the_page_comes_from_elsewhere() -> None:
    for text in (theatre.head(), theatre.player()):
        for link in ("http://", "https://", "//cdn", "@import", "url("):
            assert link not in text.replace("http://www.w3.org/2000/svg", "")


def test_no_script_writes_markup() -> None:
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert word not in theatre.script()


def test_an_embedded_trace_cannot_leave_its_element() -> None:
    trace = make_trace(texts=HOSTILE)
    text = theatre.replay_page(trace)
    data = text.split('id="trace">')[1].split("</script>")[0]
    assert not set("<>&\u2028\u2029") & set(data)
    assert Trace.from_json(data) == trace
    assert text.count("<script") == 2 + theatre.script().count("<script")


def test_status_and_missed_take_anything() -> None:
    ask = {f.__name__: f for f in wire.server_functions(House(lambda: None))}
    values: list[Any] = [None, 7, "x", [], {}, {"run": "0" * 32, "after": "x"}, {"run": "0" * 32, "after": -5}]
    for value in values:
        assert ask["missed"](value) == []
        ask["stop"](value)
        assert ask["status"](value)["state"] == "loading"
        assert "error" in ask["check_trace"](value)
