"""The stage in an exported file: no server, no model, every control at work."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.app.synthetic import HOSTILE, make_trace

if TYPE_CHECKING:
    from tests.browser.conftest import Visitor


@pytest.fixture
def replay(visitor: Visitor, tmp_path: Path) -> Visitor:
    return visitor.replay(make_trace(), tmp_path)


def test_an_exported_file_replays_the_same_counts(replay: Visitor) -> None:
    trace = make_trace()
    counts = []
    for i in range(1, len(trace.passes) + 1):
        replay.stage("s.timeline.seek(v)", i)
        counts.append(replay.text(f".row[data-p='{i - 1}'] .count"))
    assert counts == [f"+{p.accepted}" for p in trace.passes]
    assert replay.text(".answer").replace("■", "") == trace.text
    assert [url for url in replay.requests if not url.startswith("file:")] == []


def test_hovering_links_passes_and_spans(replay: Visitor) -> None:
    replay.stage("s.timeline.seek(6)")
    replay.page.hover(".span[data-p='3']")
    replay.settle()
    assert "lit" in str(replay.page.get_attribute(".row[data-p='3']", "class"))
    assert "lit" in str(replay.page.get_attribute(".span[data-p='3']", "class"))
    replay.page.hover(".row[data-p='4'] .count")
    replay.settle()
    assert "lit" in str(replay.page.get_attribute(".span[data-p='4']", "class"))
    assert "lit" not in str(replay.page.get_attribute(".span[data-p='3']", "class"))


def test_time_by_keyboard(replay: Visitor) -> None:
    length = replay.stage("s.timeline.length")
    press = replay.page.keyboard.press
    cursor = "s.timeline.cursor"
    press("Home")
    assert replay.stage(cursor) == 1
    press("ArrowRight")
    press("ArrowRight")
    press("ArrowLeft")
    assert replay.stage(cursor) == 2
    assert replay.text(".stats b") == "2"
    assert replay.text(".answer").startswith(
        "".join(c.text for p in make_trace().passes[:2] for c in p.candidates[: p.accepted])
    )
    press("End")
    assert replay.stage(cursor) == length
    press("Home")
    press(" ")
    while replay.stage(cursor) < length:  # it plays; the page's policy forbids playwright's own way of waiting
        replay.page.wait_for_timeout(50)
    press("Home")
    press(" ")
    press(" ")
    assert replay.stage("s.timeline.playing") is False


def test_time_by_hand(replay: Visitor) -> None:
    replay.page.fill("input.scrub", "3")
    assert replay.stage("s.timeline.cursor") == 3
    replay.page.click("button[aria-label^='One pass on']")
    assert replay.stage("s.timeline.cursor") == 4
    assert "pass 4 of" in replay.text(".where")
    replay.page.select_option(".timeline select", "4")
    assert replay.stage("s.timeline.speed") == 4


def test_the_card_tells_what_became_of_a_guess(replay: Visitor) -> None:
    trace = make_trace()
    index = next(p.index for p in trace.passes if 1 < p.accepted < 7 and p.index > 2)
    p = trace.passes[index]
    replay.stage("s.timeline.seek(v)", index + 1)
    replay.page.click(f".row[data-p='{index}'] .chip[data-i='{p.accepted}']")
    card = replay.text(".card")
    assert f"guess {p.accepted + 1} of 8" in card
    assert "is not above τ = .60" in card
    assert re.search(r"Pass \d+ (wrote|guessed the same)", card)
    assert replay.page.locator(".card .alternatives li").count() == len(p.candidates[p.accepted].alternatives[:5])
    replay.page.keyboard.press("Escape")
    assert replay.page.locator(".card:visible").count() == 0
    replay.page.locator(f".row[data-p='{index}'] .chip").first.focus()
    replay.page.keyboard.press("Enter")
    assert "guess 1 of 8" in replay.text(".card")


def test_the_card_tells_the_tau_that_is_tried_from_the_recorded_one(replay: Visitor) -> None:
    p = next(p for p in make_trace().passes if p.accepted < 7 and p.candidates[p.accepted].confidence > 0.2)
    replay.stage("s.timeline.seek(v)", p.index + 1)
    replay.page.click(f".row[data-p='{p.index}'] .chip[data-i='{p.accepted}']")
    recorded = replay.text(".card")
    assert "In the recorded run" not in recorded
    slider = replay.page.locator("input.tau")
    slider.fill("0.2")
    card = replay.text(".card .verdict")
    assert card.startswith("τ = .20 would keep it. In the recorded run (τ = .60) it was discarded:")
    assert "(τ = .20)" in replay.text(".card dl")
    slider.fill("0.95")
    assert replay.text(".card .verdict").startswith("τ = .95 would discard it.")
    slider.fill("0.6")
    assert replay.text(".card") == recorded
    assert replay.page.evaluate("document.activeElement.className") == "tau"  # what is rewritten takes no focus


def test_the_card_tells_drafts_that_are_checked_from_those_dropped(visitor: Visitor, tmp_path: Path) -> None:
    made = make_trace()
    passes = list(made.passes)
    p = next(p for p in passes[:-1] if p.accepted < 7)
    passes[p.index + 1] = replace(passes[p.index + 1], draft=p.candidates[p.accepted : p.accepted + 1])
    config = replace(made.config, algorithm="self_speculative")
    visitor.replay(replace(made, passes=tuple(passes), config=config), tmp_path)
    last = passes[-1]
    for index, i, said in (
        (p.index, p.accepted, "Not kept yet: a draft for the next pass to check."),
        (p.index, p.accepted + 1, "Dropped: too unlikely to be worth checking."),
        (last.index, last.accepted, "Not kept. The answer ended before this place."),
    ):
        visitor.stage("s.timeline.seek(v)", index + 1)
        visitor.stage(f"s._pin({index}, {i})")
        assert visitor.text(".card .verdict").startswith(said)


def test_answers_of_which_one_was_stopped_agree_as_far_as_they_go(replay: Visitor) -> None:
    replay.stage("s.live = s.record")
    for reason, said in (("eos", "The answers agree."), ("cancelled", "The answers agree as far as they go.")):
        cut = "{ ...JSON.parse(JSON.stringify(s.record)), passes: s.record.passes.slice(0, 3), finish_reason: v }"
        replay.stage(f"(s.kept = SDLM.Record.from({cut}, 'live'), s._drawCompare())", reason)
        assert replay.text(".compare span").endswith(said)


def test_the_card_takes_the_focus_and_gives_it_back(replay: Visitor) -> None:
    focused = "() => [document.activeElement.className.split(' ')[0], document.activeElement.dataset.i ?? null]"
    chip = replay.page.locator(".row.current .chip").nth(2)
    chip.focus()
    chip.press("Enter")
    assert replay.page.evaluate(focused) == ["card", None]
    replay.page.keyboard.press("Escape")
    assert replay.page.evaluate(focused) == ["chip", "2"]
    chip.press("Enter")
    replay.page.click(".card .close")
    assert replay.page.evaluate(focused) == ["chip", "2"]
    chip.click()
    replay.page.locator("input.tau").focus()
    replay.stage("s.card.close()")
    assert replay.page.evaluate(focused) == ["tau", None]  # only a focus that would be lost is moved
    chip.click()
    before = replay.stage("s.timeline.cursor")
    replay.page.keyboard.press("ArrowLeft")  # the card's pass is gone, and with it the card
    assert replay.stage("s.timeline.cursor") == before - 1
    assert replay.page.evaluate(focused) == ["passes", None]


def test_what_if_without_a_request(replay: Visitor) -> None:
    asked = len(replay.requests)
    slider = replay.page.locator("input.tau")

    def kept() -> list[int]:
        replay.settle()
        verdict = replay.stage("s.verdict && [...s.verdict.kept]")
        return list(verdict)

    trace = make_trace()
    for tau in (0.0, 0.35, 0.9, 1.0):
        slider.fill(str(tau))
        expected = []
        for p in trace.passes:
            n = next((i for i, c in enumerate(p.candidates) if c.confidence <= tau), len(p.candidates))
            expected.append(min(max(1, n), len(trace.token_ids) - p.start))
        assert kept() == expected
    last = len(trace.passes) - 1
    slider.fill("0.2")
    replay.settle()
    shown = replay.page.locator(f".row[data-p='{last}'] .chip.kept:visible").count()
    assert shown == kept()[last]
    assert "judged again, not decoded again" in replay.text(".whatif-note")
    slider.fill("0.6")
    replay.page.wait_for_timeout(1200)
    assert replay.stage("s.verdict") is None
    assert replay.requests[asked:] == []


def test_a_thousand_passes_stay_light(visitor: Visitor, tmp_path: Path) -> None:
    visitor.replay(make_trace(1000), tmp_path)
    assert visitor.stage("s.timeline.length") == 1000
    counts = []
    for cursor in (1, 300, 700, 1000):
        visitor.stage("s.timeline.seek(v)", cursor)
        visitor.settle()
        counts.append(visitor.page.evaluate("document.querySelectorAll('*').length"))
    assert max(counts) < 3000, counts
    frames = visitor.page.evaluate(SCRUB)
    print(f"scrubbing 1,000 passes: {frames:.0f} frames a second; {max(counts)} elements")
    milliseconds = visitor.page.evaluate(GROW)
    print(f"a pass added to 1,000: {milliseconds:.2f} ms of script")
    assert frames > 1  # both far from what is wanted: a busy machine is no reason to fail
    assert milliseconds < 500


def test_tokens_that_try_to_be_markup_in_a_file(visitor: Visitor, tmp_path: Path) -> None:
    visitor.replay(make_trace(texts=HOSTILE), tmp_path)
    page = visitor.page
    for cursor in range(1, visitor.stage("s.timeline.length") + 1):
        visitor.stage("s.timeline.seek(v)", cursor)
        visitor.stage(f"s._pin({cursor - 1}, 0)")
        visitor.settle()
    assert page.evaluate("window.hacked") is None
    assert page.locator("script").count() == 2
    assert page.locator("img, svg[onload], iframe, a").count() == 0
    text = visitor.text(".answer")
    for token in ("</script><script>window.hacked = 2</script>", "**bold** `code`", "שלום עולם", "x" * 500, "<!--"):
        assert token in text
    policy = str(page.get_attribute("meta[http-equiv]", "content"))
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


def test_chips_show_the_unseen(visitor: Visitor, tmp_path: Path) -> None:
    visitor.replay(make_trace(texts=[" a", "\n\n", "\t", "\u200b", "", "👨\u200d👩\u200d👧", "\u202e"]), tmp_path)
    shown = visitor.page.evaluate(
        "[' a', '\\n\\n', '\\t', '\\u200b', '', '👨\\u200d👩\\u200d👧', '\\u202e'].map(SDLM.visible)"
    )
    assert shown == ["·a", "⏎⏎", "⇥", "⟨200B⟩", "◌", "👨\u200d👩\u200d👧", "⟨202E⟩"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_drawn_stands_out(browser: Any, tmp_path: Path, scheme: str) -> None:
    """Contrasts of the real elements' computed styles: 4.5 for text, 3 for what shows a value."""
    from tests.browser.conftest import Visitor

    visitor = Visitor(browser, color_scheme=scheme)
    visitor.replay(make_trace(texts=[" a", "", " b", " c", "\n", " d"] * 4), tmp_path)
    visitor.stage("s.timeline.seek(2)")
    assert visitor.text(".ghost")
    found = visitor.page.evaluate(CONTRASTS)
    visitor.context.close()
    assert {name: least for name, least in found["text"].items() if least < 4.5} == {}
    assert {name: least for name, least in found["edges"].items() if least < 3} == {}
    assert found["text"].keys() == {".chip.kept *", ".chip.why *", ".chip.rest *", ".ghost", ".words", ".t", "shades"}


def test_a_page_that_slept_asks_for_what_it_missed(replay: Visitor) -> None:
    """Values with holes between them, as a hidden tab gets them: every message arrives once and in order."""
    seen = replay.page.evaluate(
        """async () => {
          const all = Array.from({ length: 20 }, (_, n) => JSON.stringify({ kind: "passes", n }));
          const asked = [], seen = [];
          let changed, wire;
          const missed = async ({ after }) => { asked.push(after); return all.slice(after); };
          const props = { value: {} };
          const gradio = { props, watch: (_, f) => (changed = f), send: () => {}, server: { missed, stop: () => {} } };
          wire = new SDLM.Wire(gradio, (message) => seen.push(message.n));
          wire.begin({});
          const tell = (run, ...numbers) => {
            props.value = { run, messages: Object.fromEntries(numbers.map((n) => [n, all[n]])) };
            changed();
          };
          tell(wire.run, 0, 1);
          tell("another visitor's", 2, 3);
          tell(wire.run, 1, 2, 3);
          tell(wire.run, 9, 10, 11);
          await new Promise((done) => setTimeout(done, 20));
          tell(wire.run, 18, 19);
          return { seen, asked };
        }"""
    )
    assert seen == {"seen": list(range(20)), "asked": [4]}


def test_what_the_server_has_forgotten_ends_the_run(replay: Visitor) -> None:
    seen = replay.page.evaluate(
        """async () => {
          const props = { value: {} }, seen = [], stopped = [];
          let changed;
          const server = { missed: async () => [], stop: (run) => stopped.push(run) };
          const gradio = { props, watch: (_, f) => (changed = f), send: () => {}, server };
          const wire = new SDLM.Wire(gradio, (message) => seen.push(message.kind));
          wire.begin({});
          const run = wire.run;
          for (const n of [0, 5, 1]) {
            props.value = { run, messages: { [n]: JSON.stringify({ kind: "passes" }) } };
            changed();
            await new Promise((done) => setTimeout(done, 20));
          }
          return { seen, stopped: stopped.length === 1 && stopped[0] === run, open: wire.run };
        }"""
    )
    assert seen == {"seen": ["passes", "failed"], "stopped": True, "open": None}


@pytest.mark.parametrize("width", [1440, 1024, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows(browser: Any, tmp_path: Path, width: int, scheme: str) -> None:
    from tests.browser.conftest import Visitor

    visitor = Visitor(browser, viewport={"width": width, "height": 844}, color_scheme=scheme)
    visitor.replay(make_trace(), tmp_path)
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
    assert visitor.page.evaluate("document.body.classList.contains('dark')") is (scheme == "dark")
    unnamed = """[...document.querySelectorAll('button:not(.chip), input, select')].filter((node) => {
      const name = node.ariaLabel || node.textContent;
      return node.offsetParent && (!name || (node.matches("button") && !name.includes(node.textContent)));
    }).map((node) => node.outerHTML)"""
    assert visitor.page.evaluate(unnamed) == []
    visitor.stage("s._toggleBig()")
    visitor.settle()
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
    visitor.context.close()
    assert visitor.wrong == []


# Colours as they are mixed on the screen: painted one over the other on a canvas, the page's first.
CONTRASTS = """
() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  const paint = (color, opacity) => {
    brush.globalAlpha = opacity;
    brush.fillStyle = color;
    brush.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...brush.getImageData(0, 0, 1, 1).data].map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (node, ...colors) => {
    const up = [];
    for (let n = node; n; n = n.parentElement) up.unshift(getComputedStyle(n));
    let below = paint("white", 1), opacity = 1;
    for (const style of up) below = paint(style.backgroundColor, (opacity *= Number(style.opacity)));
    const above = colors.map((color) => paint(color, opacity)).pop();
    return (Math.max(above, below) + 0.05) / (Math.min(above, below) + 0.05);
  };
  const text = {}, edges = {};
  const note = (where, name, value) => (where[name] = Math.min(where[name] ?? 21, value));
  for (const name of [".chip.kept *", ".chip.why *", ".chip.rest *", ".ghost", ".words", ".t"])
    for (const node of document.querySelectorAll(name))
      if (node.offsetParent && node.textContent) note(text, name, contrast(node, getComputedStyle(node).color));
  const edgeOf = (node) => getComputedStyle(node).boxShadow.match(/^[a-z]+[(][^)]*[)]/)[0];
  const chip = document.querySelector(".row:not([hidden]) .chip.kept"), token = document.querySelector(".t");
  const bar = [...document.querySelectorAll(".chip.rest .bar i")].find((n) => n.offsetParent);
  for (const { color, ink } of SDLM.shades) {
    for (const node of [chip, token]) node.style.setProperty("--shade", color);
    chip.style.setProperty("--ink-on", ink);
    note(text, "shades", contrast(chip, getComputedStyle(chip).color));
    note(edges, "underline", contrast(token.parentNode, edgeOf(token)));
    note(edges, "bar", contrast(bar.parentNode, color, edgeOf(bar)));
  }
  return { text, edges };
}
"""

SCRUB = """
() => new Promise((done) => {
  const stage = document.querySelector('.sdlm').parentNode.stage;
  const began = performance.now();
  let frames = 0;
  const step = () => {
    const now = performance.now() - began;
    if (now > 1500) return done(frames / (now / 1000));
    frames++;
    stage.timeline.seek(1 + Math.round(999 * (0.5 - 0.5 * Math.cos(now / 200))));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})
"""

GROW = """
async () => {
  const stage = document.querySelector('.sdlm').parentNode.stage;
  const record = stage.record;
  const last = record.passes[record.passes.length - 1];
  stage.timeline.seek(Infinity);
  const spent = [];
  for (let i = 0; i < 60; i++) {
    const pass = { ...last, index: record.passes.length, start: record.tokens };
    const began = performance.now();
    record.add(pass);
    stage.timeline.grown(true);
    for (const part of [stage.passes, stage.answer, stage.cache]) part._draw();
    spent.push(performance.now() - began);
    await new Promise(requestAnimationFrame);
  }
  return spent.sort((a, b) => a - b)[30];
}
"""
