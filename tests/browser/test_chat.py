"""Talking to the model through the page."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.app.synthetic import make_trace

if TYPE_CHECKING:
    from tests.browser.conftest import Visitor


def test_an_answer_streams_into_rows_and_spans(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Why is the sky blue?", tokens=64, wait=False)
    visitor.wait("running")
    seen = set()
    while visitor.stage("s.status") == "running":
        seen.add(visitor.stage("s.record ? s.record.passes.length : 0"))
        time.sleep(0.02)
    assert len(seen) > 3  # it grew while it was watched
    visitor.wait("done")
    passes = visitor.stage("s.record.passes")
    assert sum(p["accepted"] for p in passes) == 64
    assert visitor.text("#stage .stats b") == str(len(passes))
    rows = visitor.page.locator("#stage .row:not([hidden])")
    assert rows.last.locator(".chip:visible").count() == 8
    last = visitor.stage("s.record.passes.length")
    kept = visitor.page.locator(f"#stage .row[data-p='{last - 1}'] .chip.kept:visible").count()
    assert kept == passes[-1]["accepted"]
    assert visitor.page.locator("#stage .answer .span").count() == len(passes)
    owned = "document.querySelector('#stage .passes').getAttribute('aria-owns').split(' ')"
    read = visitor.page.evaluate(f"{owned}.map((id) => Number(document.getElementById(id).dataset.p))")
    assert read == list(range(read[0], last))  # to a screen reader the rows stand in the passes' order
    written = "".join(c["text"] for p in passes for c in p["candidates"][: p["accepted"]])
    assert visitor.stage("s.turns[1].content") == written  # what the server calls the answer is what the passes kept
    assert [url for url in visitor.requests if not url.startswith((address, "data:", "blob:"))] == []


def test_stop_ends_decoding_within_a_pass(visitor: Visitor, address: str, log: Path) -> None:
    visitor.open(address)
    visitor.ask("Count slowly", tokens=400, wait=False)
    visitor.wait("running")
    visitor.page.wait_for_function("document.querySelectorAll('#stage .row:not([hidden])').length > 2")
    visitor.page.click("#stage .go")
    shown = visitor.stage("s.record.passes.length")
    visitor.wait("stopped")
    assert visitor.stage("s.record.passes.length") <= shown + 2
    assert visitor.stage("s.record.tail.finish_reason") == "cancelled"
    done, limit = log.read_text().splitlines()[-1].split(" of ")
    assert int(done) <= shown + 2 < int(limit)


def test_a_closed_page_ends_its_run(visitors: tuple[Visitor, Visitor], address: str, log: Path) -> None:
    gone, there = visitors
    gone.open(address)
    there.open(address)
    gone.ask("Count slowly", tokens=400, wait=False)
    gone.wait("running")
    before = len(log.read_text().splitlines())
    gone.page.close()
    there.ask("And now me", tokens=16)
    assert there.stage("s.status") == "done"
    ended = [line.split(" of ") for line in log.read_text().splitlines()[before:]]
    assert min(int(done) for done, limit in ended if limit == "400") < 100  # it would last for 40 seconds


def test_two_visitors_never_see_each_others_run(visitors: tuple[Visitor, Visitor], address: str) -> None:
    one, other = visitors
    one.open(address)
    other.open(address)
    one.ask("The first visitor asks slowly", tokens=160, wait=False)
    one.wait("running")
    other.ask("The second visitor asks", tokens=24)
    assert one.stage("s.status") == "running"  # they were decoded together
    one.wait("done")
    other.wait("done")
    for someone, mine, theirs, length in ((one, "first", "second", 160), (other, "second", "first", 24)):
        prompt = someone.stage("s.record.head.prompt")
        assert f"The {mine} visitor" in prompt
        assert f"The {theirs} visitor" not in someone.page.content()
        assert someone.stage("s.turns.length") == 2
        assert someone.stage("s.record.tokens") == length


def test_retry_and_clear(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("One", tokens=16)
    visitor.ask("Two", tokens=16)
    assert visitor.stage("s.turns.map((t) => t.role)") == ["user", "assistant"] * 2
    first = visitor.stage("s.record.key")
    visitor.page.click("text=Retry")
    again = "(key) => { const s = document.querySelector('#stage .sdlm').parentNode.stage;"
    again += " return s.record && s.record.key > key && s.status === 'done'; }"
    visitor.page.wait_for_function(again, arg=first)
    assert visitor.stage("s.turns.map((t) => t.content)")[::2] == ["One", "Two"]
    assert visitor.stage("s.record.head.prompt_tokens") > 30  # the conversation so far is part of the prompt
    visitor.page.click("#stage button:has-text('Clear')")
    assert visitor.stage("s.turns.length") == 0
    assert visitor.stage("s.status") == "empty"
    visitor.page.wait_for_selector("#stage .row:visible", state="detached")  # drawn with the next frame


def test_mistakes_become_sentences(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.stage("s.compose.text.removeAttribute('maxlength')")
    visitor.ask("x" * 5000)
    assert visitor.stage("s.status") == "failed"
    assert "at most 4,000" in visitor.text("#stage .banner")
    visitor.ask("break it")
    assert "RuntimeError" in visitor.text("#stage .banner")
    assert "a secret of the server" not in visitor.page.content()
    visitor.ask("And it still works", tokens=8)
    assert visitor.stage("s.status") == "done"


def test_a_run_that_breaks_midway_can_be_replayed(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Count slowly", tokens=400, wait=False)
    visitor.page.wait_for_function("document.querySelectorAll('#stage .row:not([hidden])').length > 2")
    visitor.stage("(s.wire.leave(), s._told({ kind: 'failed', message: 'It broke.' }))")
    assert visitor.text("#stage .where").startswith(f"pass {visitor.stage('s.record.passes.length')} of")
    assert visitor.stage("s.timeline.live") is False
    assert visitor.stage("(s.timeline.toggle(), s.timeline.playing)")


def test_a_model_that_cannot_be_loaded_is_not_forgotten(visitor: Visitor, address: str) -> None:
    """The recorded example comes later than the failure, and is shown without a word of asking."""
    visitor.open(address)
    status, message, shown = visitor.page.evaluate(
        """async () => {
          const texts = [JSON.stringify(document.querySelector('#stage .sdlm').parentNode.stage.record)];
          const later = new Promise((done) => setTimeout(() => done(texts), 50));
          const status = { state: "failed", message: "No such model." };
          const server = { status: async () => status, examples: () => later };
          const stage = SDLM.mountStage(document.createElement("div"), { props: {}, watch: () => {}, server });
          await later;
          await new Promise((done) => setTimeout(done, 50));
          return [stage.status, stage.banner.textContent, stage.record.origin];
        }"""
    )
    assert (status, message, shown) == ("failed", "No such model.", "example")


def test_tokens_that_try_to_be_markup(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    elements = "document.querySelectorAll('script, svg[onload], img, a[href^=javascript]').length"
    before = visitor.page.evaluate(elements)
    visitor.ask("hostile <img src=x onerror=window.hacked=9>")
    assert visitor.stage("s.status") == "done"
    for cursor in range(1, visitor.stage("s.timeline.length") + 1):
        visitor.stage("s.timeline.seek(v)", cursor)
        for i in range(3):
            visitor.stage(f"s._pin({cursor - 1}, {i})")
        visitor.settle()
    assert visitor.page.evaluate("window.hacked") is None
    assert visitor.page.evaluate(elements) == before
    assert "<script>window.hacked = 1</script>" in visitor.text("#stage .answer")
    assert "\u202e" not in visitor.text("#stage .answer")  # direction overrides are shown, not obeyed


def test_moving_tau_is_judged_here_and_then_decoded(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Why is the sky blue?", tau=0.9, tokens=48)
    old = visitor.stage("s.record.passes.length")
    asked = len(visitor.requests)
    slider = visitor.page.locator("#stage input.tau")
    slider.focus()
    for _ in range(20):
        slider.press("ArrowLeft")
    assert "judged again, not decoded again" in visitor.text("#stage .whatif-note")
    assert visitor.requests[asked:] == []
    visitor.page.wait_for_selector("#stage .compare:not([hidden])", timeout=20_000)
    visitor.wait("done")
    assert visitor.stage("s.record.head.config.threshold") == 0.7
    assert len(visitor.requests) > asked
    assert f"{old} pass" in visitor.text("#stage .compare")
    swap = visitor.page.locator("#stage .compare button")
    swap.focus()
    swap.press("Enter")
    assert visitor.stage("s.record.passes.length") == old
    assert visitor.page.evaluate("document.activeElement.textContent") == "Show the new run"
    swap.press("Enter")
    assert visitor.stage("s.record.head.config.threshold") == 0.7
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
    judged = visitor.stage("s.verdict.kept.length")
    find = "document.querySelector('#stage .sdlm').parentNode.stage"
    visitor.page.wait_for_function(f"{find}.record.passes.length > {judged + 3}")
    visitor.settle()
    assert visitor.stage("s.verdict.kept.length === s.record.passes.length && s.verdict.tau === 0.5")
    counts = visitor.page.locator("#stage .row:not([hidden]) .count").all_text_contents()
    assert all(re.fullmatch(r"\+[1-8]", count) for count in counts), counts
    visitor.page.click("#stage .go")
    visitor.wait("stopped")
    written = visitor.stage("s.record.passes.flatMap((p) => p.candidates.slice(0, p.accepted)).map((c) => c.text)")
    assert visitor.text("#stage .answer") == "".join(written)


def test_tau_that_rests_while_it_decodes_ends_nothing(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Count slowly", tau=0.9, tokens=400, wait=False)
    visitor.page.wait_for_function("document.querySelectorAll('#stage .row:not([hidden])').length > 2")
    visitor.page.locator("#stage input.tau").fill("0.5")
    assert "goes on as it began" in visitor.text("#stage .whatif-note")
    key = visitor.stage("s.record.key")
    visitor.page.wait_for_timeout(1200)
    assert visitor.stage("[s.status, s.record.key, s.verdict.tau]") == ["running", key, 0.5]
    visitor.page.click("#stage .go")
    visitor.wait("stopped")
    assert "once more" in visitor.text("#stage .whatif-note")  # it has rested already


def test_a_card_of_the_newest_pass_hears_what_became_of_its_guess(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Count slowly", tokens=400, wait=False, algorithm="self_speculative")
    visitor.page.wait_for_function("document.querySelectorAll('#stage .row:not([hidden])').length > 2")
    said = visitor.stage("(s._pin(s.record.passes.length - 1, 7), s.card.body.querySelector('.verdict').textContent)")
    visitor.page.wait_for_function(
        "(said) => document.querySelector('#stage .card .verdict').textContent !== said", arg=said
    )
    visitor.page.click("#stage .go")
    visitor.wait("stopped")


def test_space_after_sending_stops_time_not_the_model(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Count slowly", tokens=400, wait=False)  # by the button, which is now the one that stops
    visitor.page.wait_for_function("document.querySelectorAll('#stage .row:not([hidden])').length > 2")
    visitor.page.keyboard.press(" ")
    assert visitor.stage("[s.status, s.timeline.following]") == ["running", False]
    visitor.page.click("#stage .go")
    visitor.wait("stopped")
    visitor.page.fill("#stage textarea", "Count slowly again")
    visitor.page.keyboard.press("Enter")
    visitor.wait("running")
    visitor.page.wait_for_function("document.querySelectorAll('#stage .row:not([hidden])').length > 2")
    visitor.page.keyboard.press(" ")  # the focus is still where the prompt was, which is empty
    assert visitor.stage("[s.status, s.timeline.following, s.compose.text.value]") == ["running", False, ""]
    visitor.page.keyboard.type("a b")
    assert visitor.page.input_value("#stage textarea") == "a b"
    visitor.page.click("#stage .go")
    visitor.wait("stopped")


def test_a_sample_is_drawn_anew(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.stage("s.gradio.send = (request) => (s.asked = [...(s.asked || []), request.settings.seed])")
    visitor.stage("s.compose.temperature.set(1)")
    for prompt in ("One", "Two"):
        visitor.ask(prompt, wait=False)
        visitor.stage("s._told({ kind: 'failed', message: 'Enough.' })")
    visitor.stage("s.compose.temperature.set(0)")
    visitor.ask("Three", wait=False)
    first, second, greedy = visitor.stage("s.asked")
    assert first != second
    assert greedy == 0


def test_a_page_loaded_again_has_its_conversation(visitor: Visitor, address: str) -> None:
    """As Gradio does by itself when the line to the server broke."""
    visitor.open(address)
    visitor.ask("One", tokens=16)
    visitor.ask("Two", tau=0.4, tokens=16)
    before = visitor.stage("[s.turns, s.record.passes, s.request.settings]")
    visitor.open(address)
    assert visitor.stage("[s.turns, s.record.passes, s.request.settings]") == before
    assert visitor.stage("[s.status, s.whatIf.tau]") == ["done", 0.4]
    visitor.page.evaluate("history.replaceState(null, '', '#prompt=Three')")  # as Copy link leaves it
    visitor.page.reload()
    visitor.page.wait_for_selector("#stage .row:not([hidden])")
    assert visitor.stage("s.turns") == before[0]
    assert visitor.page.input_value("#stage textarea") == ""
    visitor.page.click("text=Retry")
    visitor.wait("waiting", "running")
    visitor.wait("done")
    assert visitor.stage("s.turns.map((t) => t.role)") == ["user", "assistant"] * 2
    visitor.page.evaluate("sessionStorage.setItem('sdlm-conversation', '{\"request\": {\"messages\": []}}')")
    visitor.open(address)  # which another version of it had left
    assert visitor.stage("[s.status, s.turns]") == ["example", []]
    visitor.ask("One", tokens=8)
    visitor.page.click("#stage button:has-text('Clear')")
    visitor.open(address)
    assert visitor.stage("s.status") == "example"


def test_decoding_again_that_fails_leaves_the_answer(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Why is the sky blue?", tau=0.9, tokens=16)
    answer, key = visitor.stage("[s.turns[1].content, s.record.key]")
    visitor.stage("(s.real = s.gradio.send, s.gradio.send = () => {})")  # what the server says is said here
    broken = "s._told({ kind: 'failed', message: 'It broke.' })"
    begun = "s._told({ kind: 'start', head: s.kept.head }), s._told({ kind: 'passes', passes: [s.kept.passes[0]] })"
    for tau, said in (("0.5", broken), ("0.4", f"({begun}, {broken})")):  # before it begins, and midway
        visitor.page.locator("#stage input.tau").fill(tau)
        visitor.wait("waiting")
        visitor.stage(said)
        assert visitor.stage("[s.status, s.record.key, s.live.key]") == ["failed", key, key]
        assert visitor.stage("s.turns.map((t) => t.content)") == ["Why is the sky blue?", answer]
        assert visitor.page.locator("#stage .turn").count() == 2
    visitor.stage("(s.wire.leave(), s.gradio.send = s.real)")
    visitor.ask("And why is it red?", tokens=8)
    assert visitor.stage("s.turns.map((t) => t.role)") == ["user", "assistant"] * 2


def test_tau_moved_just_before_a_question_asks_for_nothing(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Why is the sky blue?", tau=0.9, tokens=16)
    visitor.stage("s.gradio.send = (request) => (s.asked = [...(s.asked || []), request])")  # a server that is slow
    visitor.page.locator("#stage input.tau").fill("0.5")
    assert visitor.stage("s.verdict.tau") == 0.5
    visitor.page.fill("#stage textarea", "And why is it red?")
    visitor.page.click("#stage .go")
    visitor.page.wait_for_timeout(1200)
    assert visitor.stage("s.status") == "waiting"
    assert visitor.stage("s.asked.map((r) => [r.messages.at(-1).content, r.settings.threshold])") == [
        ["And why is it red?", 0.5]
    ]


def test_a_link_carries_prompt_and_settings_and_starts_nothing(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.page.fill("#stage textarea", "A prompt & more <b>")
    visitor.stage("(s.whatIf.set(.35), s.compose.length.set(80), s.compose.block.set(4))")
    visitor.page.click("#stage button:has-text('Copy link')")
    visitor.page.wait_for_function("location.hash.includes('prompt')")
    link = visitor.page.url
    visitor.page.goto("about:blank")
    visitor.open(link)
    assert visitor.page.input_value("#stage textarea") == "A prompt & more <b>"
    values = visitor.stage("s.compose.values(s.whatIf.tau)")
    assert (values["threshold"], values["max_new_tokens"], values["block_size"]) == (0.35, 80, 4)
    assert visitor.stage("s.status") == "example"
    visitor.page.goto("about:blank")
    visitor.open(address + "#prompt=hi&d=999&tau=javascript:alert(1)&algorithm=constructor&length=-5&temperature=NaN")
    values = visitor.stage("s.compose.values(s.whatIf.tau)")
    assert values["algorithm"] == "prob_conf"
    assert 1 <= values["block_size"] <= 16
    assert 0 <= values["threshold"] <= 1


def test_a_phone_shows_every_tab_whole(browser: Any, address: str) -> None:
    from tests.browser.conftest import Visitor

    visitor = Visitor(browser, viewport={"width": 390, "height": 844}).open(address)
    wide = """() => Math.max(...["html", "body", ".gradio-container", ".gradio-container > .main", "[role=tabpanel]"]
        .flatMap((name) => [...document.querySelectorAll(name)]).map((n) => n.scrollWidth))"""
    edges = "(name) => (({ left, right }) => [left, right])(document.querySelector(name).getBoundingClientRect())"
    for tab, part in (("Watch", "#stage .columns"), ("Race", "#race .racers"), ("Trade-off lab", None)):
        visitor.page.click(f"button[role=tab]:has-text('{tab}')")
        if part:
            visitor.page.wait_for_selector(part)
            left, right = visitor.page.evaluate(edges, part)
            assert left <= 12, tab
            assert right >= 378, tab
        visitor.settle()
        assert visitor.page.evaluate(wide) <= 390, tab
    visitor.context.close()
    assert visitor.wrong == []


def test_bytes_on_the_wire(visitor: Visitor, address: str) -> None:
    """A pass costs itself: the events of a run are counted as they arrive."""
    visitor.open(address)
    session = visitor.context.new_cdp_session(visitor.page)
    session.send("Network.enable")
    sizes: list[int] = []
    session.on("Network.dataReceived", lambda event: sizes.append(event["dataLength"]))
    visitor.ask("Why is the sky blue?", tau=1.0, tokens=200)
    passes = visitor.stage("s.record.passes.length")
    visitor.page.wait_for_timeout(300)
    assert passes == 200
    assert sum(sizes) / passes <= 6144, sum(sizes) / passes
