"""What can be kept and brought back: traces and replay files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sdlm_core import Trace
from tests.app.broken import BROKEN
from tests.app.synthetic import HOSTILE, make_trace

if TYPE_CHECKING:
    from tests.browser.conftest import Visitor


def download(visitor: Visitor, button: str) -> Path:
    with visitor.page.expect_download() as waiting:
        visitor.page.click(f"#stage button:has-text('{button}')")
    return Path(waiting.value.path())


def choose(visitor: Visitor, text: str | bytes) -> None:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    file = {"name": "trace.json", "mimeType": "application/json", "buffer": data}
    visitor.page.set_input_files("#stage input[type=file]", file)


def load(visitor: Visitor, text: str | bytes) -> None:
    """Choose a file and wait for what is said of it."""
    visitor.act("status", status="empty")
    choose(visitor, text)
    visitor.page.wait_for_selector("#stage .sdlm[data-status=file], #stage .banner.wrong")


def test_a_saved_trace_is_the_cores_and_comes_back(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Why is the sky blue?", tokens=32)
    text = download(visitor, "Save trace").read_text(encoding="utf-8")
    trace = Trace.from_json(text)
    assert len(trace.token_ids) == 32
    assert json.loads(text).keys() == json.loads(trace.to_json()).keys()
    load(visitor, text)
    assert visitor.stage("s.state.status") == "file"
    assert visitor.stage("s.state.record.passes.map((p) => p.accepted)") == [p.accepted for p in trace.passes]


def test_a_saved_replay_file_replays_in_another_browser(
    visitors: tuple[Visitor, Visitor], address: str, tmp_path: Path
) -> None:
    live, elsewhere = visitors
    live.open(address)
    live.ask("Why is the sky blue?", tokens=32)
    counts = live.stage("s.state.record.passes.map((p) => p.accepted)")
    path = tmp_path / "run.html"
    path.write_bytes(download(live, "Save replay file").read_bytes())
    elsewhere.page.goto(path.as_uri())
    elsewhere.page.wait_for_selector(".row:not([hidden])")
    assert elsewhere.stage("s.state.record.passes.map((p) => p.accepted)") == counts
    assert [url for url in elsewhere.requests if not url.startswith("file:")] == []


def test_a_replay_file_has_its_makers_language(visitors: tuple[Visitor, Visitor], address: str, tmp_path: Path) -> None:
    live, elsewhere = visitors
    live.open(address)
    live.page.select_option("#stage .language", "zh-Hans")
    live.page.wait_for_selector("#stage .sdlm[lang=zh-Hans] .row:not([hidden])")
    path = tmp_path / "run.html"
    path.write_bytes(download(live, "保存回放文件").read_bytes())
    elsewhere.page.goto(path.as_uri())
    elsewhere.page.wait_for_selector(".row:not([hidden])")
    assert "顺序扩散" in elsewhere.text("h1")


def test_hostile_tokens_survive_the_round_trip_as_text(
    visitors: tuple[Visitor, Visitor], address: str, tmp_path: Path
) -> None:
    live, elsewhere = visitors
    trace = make_trace(texts=HOSTILE)
    live.open(address)
    load(live, trace.to_json())
    assert live.stage("s.state.status") == "file"
    assert Trace.from_json(download(live, "Save trace").read_text(encoding="utf-8")) == trace
    path = tmp_path / "run.html"
    path.write_bytes(download(live, "Save replay file").read_bytes())
    elsewhere.page.goto(path.as_uri())
    elsewhere.page.wait_for_selector(".row:not([hidden])")
    for someone in visitors:
        someone.act("seek", cursor=10**9)
        someone.settle()
        assert someone.page.evaluate("window.hacked") is None
        assert "</script><script>window.hacked = 2</script>" in someone.text(".answer")


def test_bad_files_get_one_sentence(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    for name in ("not JSON", "an array", "no passes", "NaN confidence", "token ids that contradict", "deep nesting"):
        load(visitor, BROKEN[name]())
        assert visitor.page.get_attribute("#stage .banner", "role") == "alert", name
        sentence = visitor.text("#stage .banner")
        assert 10 < len(sentence) < 250, name
        assert "Traceback" not in sentence
    load(visitor, make_trace().to_json())
    assert visitor.stage("s.state.status") == "file"


def test_a_loaded_trace_hides_the_conversation_and_gives_it_back(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Why is the sky blue?", tokens=16)
    key = visitor.stage("s.state.record.key")
    load(visitor, make_trace().to_json())
    assert visitor.stage("s.state.status") == "file"
    assert "not part of your conversation" in visitor.text("#stage .compare:visible")
    choose(visitor, "not JSON")
    visitor.page.wait_for_selector("#stage .banner.wrong")
    assert visitor.stage("s.state.status") == "file"  # what is there stays
    visitor.page.click("text=Back to the conversation")
    assert visitor.stage("[s.state.status, s.state.record.key]") == ["done", key]
    assert "Why is the sky blue?" in visitor.text("#stage .conversation")
    assert visitor.page.locator("#stage .compare:visible").count() == 0
    assert not visitor.page.locator("#stage .banner.wrong").count()


def test_a_trace_loaded_in_the_middle_of_a_run_stops_it_and_gives_it_back(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Count slowly", tokens=400, wait=False)
    visitor.page.wait_for_function("document.querySelectorAll('#stage .row:not([hidden])').length > 2")
    choose(visitor, make_trace().to_json())
    visitor.wait("file")
    visitor.page.click("text=Back to the conversation")
    assert visitor.stage("s.state.status") == "stopped"
    assert visitor.stage("s.state.turns.map((t) => t.role)") == ["user", "assistant"]
    assert visitor.stage("s.state.record.passes.length") > 2
    visitor.ask("Go on", tokens=8)
    assert visitor.stage("[s.state.status, s.state.turns.length]") == ["done", 4]


def test_a_file_that_comes_after_a_question_does_not_stop_it(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    slow = "{ check_trace: () => new Promise((done) => (s.checked = () => done({}))) }"
    visitor.stage(f"(s.files.gradio = {{ server: {slow} }})")
    choose(visitor, make_trace().to_json())
    visitor.page.wait_for_function("'checked' in document.querySelector('#stage .sdlm').parentNode.stage")
    visitor.ask("Why is the sky blue?", tokens=16, wait=False)
    visitor.stage("(s.checked(), 0)")
    visitor.wait("done")
    assert visitor.stage("s.state.record.origin") == "live"


def test_a_bad_file_leaves_a_run_alone(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Count slowly", tokens=400, wait=False)
    visitor.wait("running")
    visitor.page.set_input_files(
        "#stage input[type=file]", {"name": "trace.json", "mimeType": "application/json", "buffer": b"not JSON"}
    )
    visitor.page.wait_for_selector("#stage .banner:has-text('not a trace')")
    assert visitor.stage("s.state.status") == "running"
    assert visitor.text("#stage .go") == "Stop"
    visitor.page.click("#stage .go")
    visitor.wait("stopped")


@pytest.mark.parametrize("text", ["[]", '{"a":1}', "<html>", ""])
def test_an_exported_file_with_a_broken_trace_says_so(visitor: Visitor, tmp_path: Path, text: str) -> None:
    from app.theatre import theatre

    path = tmp_path / "broken.html"
    path.write_text(theatre.player().replace(theatre.DATA_SLOT, theatre.embedded(text)), encoding="utf-8")
    visitor.page.goto(path.as_uri())
    assert "holds no trace" in visitor.text(".banner")
