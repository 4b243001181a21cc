"""The race: three ways to decode one prompt, measured and replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.theatre import theatre
from tests.browser.conftest import patient

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Hold, Visitor


RECORDED = """() => {
  const race = document.querySelector('#race .sdlm').parentNode.race;
  const { head, passes, tail } = race.state.lanes[0].record;
  race.gradio.send = () => {}; // what the server says is said here
  const start = () => {
    race.compose.text.value = "Why is the sky blue?";
    race.start();
    race.receive({ kind: "start", lane: 0, head });
    race.receive({ kind: "passes", lane: 0, passes });
  };
"""


def open_race(visitor: Visitor, address: str) -> Page:
    """The race tab with its recorded race."""
    visitor.open(address)
    visitor.page.click("button[role=tab]:has-text('Race')")
    visitor.page.wait_for_selector("#race .timeline button:not([disabled])")
    return visitor.page


def test_it_opens_with_a_recorded_race(visitor: Visitor, address: str) -> None:
    page = open_race(visitor, address)
    race = "document.querySelector('#race .sdlm').parentNode.race"
    assert page.evaluate(f"{race}.state.lanes.map((l) => l.record.origin)") == ["example"] * 3
    assert "A recorded race" in visitor.text("#race .banner")
    shown = page.locator("#race .racer .stats div:first-child b").all_text_contents()
    assert [int(n) for n in shown] == page.evaluate(f"{race}.state.lanes.map((l) => l.record.passes.length)")
    page.click("#race .timeline button")
    page.wait_for_function(
        "[...document.querySelectorAll('#race .lane-state')].every((n) => n.textContent === 'Finished')"
    )
    page.fill("#race textarea", "Why is the sky blue?")
    page.evaluate(f"{race}.compose.length.set(8)")
    page.click("#race .go")
    page.wait_for_function(f"{race}.state.lanes.every((l) => l.record && l.record.origin === 'live' && l.record.tail)")


def test_three_runs_measured_then_replayed(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    page = visitor.page
    page.click("button[role=tab]:has-text('Race')")
    page.fill("#race textarea", "Why is the sky blue?")
    race = "document.querySelector('#race .sdlm').parentNode.race"
    page.evaluate(f"({race}.compose.length.set(32), {race}.compose.threshold.set(0.3), {race}.compose.block.set(8))")
    page.click("#race .go")
    page.wait_for_function(
        f"{race}.state.lanes[0].record && {race}.state.lanes[0].record.passes.length > 3"
    )  # lanes grow as they decode
    page.wait_for_selector("#race .timeline button:not([disabled])")
    page.wait_for_function(
        "[...document.querySelectorAll('#race .lane-state')].every((n) => n.textContent === 'Finished')"
    )
    algorithms = page.evaluate(f"{race}.state.lanes.map((l) => l.record.head.config.algorithm)")
    assert algorithms == ["autoregressive", "prob_conf", "self_speculative"]
    passes = page.evaluate(f"{race}.state.lanes.map((l) => l.record.passes.length)")
    shown = page.eval_on_selector_all(
        "#race .racer .stats div:first-child b", "(all) => all.map((b) => Number(b.textContent))"
    )
    assert shown == passes
    assert passes[0] == 32
    assert passes[1] < 32
    gains = page.locator("#race .racer .stats div:last-child b").all_text_contents()
    assert all("per pass" in gain and "by the clock" in gain for gain in gains[1:])
    parts = page.evaluate(f"{race}.state.lanes[1].record.partsFrom({race}.state.lanes[0].record)")
    assert page.locator("#race .racer:nth-child(2) .parts").count() == (1 if parts >= 0 else 0)
    page.select_option("#race .timeline select", "1")
    assert "every pass takes the same time" in (page.text_content("#race .where") or "")


def test_a_stop_in_a_lanes_last_pass_is_a_stop(visitor: Visitor, address: str) -> None:
    """The lane is complete and yet the last: there are no others to compare it with."""
    page = open_race(visitor, address)
    reason = page.evaluate(
        RECORDED
        + """
          start();
          race.receive({ kind: "end", lane: 0, tail, last: true, shared_pass: false });
          return tail.finish_reason;
        }"""
    )
    assert reason != "cancelled"
    assert "Stopped" in visitor.text("#race .banner")
    states = page.locator("#race .lane-state").all_text_contents()
    assert states == ["Recorded", "Not decoded", "Not decoded"]
    assert visitor.text("#race .go") == "Start the race"
    assert page.is_disabled("#race .timeline button")


def test_a_race_that_shared_passes_is_run_by_passes(visitor: Visitor, address: str) -> None:
    page = open_race(visitor, address)
    races = page.evaluate(
        RECORDED
        + """
          const records = race.state.lanes.map((lane) => lane.record);
          return [true, false].map((shared) => {
            start();
            records.forEach(({ head, passes, tail }, lane) => {
              race.receive({ kind: "start", lane, head });
              race.receive({ kind: "passes", lane, passes });
              race.receive({ kind: "end", lane, tail, last: lane === 2, shared_pass: shared && lane === 1 });
            });
            const measured = race.equal.options[0];
            const times = race.lanes.map((lane) => lane.numbers.time.textContent);
            return { offered: !measured.disabled, clock: race.equal.value, times, said: race.banner.textContent };
          });
        }"""
    )
    assert [race["offered"] for race in races] == [False, True]
    assert [race["clock"] for race in races] == ["1", ""]
    assert [time == "shared" for time in races[0]["times"]] == [False, True, False]
    assert "shared" not in races[1]["times"]
    assert "Others were decoding too" in races[0]["said"]
    assert "Others were decoding too" not in races[1]["said"]


def test_lanes_say_how_far_a_race_got(visitor: Visitor, address: str) -> None:
    page = open_race(visitor, address)
    ends = page.evaluate(
        RECORDED
        + """
          const end = (finish_reason) =>
            ({ kind: "end", tail: { ...tail, finish_reason }, last: finish_reason === "cancelled" });
          const broken = { kind: "failed", message: "It broke." };
          return [[broken], [end("eos"), broken], [end("cancelled")]].map((messages) => {
            start();
            for (const message of messages) race.receive({ lane: 0, ...message });
            return race.lanes.map((lane) => lane.state.textContent);
          });
        }"""
    )
    assert ends == [[state, "Not decoded", "Not decoded"] for state in ("Stopped", "Recorded", "Stopped")]


def test_a_page_opened_while_the_model_loads_offers_what_it_can(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    asked = visitor.page.evaluate(
        """async (folder) => {
          const load = (name) => import(new URL(`${folder}/${name}.js`, document.baseURI));
          const [{ mountRace }, { Models }] = await Promise.all([load("race"), load("models")]);
          const told = [{ state: "loading" }, { state: "ready", block_size: 4, sampler: true }];
          const server = { status: async () => told.length > 1 ? told.shift() : told[0], race_example: async () => [] };
          const gradio = { props: {}, watch: () => {}, server };
          const race = mountRace(document.createElement("div"), gradio, new Models(server));
          const ready = new Promise((done) => {
            const suit = race.compose.suit;
            race.compose.suit = (status) => (suit.call(race.compose, status), status.state === "ready" && done());
          });
          const { guesses, block_size } = race.compose.values();
          await ready;
          race.compose.block.set("6");
          const now = race.compose.values();
          return [guesses, block_size, now.guesses, now.block_size];
        }""",
        theatre.folder(),
    )
    assert asked == [None, "auto", "coherent", 6]  # null: what the model can do


def test_seconds_are_not_compared_where_others_took_part(
    visitors: tuple[Visitor, Visitor], address: str, hold: Hold
) -> None:
    other, racer = visitors
    other.open(address)
    racer.open(address)
    hold.now()
    before = hold.asked()
    other.ask("Count", tokens=400, algorithm="autoregressive", wait=False)
    patient(other, hold.holds)
    page = racer.page
    page.click("button[role=tab]:has-text('Race')")
    page.fill("#race textarea", "Why is the sky blue?")
    page.evaluate("document.querySelector('#race .sdlm').parentNode.race.compose.length.set(16)")
    page.click("#race .go")
    patient(racer, lambda: hold.asked() == before + 2)  # both are in the engine
    hold.after(3)  # runs, those of the race
    hold.release()
    page.wait_for_selector("#race .timeline button:not([disabled])")
    other.wait("running")
    assert "Others were decoding too" in racer.text("#race .banner")
    page.wait_for_function(
        "[...document.querySelectorAll('#race .lane-state')].every((n) => n.textContent === 'Finished')"
    )
    gains = page.locator("#race .racer .stats div:last-child b").all_text_contents()
    assert all("per pass" in gain and "by the clock" not in gain for gain in gains[1:])
