"""Talking to the model through the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.theatre import theatre
from tests.browser.conftest import patient, visiting

if TYPE_CHECKING:
    from tests.browser.conftest import Hold, Visitor


def test_an_answer_streams_into_rows_and_spans(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.stage("s.seen = new Set()")
    visitor.stage("s.store.subscribe(({ record }) => record && s.seen.add(record.passes.length))")
    visitor.ask("Why is the sky blue?", tokens=64)
    assert visitor.stage("s.seen.size") > 3  # it grew
    passes = visitor.stage("s.state.record.passes")
    assert sum(p["accepted"] for p in passes) == 64
    assert visitor.text("#stage .stats b") == str(len(passes))
    rows = visitor.page.locator("#stage .row:not([hidden])")
    assert rows.last.locator(".chip:visible").count() == 8
    last = visitor.stage("s.state.record.passes.length")
    kept = visitor.page.locator(f"#stage .row[data-p='{last - 1}'] .chip.kept:visible").count()
    assert kept == passes[-1]["accepted"]
    assert visitor.page.locator("#stage .answer .span").count() == len(passes)
    owned = "document.querySelector('#stage .passes').getAttribute('aria-owns').split(' ')"
    read = visitor.page.evaluate(f"{owned}.map((id) => Number(document.getElementById(id).dataset.p))")
    assert read == list(range(read[0], last))  # to a screen reader the rows stand in the passes' order
    written = "".join(c["text"] for p in passes for c in p["candidates"][: p["accepted"]])
    assert visitor.stage("s.state.turns[1].content") == written  # the server's answer is what the passes kept
    assert [url for url in visitor.requests if not url.startswith((address, "data:", "blob:"))] == []


def test_stop_ends_decoding_within_a_pass(visitor: Visitor, address: str, log: Path, hold: Hold) -> None:
    visitor.open(address)
    visitor.ask("Count slowly", tokens=400, wait=False)
    visitor.wait("running")
    visitor.page.wait_for_function("document.querySelectorAll('#stage .row:not([hidden])').length > 2")
    hold.now()
    patient(visitor, hold.holds)  # no pass ends now
    shown = visitor.stage("s.state.record.passes.length")
    with visitor.page.expect_response("**/component_server/"):
        visitor.page.click("#stage .go")
    hold.release()
    visitor.wait("stopped")
    assert visitor.stage("s.state.record.passes.length") <= shown + 2
    assert visitor.stage("s.state.record.tail.finish_reason") == "cancelled"
    done, limit = log.read_text().splitlines()[-1].split(" of ")
    assert int(done) <= shown + 2 < int(limit)


def test_a_closed_page_ends_its_run(visitors: tuple[Visitor, Visitor], address: str, log: Path) -> None:
    gone, there = visitors
    gone.open(address)
    there.open(address)
    gone.ask("Count slowly", tokens=400, algorithm="autoregressive", wait=False)
    gone.wait("running")
    before = len(log.read_text().splitlines())
    gone.page.close()
    there.ask("And now me", tokens=16)
    assert there.stage("s.state.status") == "done"

    def ended() -> list[list[str]]:
        return [line.split(" of ") for line in log.read_text().splitlines()[before:]]

    patient(there, lambda: any(limit == "400" for _, limit in ended()))
    assert min(int(done) for done, limit in ended() if limit == "400") < 400  # one pass a token


def test_two_visitors_never_see_each_others_run(visitors: tuple[Visitor, Visitor], address: str, hold: Hold) -> None:
    one, other = visitors
    one.open(address)
    other.open(address)
    hold.now()
    before = hold.asked()
    one.ask("The first visitor asks", tokens=64, algorithm="autoregressive", wait=False)
    patient(one, hold.holds)
    other.ask("The second visitor asks", tokens=24, wait=False)
    patient(other, lambda: hold.asked() == before + 2)
    hold.after(1)
    hold.release()
    other.wait("done")
    one.wait("running")  # they were decoded together
    hold.release()
    one.wait("done")
    for someone, mine, theirs, length in ((one, "first", "second", 64), (other, "second", "first", 24)):
        prompt = someone.stage("s.state.record.head.prompt")
        assert f"The {mine} visitor" in prompt
        assert f"The {theirs} visitor" not in someone.page.content()
        assert someone.stage("s.state.turns.length") == 2
        assert someone.stage("s.state.record.tokens") == length


def test_retry_and_clear(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("One", tokens=16)
    visitor.ask("Two", tokens=16)
    assert visitor.stage("s.state.turns.map((t) => t.role)") == ["user", "assistant"] * 2
    first = visitor.stage("s.state.record.key")
    visitor.page.click("text=Retry")
    again = "(key) => { const s = document.querySelector('#stage .sdlm').parentNode.stage;"
    again += " return s.state.record && s.state.record.key > key && s.state.status === 'done'; }"
    visitor.page.wait_for_function(again, arg=first)
    assert visitor.stage("s.state.turns.map((t) => t.content)")[::2] == ["One", "Two"]
    assert visitor.stage("s.state.record.head.prompt_tokens") > 30  # the conversation so far is part of the prompt
    visitor.page.click("#stage button:has-text('Clear')")
    assert visitor.stage("s.state.turns.length") == 0
    assert visitor.stage("s.state.status") == "empty"
    visitor.page.wait_for_selector("#stage .row:visible", state="detached")  # drawn with the next frame


def test_mistakes_become_sentences(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.stage("s.compose.text.removeAttribute('maxlength')")
    visitor.ask("x" * 5000)
    assert visitor.stage("s.state.status") == "failed"
    assert "at most 4,000" in visitor.text("#stage .banner")
    visitor.ask("break it")
    assert "RuntimeError" in visitor.text("#stage .banner")
    assert "a secret of the server" not in visitor.page.content()
    visitor.ask("And it still works", tokens=8)
    assert visitor.stage("s.state.status") == "done"


def test_a_run_that_breaks_midway_can_be_replayed(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Count slowly", tokens=400, wait=False)
    visitor.page.wait_for_function("document.querySelectorAll('#stage .row:not([hidden])').length > 2")
    visitor.stage("(s.session.wire.leave(), s.session.receive({ kind: 'failed', message: 'It broke.' }))")
    assert visitor.text("#stage .where").startswith(f"pass {visitor.stage('s.state.record.passes.length')} of")
    assert visitor.stage("s.state.coming") is False
    assert visitor.stage("(s.dispatch({ type: 'toggle' }), s.state.playing)")


def test_a_model_that_cannot_be_loaded_is_not_forgotten(visitor: Visitor, address: str) -> None:
    """The recorded example comes later than the failure, and is shown without a word of asking."""
    visitor.open(address)
    status, message, shown = visitor.page.evaluate(
        """async (folder) => {
          const load = (name) => import(new URL(`${folder}/${name}.js`, document.baseURI));
          const [{ mountStage }, { Models }] = await Promise.all([load("stage"), load("models")]);
          const texts = [JSON.stringify(document.querySelector('#stage .sdlm').parentNode.stage.state.record)];
          let answer;
          const later = new Promise((done) => (answer = () => done(texts)));
          const status = { state: "failed", message: "No such model." };
          const curves = async () => ({ model: "", curves: [] });
          const server = { status: async () => status, examples: () => later, curves };
          const gradio = { props: {}, watch: () => {}, server };
          const stage = mountStage(document.createElement("div"), gradio, new Models(server));
          const until = (is) => new Promise((done) => stage.store.subscribe((state) => is(state) && done()));
          const shown = until((state) => state.record);
          await until((state) => state.model);
          answer();
          await shown;
          return [stage.state.status, stage.summary.banner.textContent, stage.state.record.origin];
        }""",
        theatre.folder(),
    )
    assert (status, message, shown) == ("failed", "No such model.", "example")


def test_tokens_that_try_to_be_markup(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    elements = "document.querySelectorAll('script, svg[onload], img, a[href^=javascript]').length"
    before = visitor.page.evaluate(elements)
    visitor.ask("hostile <img src=x onerror=window.hacked=9>")
    assert visitor.stage("s.state.status") == "done"
    for cursor in range(1, visitor.stage("s.state.record.passes.length") + 1):
        visitor.act("seek", cursor=cursor)
        for i in range(3):
            visitor.act("pin", pass_=cursor - 1, i=i)
        visitor.settle()
    assert visitor.page.evaluate("window.hacked") is None
    assert visitor.page.evaluate(elements) == before
    assert "<script>window.hacked = 1</script>" in visitor.text("#stage .answer")
    assert "\u202e" not in visitor.text("#stage .answer")  # direction overrides are shown, not obeyed


def test_a_card_of_the_newest_pass_hears_what_became_of_its_guess(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Count slowly", tokens=400, wait=False, algorithm="self_speculative")
    visitor.page.wait_for_function("document.querySelectorAll('#stage .row:not([hidden])').length > 2")
    pin = "s.dispatch({ type: 'pin', pass: s.state.record.passes.length - 1, i: 7 })"
    said = visitor.stage(f"({pin}, s.card.body.querySelector('.verdict').textContent)")
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
    assert visitor.stage("[s.state.status, s.state.following]") == ["running", False]
    visitor.page.click("#stage .go")
    visitor.wait("stopped")
    visitor.page.fill("#stage textarea", "Count slowly again")
    visitor.page.keyboard.press("Enter")
    visitor.wait("running")
    visitor.page.wait_for_function("document.querySelectorAll('#stage .row:not([hidden])').length > 2")
    visitor.page.keyboard.press(" ")  # the focus is still where the prompt was, which is empty
    assert visitor.stage("[s.state.status, s.state.following, s.compose.text.value]") == ["running", False, ""]
    visitor.page.keyboard.type("a b")
    assert visitor.page.input_value("#stage textarea") == "a b"
    visitor.page.click("#stage .go")
    visitor.wait("stopped")


def test_a_sample_is_drawn_anew(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.stage("s.session.gradio.send = (request) => (s.asked = [...(s.asked || []), request.settings.seed])")
    visitor.stage("s.compose.temperature.set(1)")
    for prompt in ("One", "Two"):
        visitor.ask(prompt, wait=False)
        visitor.stage("s.session.receive({ kind: 'failed', message: 'Enough.' })")
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
    before = visitor.stage("[s.state.turns, s.state.record.passes, s.state.request.settings]")
    visitor.open(address)
    assert visitor.stage("[s.state.turns, s.state.record.passes, s.state.request.settings]") == before
    assert visitor.stage("[s.state.status, s.state.tau]") == ["done", 0.4]
    visitor.page.evaluate("history.replaceState(null, '', '#prompt=Three')")  # as Copy link leaves it
    visitor.page.reload()
    visitor.page.wait_for_selector("#stage .row:not([hidden])")
    assert visitor.stage("s.state.turns") == before[0]
    assert visitor.page.input_value("#stage textarea") == ""
    key = visitor.stage("s.state.record.key")
    visitor.page.click("text=Retry")
    visitor.until(f"s.state.record && s.state.record.key !== {key} && s.state.status === 'done'")
    assert visitor.stage("s.state.turns.map((t) => t.role)") == ["user", "assistant"] * 2
    visitor.page.evaluate("sessionStorage.setItem('sdlm-conversation', '{\"request\": {\"messages\": []}}')")
    visitor.open(address)  # which another version of it had left
    assert visitor.stage("[s.state.status, s.state.turns]") == ["example", []]
    visitor.ask("One", tokens=8)
    visitor.page.click("#stage button:has-text('Clear')")
    visitor.open(address)
    assert visitor.stage("s.state.status") == "example"


def test_a_link_carries_prompt_and_settings_and_starts_nothing(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.page.fill("#stage textarea", "A prompt & more <b>")
    visitor.stage("(s.dispatch({ type: 'set tau', tau: .35 }), s.compose.length.set(80), s.compose.block.set(4))")
    visitor.page.click("#stage button:has-text('Copy link')")
    visitor.page.wait_for_function("location.hash.includes('prompt')")
    link = visitor.page.url
    visitor.page.goto("about:blank")
    visitor.open(link)
    assert visitor.page.input_value("#stage textarea") == "A prompt & more <b>"
    values = visitor.stage("s.compose.values(s.state.tau)")
    assert (values["threshold"], values["max_new_tokens"], values["block_size"]) == (0.35, 80, 4)
    assert visitor.stage("s.state.status") == "example"
    visitor.page.goto("about:blank")
    visitor.open(address + "#prompt=hi&d=999&tau=javascript:alert(1)&algorithm=constructor&length=-5&temperature=NaN")
    values = visitor.stage("s.compose.values(s.state.tau)")
    assert values["algorithm"] == "prob_conf"
    assert values["block_size"] == "auto"
    assert 0 <= values["threshold"] <= 1


def test_a_phone_shows_every_tab_whole(browser: Any, address: str) -> None:
    wide = """() => Math.max(...["html", "body", ".gradio-container", ".gradio-container > .main", "[role=tabpanel]"]
        .flatMap((name) => [...document.querySelectorAll(name)]).map((n) => n.scrollWidth))"""
    edges = "(name) => (({ left, right }) => [left, right])(document.querySelector(name).getBoundingClientRect())"
    with visiting(browser, viewport={"width": 390, "height": 844}) as visitor:
        visitor.open(address)
        for tab, part in (("Watch", "#stage .columns"), ("Race", "#race .racers"), ("Trade-off lab", None)):
            visitor.page.click(f"button[role=tab]:has-text('{tab}')")
            if part:
                visitor.page.wait_for_selector(part)
                left, right = visitor.page.evaluate(edges, part)
                assert left <= 12, tab
                assert right >= 378, tab
            visitor.settle()
            assert visitor.page.evaluate(wide) <= 390, tab


def test_bytes_on_the_wire(visitor: Visitor, address: str) -> None:
    """A pass costs itself: the events of a run are counted as they arrive."""
    visitor.open(address)
    session = visitor.context.new_cdp_session(visitor.page)
    session.send("Network.enable")
    sizes: list[int] = []
    session.on("Network.dataReceived", lambda event: sizes.append(event["dataLength"]))
    visitor.ask("Why is the sky blue?", tau=1.0, tokens=200)
    passes = visitor.stage("s.state.record.passes.length")
    assert passes == 200
    assert sum(sizes) / passes <= 6144, sum(sizes) / passes
