"""Decoding on from another token: asked for on the card, kept beside the run that was left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import sdlm_core
from app.theatre import theatre
from sdlm_core import DecodeConfig, ForkTree
from tests.app.synthetic import HOSTILE, make_trace

if TYPE_CHECKING:
    from tests.browser.conftest import Visitor

FORKS = "s.state.forks.map((f) => [f.parent, f.place, f.record.tail.token_ids])"


@pytest.fixture(scope="module")
def lm(tiny_model: Path) -> sdlm_core.LanguageModel:
    """The test server's model once more."""
    return sdlm_core.load_model(str(tiny_model))


def pin(visitor: Visitor, pass_: int, i: int) -> None:
    """Open the card of a guess."""
    visitor.act("unpin")
    visitor.act("pin", pass_=pass_, i=i)
    visitor.page.wait_for_selector("#stage .card .fork-form:visible")


def fork(visitor: Visitor, pass_: int, i: int, put: int | str) -> None:
    """Decode on from an alternative of a guess, by its place in the list, or from a text; until that has ended."""
    before = visitor.stage("s.state.live.key")
    pin(visitor, pass_, i)
    if isinstance(put, int):
        visitor.page.locator("#stage .card .alternatives li[data-id] button").nth(put).click()
    else:
        visitor.page.fill("#stage .card .fork-form input", put)
        visitor.page.keyboard.press("Enter")
    visitor.until(f"s.state.live && s.state.live.key !== {before} && s.state.live.tail && s.state.status === 'done'")
    visitor.settle()


@pytest.mark.parametrize("algorithm", ["prob_conf", "self_speculative"])
def test_a_fork_is_what_the_library_decodes_from_that_prefix(
    visitor: Visitor, address: str, lm: sdlm_core.LanguageModel, algorithm: str
) -> None:
    visitor.open(address)
    visitor.ask("Why is the sky blue?", tokens=32, algorithm=algorithm)
    first = visitor.stage("s.state.record.toJSON()")
    fork(visitor, 2, 0, 1)
    fork(visitor, 0, 1, " own words")
    runs = visitor.stage("s.state.forks.map((f) => ({ request: f.request, trace: f.record.toJSON() }))")
    assert len(runs) == 3
    for run in runs:
        asked = run["request"]
        settings = {k: v for k, v in asked["settings"].items() if k in DecodeConfig.__dataclass_fields__}
        again = sdlm_core.decode(lm, asked["messages"], DecodeConfig(**settings), asked.get("prefix", []))
        assert run["trace"]["token_ids"] == again.token_ids
        assert run["trace"]["text"] == again.text
    chosen = first["passes"][2]["candidates"][0]["alternatives"][1][0]
    place = first["passes"][2]["start"]
    assert runs[1]["trace"]["token_ids"][: place + 1] == [*first["token_ids"][:place], chosen]
    assert runs[2]["trace"]["text"].startswith(" own words", len(runs[2]["trace"]["text"].split(" own words")[0]))
    assert visitor.stage("s.state.turns.length") == 2
    assert visitor.stage("s.state.turns[1].content") == runs[2]["trace"]["text"]


def test_runs_are_switched_named_and_compared(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Why is the sky blue?", tokens=32)
    assert visitor.page.locator("#stage .forks").is_hidden()
    fork(visitor, 2, 0, 1)
    place = visitor.stage("s.state.forks[1].place")
    rows = visitor.page.locator("#stage .fork-row")
    assert rows.count() == 2
    assert f"differ from token {place + 1} on" in visitor.text("#stage .compared")
    assert visitor.text("#stage .answer .given .parts") == "≠"
    rows.nth(0).locator(".fork-go").click()
    first = visitor.stage("s.state.forks[0].record.key")
    assert visitor.stage("[s.state.live.key, s.state.record.given.length]") == [first, 0]
    fork(visitor, 4, 0, 2)
    assert visitor.stage("s.state.forks.map((f) => f.parent)") == [-1, 0, 0]
    rows.nth(1).locator(".fork-against").click()
    pair = visitor.stage("[s.state.kept.key, s.state.live.key]")
    assert pair == visitor.stage("[s.state.forks[1].record.key, s.state.forks[2].record.key]")
    visitor.page.click("text=Show the other run")
    assert visitor.stage("s.state.record.key") == pair[0]
    assert visitor.page.locator("#stage .fork-row.shown").get_attribute("data-index") == "1"
    visitor.page.locator("#stage .fork-row.shown .fork-rename").click()
    visitor.page.keyboard.type("<b>mine</b>")
    visitor.page.keyboard.press("Enter")
    assert visitor.text("#stage .fork-row.shown .fork-go") == "<b>mine</b>"
    before = visitor.stage(FORKS)
    visitor.page.reload()
    visitor.page.wait_for_selector("#stage .fork-row")
    assert visitor.stage(FORKS) == before
    assert visitor.stage("s.state.forks[1].name") == "<b>mine</b>"
    assert visitor.stage("s.state.status") == "done"
    visitor.ask("And then?", tokens=8)
    assert visitor.stage("[s.state.forks.length, s.state.turns.length]") == [0, 4]


def test_a_fork_that_cannot_be_decoded_leaves_the_answer(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Why is the sky blue?", tokens=24)
    before = visitor.stage("[s.state.turns, s.state.record.key]")
    pin(visitor, 2, 0)
    visitor.page.fill("#stage .card .fork-form input", "<|im_end|>")
    visitor.page.keyboard.press("Enter")
    visitor.wait("failed")
    assert "ends the answer" in visitor.text("#stage .banner")
    assert visitor.stage("[s.state.turns, s.state.record.key]") == before
    fork(visitor, 2, 0, " and")
    assert visitor.stage("s.state.forks.length") == 2
    visitor.stage("s.session.gradio.send({ run: '0'.repeat(32), prefix: [{}], messages: [], settings: {} })")
    visitor.ask("And then?", tokens=8)
    assert visitor.stage("s.state.status") == "done"


def test_another_tau_joins_the_tree(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Why is the sky blue?", tokens=24)
    fork(visitor, 2, 0, 1)
    given = visitor.stage("s.state.record.given.length")
    visitor.act("judge", tau=0.11, moving=True)
    visitor.stage("s.session.rest()")
    visitor.until("s.state.forks.length === 3")
    assert visitor.stage("s.state.forks[2].record.head.config.threshold") == 0.11
    assert visitor.stage("[s.state.forks[2].parent, s.state.forks[2].place]") == [1, given]
    assert visitor.stage("s.state.record.given.length") == given


def test_a_tree_is_saved_loaded_and_replayed(visitor: Visitor, address: str, tmp_path: Path) -> None:
    visitor.open(address)
    visitor.ask("Why is the sky blue?", tokens=24)
    fork(visitor, 2, 0, 1)
    fork(visitor, 0, 0, "own")
    shown = visitor.stage(FORKS)
    with visitor.page.expect_download() as saving:
        visitor.page.click("text=Save trace")
    path = tmp_path / "tree.json"
    saving.value.save_as(path)
    tree = ForkTree.from_json(path.read_text(encoding="utf-8"))
    assert [t.token_ids for t in tree.traces] == [ids for _, _, ids in shown]
    visitor.page.set_input_files("#stage input[type=file]", path)
    visitor.wait("file")
    rows = visitor.page.locator("#stage .fork-row")
    assert rows.count() == 3
    rows.nth(1).locator(".fork-go").click()
    assert visitor.stage("s.state.record.tail.token_ids") == shown[1][2]
    assert "The answers" in visitor.text("#stage .compared")
    visitor.act("unpin")
    visitor.act("pin", pass_=0, i=0)
    assert visitor.page.locator("#stage .card .fork-form").is_hidden()  # a run from a file has no question to ask again
    visitor.page.click("text=Back to the conversation")
    assert visitor.stage(FORKS) == shown
    with visitor.page.expect_download() as saving:
        visitor.page.click("text=Save replay file")
    page = tmp_path / "replay.html"
    saving.value.save_as(page)
    visitor.page.goto(page.as_uri())
    visitor.page.wait_for_selector(".fork-row")
    visitor.page.locator(".fork-row").nth(2).locator(".fork-go").click()
    assert visitor.stage("s.state.record.tail.token_ids") in [shown[1][2], shown[2][2]]
    assert visitor.page.locator(".answer .given").text_content()


def big_tree(deep: int, wide: int) -> dict[str, Any]:
    """`wide` forks at each of `deep` levels, whose names try to be markup."""
    root = make_trace(passes=4)
    own = make_trace(passes=2)
    whole = root.to_dict()
    forks = []
    for level in range(deep):
        for i in range(wide):
            parent = 0 if level == 0 else (level - 1) * wide + 1
            passes = [p | {"start": p["start"] + 1} for p in own.to_dict()["passes"]]
            given = [[root.token_ids[0], "x"]]
            fork = {"passes": passes, "given": given, "token_ids": [given[0][0], *own.token_ids]}
            name = HOSTILE[(level * wide + i) % len(HOSTILE)][:100]
            forks.append({"name": name, "parent": parent, "place": 1, "trace": whole | fork})
    return whole | {"forks": forks}


def test_a_tree_twenty_deep_and_fifty_wide_is_drawn(visitor: Visitor, tmp_path: Path) -> None:
    data = big_tree(20, 50)
    text = json.dumps(data)
    assert len(ForkTree.from_json(text).forks) == 1000
    page = tmp_path / "tree.html"
    page.write_text(theatre.player().replace(theatre.DATA_SLOT, theatre.embedded(text)), encoding="utf-8")
    visitor.page.goto(page.as_uri())
    visitor.page.wait_for_selector(".fork-row")
    assert visitor.stage("s.state.loaded.length") == 1001
    assert visitor.page.locator(".fork-row").count() < 40  # those in view, however many there are
    assert visitor.page.locator(".fork-row").first.get_attribute("aria-setsize") == "1001"
    took = visitor.stage(
        "(() => { const t = performance.now(); s.forks.key = ''; s.forks.view.forks = []; s.forks.render(s.state);"
        " s.forks.node.getBoundingClientRect(); return performance.now() - t; })()"
    )
    print(f"a tree of 1,001 runs was drawn in {took:.1f} ms")
    seen: set[tuple[str, int]] = set()
    rows = "[...document.querySelectorAll('.fork-row')].map((r) => [r.querySelector('.fork-go').textContent, r.style])"
    tall = visitor.page.evaluate("document.querySelector('.fork-list').scrollHeight")
    for top in range(0, tall + 1, tall // 60):  # each depth but the first few has 49 rows together, a twentieth of all
        visitor.page.evaluate("(top) => (document.querySelector('.fork-list').scrollTop = top)", top)
        visitor.settle()
        found = f"{rows}.map(([name, style]) => [name, Number(style.getPropertyValue('--depth'))])"
        seen |= {(name, depth) for name, depth in visitor.page.evaluate(found)}
    assert {depth for _, depth in seen} == set(range(21))
    assert "<img src=x onerror=window.hacked=3>" in {name for name, _ in seen}
    assert visitor.page.evaluate("window.hacked") is None
    visitor.page.locator(".fork-row .fork-go").last.click()
    assert visitor.page.locator(".fork-row.shown").count() == 1
    assert visitor.page.locator(".fork-row.shown").get_attribute("data-index") != "0"
