"""Moving τ: the passes that are shown are judged again, then the prompt is decoded again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.app.synthetic import make_trace
from tests.browser.conftest import visiting

if TYPE_CHECKING:
    from tests.browser.conftest import Visitor


def test_moving_tau_is_judged_here_and_then_decoded(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Why is the sky blue?", tau=0.9, tokens=48)
    old = visitor.stage("s.state.record.passes.length")
    asked = len(visitor.requests)
    slider = visitor.page.locator("#stage input.tau")
    slider.focus()
    visitor.stage("(s.rest = s.whatIf.on.rest, s.whatIf.on.rest = () => {})")  # however long it takes, it is moving
    for _ in range(19):
        slider.press("ArrowLeft")
    assert "judged again, not decoded again" in visitor.text("#stage .whatif-note")
    assert visitor.requests[asked:] == []
    visitor.stage("(s.whatIf.on.rest = s.rest)")
    slider.press("ArrowLeft")
    visitor.page.wait_for_selector("#stage .compare:visible")
    visitor.wait("done")
    assert visitor.stage("s.state.record.head.config.threshold") == 0.7
    assert len(visitor.requests) > asked
    assert f"{old} pass" in visitor.text("#stage .compare:visible")
    swap = visitor.page.locator("#stage .compare:visible button")
    swap.focus()
    swap.press("Enter")
    assert visitor.stage("s.state.record.passes.length") == old
    assert visitor.page.evaluate("document.activeElement.textContent") == "Show the new run"
    swap.press("Enter")
    assert visitor.stage("s.state.record.head.config.threshold") == 0.7
    visitor.stage("s.answer.update({ partsAt: 1 })")  # wherever these two part
    visitor.settle()
    assert visitor.page.locator("#stage .answer .parts").count() == 1
    file = {"name": "trace.json", "mimeType": "application/json", "buffer": make_trace().to_json().encode()}
    visitor.page.set_input_files("#stage input[type=file]", file)
    visitor.wait("file")
    visitor.settle()
    assert visitor.page.locator("#stage .answer .parts").count() == 0  # it parts from nothing


def test_tau_moved_while_it_decodes_judges_what_comes(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Count slowly", tau=0.9, tokens=400, wait=False)
    visitor.page.wait_for_function("document.querySelectorAll('#stage .row:not([hidden])').length > 2")
    visitor.stage("s.whatIf.on.rest = () => {}")  # the slider goes on moving, so nothing is decoded again
    visitor.page.locator("#stage input.tau").fill("0.5")
    judged = visitor.stage("s.state.verdict.kept.length")
    find = "document.querySelector('#stage .sdlm').parentNode.stage.state"
    visitor.page.wait_for_function(f"{find}.record.passes.length > {judged + 3}")
    visitor.settle()
    assert visitor.stage("s.state.verdict.kept.length === s.state.record.passes.length && s.state.verdict.tau === 0.5")
    counts = visitor.page.locator("#stage .row:not([hidden]) .count").all_text_contents()
    assert all(re.fullmatch(r"\+[1-8]", count) for count in counts), counts
    visitor.page.click("#stage .go")
    visitor.wait("stopped")
    assert visitor.text("#stage .answer") == visitor.stage("s.state.record.toJSON().text")


def test_tau_that_rests_while_it_decodes_ends_nothing(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Count slowly", tau=0.9, tokens=400, wait=False)
    visitor.page.wait_for_function("document.querySelectorAll('#stage .row:not([hidden])').length > 2")
    visitor.stage("(s.rest = s.whatIf.on.rest, s.whatIf.on.rest = () => (s.rest(), (s.rested = true)))")
    visitor.page.locator("#stage input.tau").fill("0.5")
    assert "goes on as it began" in visitor.text("#stage .whatif-note")
    key = visitor.stage("s.state.record.key")
    visitor.until("s.rested")
    assert visitor.stage("[s.state.status, s.state.record.key, s.state.verdict.tau]") == ["running", key, 0.5]
    visitor.page.click("#stage .go")
    visitor.wait("stopped")
    assert "once more" in visitor.text("#stage .whatif-note")  # it has rested already


def test_decoding_again_that_fails_leaves_the_answer(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Why is the sky blue?", tau=0.9, tokens=16)
    answer, key = visitor.stage("[s.state.turns[1].content, s.state.record.key]")
    visitor.stage("(s.real = s.session.gradio.send, s.session.gradio.send = () => {})")  # the server is spoken for here
    broken = "s.session.receive({ kind: 'failed', message: 'It broke.' })"
    begun = "s.session.receive({ kind: 'start', head: s.state.kept.head })"
    begun += ", s.session.receive({ kind: 'passes', passes: [s.state.kept.passes[0]] })"
    for tau, said in (("0.5", broken), ("0.4", f"({begun}, {broken})")):  # before it begins, and midway
        visitor.page.locator("#stage input.tau").fill(tau)
        visitor.wait("waiting")
        visitor.stage(said)
        assert visitor.stage("[s.state.status, s.state.record.key, s.state.live.key]") == ["failed", key, key]
        assert visitor.stage("s.state.turns.map((t) => t.content)") == ["Why is the sky blue?", answer]
        assert visitor.page.locator("#stage .turn").count() == 2
    visitor.stage("(s.session.wire.leave(), s.session.gradio.send = s.real)")
    visitor.ask("And why is it red?", tokens=8)
    assert visitor.stage("s.state.turns.map((t) => t.role)") == ["user", "assistant"] * 2


def test_tau_moved_just_before_a_question_asks_for_nothing(browser: Any, address: str) -> None:
    with visiting(browser) as visitor:  # the clock is the context's
        visitor.open(address)
        visitor.ask("Why is the sky blue?", tau=0.9, tokens=16)
        visitor.stage("s.session.gradio.send = (request) => (s.asked = [...(s.asked || []), request])")  # a slow server
        visitor.page.clock.install()
        visitor.page.locator("#stage input.tau").fill("0.5")
        assert visitor.stage("s.state.verdict.tau") == 0.5
        visitor.page.fill("#stage textarea", "And why is it red?")
        visitor.page.click("#stage .go")
        visitor.page.clock.fast_forward(10_000)  # τ would have rested
        assert visitor.stage("s.state.status") == "waiting"
        assert visitor.stage("s.asked.map((r) => [r.messages.at(-1).content, r.settings.threshold])") == [
            ["And why is it red?", 0.5]
        ]
