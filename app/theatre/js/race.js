/* The race: one prompt decoded three ways, each in turn, then replayed side by side.
   Seconds that others had a share in are not compared. */

import { Compose } from "./compose.js";
import { button, calm, el, setBanner, setText } from "./dom.js";
import { RaceLane } from "./lane.js";
import { fromHash } from "./links.js";
import { FIRST_RACE, isEqual, reduceRace, wasShared } from "./race-state.js";
import { Record } from "./record.js";
import { createStore } from "./store.js";
import { lastQuestion, shortName } from "./text.js";
import { evenClock, reached } from "./time.js";
import { Wire } from "./wire.js";
import { race as words, states } from "./words.js";

/** @import { Models } from "./models.js" */
/** @import { RaceState } from "./race-state.js" */
/** @import { Gradio, Message } from "./wire.js" */

const PASSES_A_SECOND = 8; // of the replay at equal speed

export class Race {
  /** @param {HTMLElement} root @param {Gradio} gradio @param {Models} models */
  constructor(root, gradio, models) {
    this.gradio = gradio;
    this.models = models;
    this.store = createStore(reduceRace, FIRST_RACE);
    this.dispatch = this.store.dispatch;
    this.frame = 0;
    this.lanes = words.lanes.map((_, index) => new RaceLane(index));
    this.compose = new Compose({ send: () => this.start(), stop: () => this.wire.stop() }, { models, race: true });
    this.banner = el("p", { class: "banner", role: "status" });
    this.measured = el("option", { value: "", text: words.measured });
    this.equal = el("select", { "aria-label": words.clock, on: { change: () => this._choose(Boolean(this.equal.value)) } },
      this.measured, el("option", { value: "1", text: words.equal(PASSES_A_SECOND) }));
    this.replay = button(words.replay[0], words.replay[1], () => this._replay(), { disabled: true });
    this.clock = el("output", { class: "where", text: "" });
    root.replaceChildren(el("div", { class: "sdlm race" },
      el("header", { class: "top" }, el("div", {}, el("h1", { text: words.title }), el("p", { text: words.about }))),
      this.compose.node, this.banner,
      el("div", { class: "timeline" }, this.replay, this.equal, this.clock),
      el("div", { class: "racers" }, ...this.lanes.map((lane) => lane.node))));
    this.wire = new Wire(gradio, (message) => this.receive(message));
    this.store.subscribe((state) => this.render(state));
    this.render(this.state);
  }

  /** @returns {RaceState} */
  get state() {
    return this.store.state;
  }

  /** What the tab opens with: what the link says, or a race that was recorded, at its end. */
  open() {
    const { prompt, values } = fromHash(location.hash);
    this.compose.take(values);
    if (prompt) this.compose.text.value = prompt;
    this.models.watch((status) => this.compose.suit(status));
    if (prompt) return;
    this.gradio.server.race_example(null).then((texts) => {
      this.dispatch({ type: "recording", records: texts.map((text) => Record.from(JSON.parse(text), "example")) });
    });
  }

  start() {
    const prompt = this.compose.text.value;
    if (!prompt.trim()) return this.compose.text.focus();
    cancelAnimationFrame(this.frame);
    const settings = this.compose.values();
    this.dispatch({ type: "begin", model: settings.model });
    this.wire.begin({ messages: [{ role: "user", content: prompt }], settings });
  }

  /** @param {Message} message */
  receive(message) {
    this.models.hear(message);
    if (message.kind === "waiting") this.dispatch({ type: "wait", place: message });
    if (message.kind === "start") this.dispatch({ type: "start", lane: message.lane, record: new Record(message.head, "live") });
    if (message.kind === "passes") this.dispatch({ type: "passes", lane: message.lane, passes: message.passes });
    if (message.kind === "failed") this.dispatch({ type: "fail", message: message.message });
    if (message.kind !== "end") return;
    const { lane, tail, last, shared_pass: sharedPass } = message;
    this.dispatch({ type: "end", lane, tail, last, sharedPass });
    if (this.state.complete) this._replay();
  }

  /** @param {RaceState} state */
  render(state) {
    for (const lane of this.lanes) lane.render(state);
    this.compose.setBusy(state.busy);
    setBanner(this.banner, sentence(state), state.banner.name === "failed");
    this.replay.disabled = !state.complete;
    this.measured.disabled = state.complete && wasShared(state);
    this.equal.value = isEqual(state) ? "1" : "";
    setText(this.clock, state.seconds === null ? "" : isEqual(state) ? words.everyPass : words.seconds(state.seconds));
  }

  /** @param {boolean} equal */
  _choose(equal) {
    this.dispatch({ type: "clock", equal });
    this._replay();
  }

  _replay() {
    if (!this.state.complete) return;
    cancelAnimationFrame(this.frame);
    const equal = isEqual(this.state);
    const clocks = this.state.lanes.map(({ record }) => (!record ? [0] : equal ? evenClock(record.passes.length, PASSES_A_SECOND) : record.clock));
    const total = Math.max(...clocks.map((clock) => clock[clock.length - 1]));
    const began = performance.now();
    let shown = clocks.map(() => 0);
    const tick = () => {
      const now = calm() ? total : Math.min(total, (performance.now() - began) / 1000);
      shown = shown.map((n, i) => reached(clocks[i], n, now));
      this.dispatch({ type: "tick", shown, seconds: now });
      if (now < total) this.frame = requestAnimationFrame(tick);
    };
    tick();
  }
}

/** What the banner says. @param {RaceState} state */
function sentence(state) {
  const { banner, lanes } = state;
  const first = lanes[0].record;
  switch (banner.name) {
    case "recorded":
      return first ? `${words.recorded(lastQuestion(first.head.prompt), first.head.device)} ${result(state)}` : "";
    case "waiting":
      return states.waiting(state.place)[1];
    case "decoding":
      return words.decoding(state.lane, lanes.length);
    case "failed":
      return banner.message;
    case "result":
      return result(state);
    default:
      return words[banner.name];
  }
}

/** Where the answers part, and whether their seconds may be compared. @param {RaceState} state */
function result(state) {
  const texts = state.lanes.slice(1).map(({ partsAt }, i) => words.result(words.lanes[i + 1][0], partsAt));
  if (state.model) texts.unshift(words.by(shortName(state.model)));
  if (wasShared(state)) texts.push(words.others);
  return texts.join(" ");
}

/**
 * A race with a model behind it.
 * @param {HTMLElement & {race?: Race}} element @param {Gradio} gradio @param {Models} models
 */
export function mountRace(element, gradio, models) {
  const race = new Race(element, gradio, models);
  element.race = race;
  race.open();
  return race;
}
