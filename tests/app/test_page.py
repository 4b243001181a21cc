"""The page as it is put together, and the command that serves it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app import handlers, page
from app.model import ServedModel
from app.sessions import Sessions
from app.theatre import theatre
from sdlm_core import Trace
from tests.app.synthetic import HOSTILE, make_trace
from tools import browser_data


def empty() -> Sessions:
    """Sessions whose model is never loaded."""
    return Sessions(ServedModel(lambda: None))


def test_options_win_over_the_environment(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SDLM_MODEL", "SDLM_PORT", "GRADIO_SERVER_PORT", "PORT", "SDLM_HOST", "GRADIO_SERVER_NAME"):
        monkeypatch.delenv(name, raising=False)
    plain = command.parse_arguments([])
    assert (plain.model, plain.device, plain.quantization, plain.host, plain.port) == (
        ["builtin"],
        "auto",
        None,
        "127.0.0.1",
        None,
    )
    monkeypatch.setenv("SDLM_MODEL", "some/model")
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    monkeypatch.setenv("PORT", "8123")
    said = command.parse_arguments(["--model", "other"])
    assert (said.model, said.host, said.port) == (["other"], "0.0.0.0", 8123)


def test_a_wrong_environment_is_a_usage_error(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDLM_QUANTIZATION", "int3")
    with pytest.raises(SystemExit):
        command.parse_arguments([])


def test_the_page_is_built_without_a_model() -> None:
    blocks = page.build(empty())
    assert {block.label for block in blocks.blocks.values() if type(block).__name__ == "Tab"} >= {"Watch", "Race"}


def test_gradio_works_out_no_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = page.build(empty())
    monkeypatch.setattr(blocks._queue, "_get_df", None)  # what it would call after each event
    blocks._queue.events_recorded += 1
    blocks._queue.compute_analytics_summary([{"function": "decode", "status": "success", "process_time": 1.0}])


def test_the_shipped_examples_are_traces() -> None:
    ask = {f.__name__: f for f in handlers.server_functions(empty())}
    race = [Trace.from_json(text) for text in ask["race_example"]()]
    assert [t.config.algorithm for t in race] == ["autoregressive", "prob_conf", "self_speculative"]
    assert len({t.prompt for t in race}) == 1
    texts = ask["examples"]()
    assert texts
    for text in texts:
        assert Trace.from_json(text).passes


def test_nothing_in_the_page_comes_from_elsewhere() -> None:
    """The Markdown parser names addresses, since it finds them in answers; it fetches nothing."""
    parser = theatre.modules()["streaming-markdown.js"]
    assert not re.search(r"\b(import|fetch|src|XMLHttpRequest|document|window)\b\s*[(.=]", parser)
    for text in (theatre.head(), theatre.player(), *theatre.modules().values()):
        text = text.replace(parser, "").replace(r"/^https?:\/\/", "")
        for link in ("http://", "https://", "//cdn", '@import "', "url("):
            assert link not in text.replace("http://www.w3.org/2000/svg", "")


def test_no_script_writes_markup() -> None:
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert word not in "".join(theatre.modules().values())


def test_an_embedded_trace_cannot_leave_its_element() -> None:
    trace = make_trace(texts=HOSTILE)
    text = theatre.replay_page(trace)
    data = text.split('id="trace">')[1].split("</script>")[0]
    assert not set("<>&\u2028\u2029") & set(data)
    assert Trace.from_json(data) == trace
    assert text.count("<script") == 2 + theatre.joined("player.js").count("<script")


def test_modules_are_served_for_good_under_their_hash() -> None:
    client = TestClient(Starlette(routes=[theatre.route()]))
    names = re.findall(r'modulepreload" href="([^"]+)"', theatre.head())
    assert {Path(name).name for name in names} == set(theatre.modules()) - {"player.js", "site.js", "words-zh.js"}
    for name in names:
        answer = client.get("/" + name)
        assert answer.headers["content-type"].startswith("text/javascript")
        assert "immutable" in answer.headers["cache-control"]
        assert answer.text == theatre.modules()[Path(name).name]
    for wrong in ("/theatre/0123456789abcdef/main.js", f"/{theatre.folder()}/theatre.py", f"/{theatre.folder()}/../x"):
        assert client.get(wrong).status_code == 404


def test_modules_that_cannot_be_joined_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, str] = {}
    monkeypatch.setattr(theatre, "modules", lambda: made)
    made |= {"a.js": 'import { b as c } from "./b.js";\nc();\n', "b.js": "export const b = () => 1;\n"}
    text = theatre.joined("a.js")
    assert text.index("module_b = ") < text.index("module_a = ")
    assert "const { b: c } = module_b;" in text
    made["b.js"] = 'import { a } from "./a.js";\nexport const b = a;\n'
    with pytest.raises(ValueError, match="import each other"):
        theatre.joined("a.js")
    made["b.js"] = "const b = 1;\nexport default b;\n"
    with pytest.raises(ValueError, match="cannot be joined"):
        theatre.joined("a.js")


def test_scripts_and_styles_stay_small() -> None:
    """The bound is in bytes, uncompressed; what the files of the page came to is printed.

    The replay file and the static site begin with modules of their own, which the page never asks for; Chinese words
    are asked for by those who read them.
    """
    loaded = {Path(name).name for name in re.findall(r'modulepreload" href="([^"]+)"', theatre.head())}
    texts = [theatre.style(), theatre.lesson_style(), *(theatre.modules()[name] for name in loaded)]
    size = sum(len(text.encode()) for text in texts)
    chinese = len(theatre.modules()["words-zh.js"].encode())
    print(f"scripts and styles: {size / 1000:.1f} kB, for readers of Chinese {chinese / 1000:.1f} kB more")
    assert size < 250_000


def test_the_browser_knows_what_python_knows() -> None:
    """After a change of limits, settings or the trace: python -m tools.browser_data."""
    assert browser_data.MODULE.read_text(encoding="utf-8") == browser_data.module()
    known, now = json.loads(browser_data.CASES.read_text(encoding="utf-8")), json.loads(browser_data.cases())
    filtered, again = known.pop("filters"), now.pop("filters")
    assert known == now
    for before, after in zip(filtered, again, strict=True):
        numbers = {"known", "before", "after"}  # of the processor, in their last digit
        assert {k: v for k, v in after.items() if k not in numbers} == {
            k: v for k, v in before.items() if k not in numbers
        }
        assert all(after[name] == pytest.approx(before[name], rel=1e-5, abs=1e-9) for name in numbers)


def test_status_and_events_after_take_anything() -> None:
    ask = {f.__name__: f for f in handlers.server_functions(empty())}
    values: list[Any] = [None, 7, "x", [], {}, {"run": "0" * 32, "after": "x"}, {"run": "0" * 32, "after": -5}]
    for value in values:
        assert ask["events_after"](value) == []
        ask["stop"](value)
        assert ask["status"](value)["state"] == ("failed" if value == "x" else "loading")  # no model has that name
        assert "error" in ask["check_trace"](value)
