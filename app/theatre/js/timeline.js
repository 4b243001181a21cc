/* Time: play, pause, step, scrub, speed. The cursor is the state's; playing moves it by the run's own clock. */

import { el, iconButton, setText } from "./dom.js";
import { Spark } from "./spark.js";
import { isLive } from "./state.js";
import { reached } from "./time.js";
import { timeline as words } from "./words.js";

/** @import { Action, State } from "./state.js" */

const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];
const SIGNS = {
  first: "M3 3h2v10H3zM14 3v10L6 8z",
  back: "M11 3v10L4 8z",
  play: "M4 2v12l10-6z",
  pause: "M4 2h3v12H4zM9 2h3v12H9z",
  forward: "M5 3v10l7-5z",
  last: "M11 3h2v10h-2zM2 3v10l8-5z",
};
/** @type {{[key: string]: Action}} the stage's keys */
const KEYS = {
  " ": { type: "toggle" }, ArrowLeft: { type: "step", by: -1 }, ArrowRight: { type: "step", by: 1 },
  Home: { type: "seek", cursor: 1 }, End: { type: "seek", cursor: Infinity },
};

export class Timeline {
  /** @param {(action: Action) => void} dispatch */
  constructor(dispatch) {
    this.dispatch = dispatch;
    /** @type {State|null} */
    this.state = null;
    this.ticking = false;
    this.running = false;
    this.speed = 1;
    this.began = 0; // when playing began, or its speed changed, in ms
    this.base = 0; // the run's clock at that time, in s
    this.range = el("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": words.pass, class: "scrub", on: { input: () => dispatch({ type: "seek", cursor: Number(this.range.value) }) } });
    this.spark = new Spark();
    this.playButton = iconButton(SIGNS.play, words.play, () => dispatch({ type: "toggle" }), { class: "play" });
    this.where = el("output", { class: "where", "aria-live": "off" });
    this.speeds = el("select", { "aria-label": words.speed, on: { change: () => this._setSpeed(Number(this.speeds.value)) } },
      ...SPEEDS.map((s) => el("option", { value: s, text: s + "×", selected: s === 1 })));
    this.node = el("div", { class: "timeline", role: "group", "aria-label": words.label },
      iconButton(SIGNS.first, words.first, () => dispatch(KEYS.Home)),
      iconButton(SIGNS.back, words.back, () => dispatch(KEYS.ArrowLeft)),
      this.playButton,
      iconButton(SIGNS.forward, words.forward, () => dispatch(KEYS.ArrowRight)),
      iconButton(SIGNS.last, words.last, () => dispatch(KEYS.End)),
      el("div", { class: "scrub-box" }, this.range, this.spark.node), this.where, this.speeds);
  }

  /** @param {State} state */
  render(state) {
    this.state = state;
    const { record, cursor } = state;
    const length = record ? record.passes.length : 0;
    if (Number(this.range.max) !== length) this.range.max = String(length);
    if (Number(this.range.value) !== cursor) this.range.value = String(cursor);
    this.range.disabled = length === 0;
    this.spark.update(state);
    const running = state.playing || (isLive(state) && state.following);
    if (running !== this.running) {
      this.running = running;
      const sign = this.playButton.querySelector("path");
      if (sign) sign.setAttribute("d", running ? SIGNS.pause : SIGNS.play);
      this.playButton.setAttribute("aria-label", running ? words.pause : words.play);
      this.playButton.title = running ? words.pause : words.play;
    }
    setText(this.where, record && length ? words.where(cursor, length, record.clock[cursor]) : words.none);
    this.range.setAttribute("aria-valuetext", this.where.textContent || "");
    if (state.playing && !this.ticking) this._play();
  }

  /** @param {number} speed */
  _setSpeed(speed) {
    this.speed = speed;
    this._rebase();
  }

  /** Count from the pass shown now. */
  _rebase() {
    if (!this.state || !this.state.record) return;
    this.began = performance.now();
    this.base = this.state.record.clock[this.state.cursor];
  }

  _play() {
    this.ticking = true;
    this._rebase();
    const tick = () => {
      const { state } = this;
      this.ticking = Boolean(state && state.playing);
      if (!state || !state.record || !state.playing) return;
      const { clock, passes } = state.record;
      const cursor = reached(clock, state.cursor, this.base + ((performance.now() - this.began) / 1000) * this.speed);
      if (cursor !== state.cursor || cursor >= passes.length) this.dispatch({ type: "tick", cursor });
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  /**
   * Take one of the stage's keys: space, arrows, Home, End. Returns whether the key was one of them.
   * @param {KeyboardEvent} event
   */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, event.key)) return false;
    this.dispatch(KEYS[event.key]);
    return true;
  }
}
