"""The static site, from the disk and from a plain file server: every tab, and no request to anywhere else."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import site
from app.theatre import theatre
from tests.app.synthetic import make_trace
from tests.browser.conftest import Visitor


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    site.build(folder)
    return folder


@pytest.fixture(params=["disk", "server"])
def start(folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of the site's folder."""
    if request.param == "disk":
        yield folder.as_uri()
        return
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_every_tab_works_without_a_server_of_ours(visitor: Visitor, start: str) -> None:
    page = visitor.page
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
    page.goto(f"{start}/index.html")
    page.wait_for_selector("#pane-0 .row:not([hidden])")
    runs = page.locator("#pane-0 .choice option").count()
    assert runs == len(site.recordings()["runs"]) >= 4
    page.select_option("#pane-0 .choice select", str(runs - 1))
    assert page.evaluate("document.getElementById('pane-0').stage.state.record.passes.length") > 0
    page.select_option("#pane-0 .choice select", "0")
    # What if τ were lower: the recorded passes are judged again.
    page.evaluate("document.getElementById('pane-0').stage.dispatch({ type: 'judge', tau: 0.2 })")
    assert page.evaluate("document.getElementById('pane-0').stage.state.verdict.tau") == 0.2
    page.click("#tab-1")
    page.wait_for_selector("#pane-1 .racers .answer .t")
    assert page.locator("#pane-1 .compose").is_hidden()
    page.click("#tab-2")
    page.wait_for_selector("#pane-2 .lesson, #pane-2 .sdlm")
    page.goto(f"{start}/lab.html")
    page.wait_for_selector(".js-plotly-plot .main-svg")
    assert [url for url in visitor.requests if not url.startswith((start, "data:", "blob:"))] == []
    assert [text for text in refused if "favicon" not in text and "404" not in text] == []


def test_a_site_and_a_replay_file_speak_chinese(visitor: Visitor, start: str, tmp_path: Path) -> None:
    page = visitor.page
    page.goto(f"{start}/index.html")
    page.select_option("#site nav .language", "zh-Hans")
    page.wait_for_selector("html[lang=zh-Hans]")
    assert "录制" in visitor.text("#tab-0")
    page.click("#tab-2")
    page.wait_for_selector("#pane-2 .step h3")
    assert "每次一个词元" in visitor.text("#learn-pass h3")
    if start.startswith("file:"):
        visitor.replay(make_trace(), tmp_path)
        assert "顺序扩散" in visitor.text("h1")  # one disk, one choice
        page.select_option(".language", "en")
        page.wait_for_selector("html[lang=en]")
        assert "Sequential diffusion" in visitor.text("h1")


def test_a_replay_file_is_in_its_makers_language(visitor: Visitor, tmp_path: Path) -> None:
    path = tmp_path / "replay.html"
    text = theatre.replay_page(make_trace()).replace('<html lang="en">', '<html lang="zh-Hans">', 1)
    path.write_text(text, encoding="utf-8")
    visitor.page.goto(path.as_uri())
    visitor.page.wait_for_selector(".row:not([hidden])")
    assert "顺序扩散" in visitor.text("h1")
    assert [url for url in visitor.requests if not url.startswith("file:")] == []
