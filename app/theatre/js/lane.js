/* One lane of the race: a way to decode, its answer and its numbers. */

import { Answer } from "./answer.js";
import { el, numberList, setText } from "./dom.js";
import { seconds } from "./numbers.js";
import { gainOf } from "./race-state.js";
import { race as words } from "./words.js";

/** @import { RaceState } from "./race-state.js" */

export class RaceLane {
  /** @param {number} index */
  constructor(index) {
    this.index = index;
    const [title, sentence] = words.lanes[index];
    this.answer = new Answer();
    const { node, numbers } = numberList(words.numbers, "–");
    this.numbers = numbers;
    this.fill = el("i");
    this.state = el("p", { class: "lane-state", text: "" });
    this.scroller = el("div", { class: "track-answer", tabindex: "0", role: "region", "aria-label": words.answer(title) }, this.answer.node);
    this.node = el("section", { class: "racer", "aria-label": title }, el("h2", { text: title }), el("p", { class: "about", text: sentence }),
      node, el("div", { class: "progress", "aria-hidden": "true" }, this.fill), this.state, this.scroller);
    this.drawn = "";
  }

  /** @param {RaceState} state */
  render(state) {
    const { record, phase, shown, sharedPass, partsAt } = state.lanes[this.index];
    setText(this.state, words.phases[phase]);
    this.answer.update({ record: shown < 0 ? null : record, cursor: Math.max(0, shown), partsAt });
    if (!record || shown < 0) {
      for (const number of Object.values(this.numbers)) setText(number, "–");
      this.fill.style.width = "0";
      return;
    }
    setText(this.numbers.passes, String(shown));
    setText(this.numbers.rate, shown ? (record.tokensAfter(shown) / shown).toFixed(2) : "–");
    setText(this.numbers.time, sharedPass ? words.shared : seconds(record.clock[shown]));
    const gain = gainOf(state, this.index);
    setText(this.numbers.gain, !gain ? "–" : this.index === 0 ? "1×" : words.gain(gain.passes, gain.clock));
    this.fill.style.width = (100 * shown) / Math.max(1, record.passes.length) + "%";
    const key = [record.key, shown].join();
    if (key !== this.drawn) this.scroller.scrollTop = this.scroller.scrollHeight;
    this.drawn = key;
  }
}
