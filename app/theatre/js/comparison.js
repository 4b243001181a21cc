/* Two runs of one prompt, told apart; or the way back from a loaded trace. */

import { button, el, setText } from "./dom.js";
import { indexIn, shownForks } from "./forks.js";
import { sameRun } from "./record.js";
import { pairOf } from "./state.js";
import { readable } from "./text.js";
import { compare as words, forks as tree } from "./words.js";

/** @import { State } from "./state.js" */

export class Comparison {
  /** @param {() => void} swap @param {() => void} back */
  constructor(swap, back) {
    this.text = el("span");
    this.swap = button(words.old, words.old, swap);
    this.runs = el("div", { class: "compare", hidden: true }, this.text, this.swap);
    this.file = el("div", { class: "compare", hidden: true }, el("span", { text: words.file }), button(words.back, words.back, back));
    this.node = el("div", { class: "compared" }, this.file, this.runs);
  }

  /** @param {State} state */
  render(state) {
    const { record, live, partsAt } = state;
    const pair = pairOf(state);
    this.file.hidden = !record || !live || record.origin !== "file";
    this.runs.hidden = pair === null;
    this.node.hidden = this.file.hidden && this.runs.hidden;
    if (!pair) return;
    const forks = shownForks(state);
    const names = pair.map((run) => forks[indexIn(forks, run)]).map((fork) => fork && (fork.parent < 0 ? tree.first : readable(fork.name)));
    const both = names[0] && names[1];
    setText(this.text, words.runs(pair[0], pair[1], partsAt, both ? names : undefined));
    setText(this.swap, both ? words.other : sameRun(record, pair[0]) ? words.new : words.old);
  }
}
