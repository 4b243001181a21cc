/* One row of the lane of passes: a pass, a chip for each of its guesses. */

import { draftHolds } from "./acceptance.js";
import { el, setClass, setText } from "./dom.js";
import { MAX_CANDIDATES } from "./generated.js";
import { seconds, short } from "./numbers.js";
import { shade } from "./scale.js";
import { shortened, visible } from "./text.js";
import { passes as words } from "./words.js";

/** @import { Pass } from "./generated.js" */
/** @import { Record, Verdict } from "./record.js" */
/** @typedef {{record: Record|null, cursor: number, verdict: Verdict|null, lit: number|null, pinned: [number, number]|null}} RowView */
/**
 * What a chip shows of a guess. state: its colours. first: whether it begins the block, last: whether it ends the kept
 * prefix. forced: kept though not sure. limit: whether τ stopped there. mark: "✓" or "≠" before the number. tried: what
 * the τ that is being tried would change.
 * @typedef {{state: "kept"|"why"|"rest", forced: boolean, last: boolean, limit: boolean, mark: string, tried: string, mismatch: boolean}} Look
 */

const HOLDS = "✓ ";
const LONGEST = 22; // characters of a token on its chip
let rows = 0; // made so far, for their ids

/**
 * How a guess looks in its row.
 * @param {Record} record @param {Pass} pass @param {number} i
 * @param {number} kept guesses of the pass that count as kept @param {number} tau @param {boolean} trying whether τ is only being tried
 * @returns {Look}
 */
export function look(record, pass, i, kept, tau, trying) {
  const guess = pass.candidates[i];
  const final = i >= pass.accepted ? record.finalAt(pass.start + i) : null;
  const wrong = final !== null && final.candidate.token_id !== guess.token_id;
  const forced = record.judged && i === 0 && guess.confidence <= tau; // not sure, but a pass keeps at least one
  const stopped = record.judged && i === kept && guess.confidence <= tau && pass.candidates[0].confidence > tau;
  const holds = draftHolds(pass, i);
  let mark = holds === null ? "" : holds ? HOLDS : "≠ ";
  if (trying && i < kept && wrong) mark = "≠ ";
  let tried = "";
  if (trying && i < kept && i >= pass.accepted) tried = wrong ? " more wrong" : " more";
  if (trying && i >= kept && i < pass.accepted) tried = " less";
  return {
    state: i < kept ? "kept" : stopped ? "why" : "rest", forced, last: i === kept - 1, limit: stopped || forced, mark, tried, mismatch: holds === false,
  };
}

/** What a guess's edge, its marks and lines say, in words. @param {Look} look @param {number} tau */
function notes({ state, forced, mark, tried, mismatch }, tau) {
  const own = words.notes;
  return [
    forced ? own.forced(tau) : state === "why" ? own.limit(tau) : "",
    mismatch ? own.mismatch : mark === HOLDS ? own.holds : "",
    tried === " less" ? own.less : tried ? own.more : "",
    tried === " more wrong" ? own.wrong : "",
  ].filter(Boolean);
}

/** One row of the pool, which shows now this pass, now that. */
export class Row {
  constructor() {
    this.number = el("button", { type: "button", class: "number", tabindex: "-1" });
    this.chips = el("div", { class: "chips" });
    this.count = el("span", { class: "count", role: "img" });
    this.width = el("span", { class: "width" });
    this.time = el("span", { class: "time" });
    this.node = el("div", { class: "row", role: "listitem", id: "sdlm-row-" + ++rows, hidden: true }, this.number, this.chips, el("div", { class: "kept-of" }, this.count, this.width), this.time);
    /** @type {Chip[]} */
    this.cells = [];
    this.key = "";
  }

  /** @param {boolean} hidden */
  hide(hidden) {
    if (this.node.hidden !== hidden) this.node.hidden = hidden;
  }

  /** @param {Record} record @param {number} index @param {RowView} view @param {number} height in px */
  draw(record, index, view, height) {
    const pass = record.passes[index];
    const { verdict, pinned } = view;
    const kept = verdict ? verdict.kept[index] : pass.accepted;
    const current = index === view.cursor - 1;
    const pin = pinned && pinned[0] === index ? pinned[1] : -1;
    // A record's pass never changes; what is known of its later places does, hence the tokens in the key.
    const key = [record.key, index, kept, verdict ? verdict.tau : "", current, pin, height, Math.min(record.tokens, pass.start + pass.candidates.length)].join();
    setClass(this.node, "row" + (current ? " current" : "") + (view.lit === index ? " lit" : ""));
    if (key === this.key) return;
    this.key = key;
    this.node.dataset.p = String(index);
    this.node.style.transform = `translateY(${Math.round(index * height)}px)`;
    setText(this.number, String(index + 1));
    this.number.setAttribute("aria-label", words.go(index + 1));
    setText(this.count, "+" + kept);
    this.count.setAttribute("aria-label", words.kept(kept));
    setText(this.width, pass.width ? words.width(pass.width, pass.branches.length) : "");
    this.width.title = pass.width ? words.widthHint(pass.width, pass.branches.length) : "";
    setText(this.time, seconds(pass.seconds));
    const n = Math.min(MAX_CANDIDATES, pass.candidates.length);
    while (this.cells.length < n) {
      const cell = new Chip(this.cells.length);
      this.cells.push(cell);
      this.chips.appendChild(cell.node);
    }
    const tau = verdict ? verdict.tau : record.head.config.threshold;
    /** @type {string[]} */
    const said = [];
    this.cells.forEach((cell, i) => {
      cell.node.hidden = i >= n;
      if (i >= n) return;
      const seen = look(record, pass, i, kept, tau, verdict !== null);
      cell.draw(pass, seen, kept, tau, current, pin === i);
      said.push(words.guess(pass.candidates[i].text, pass.candidates[i].confidence, notes(seen, tau)));
    });
    this.node.setAttribute("aria-label", words.row(index, said.slice(0, kept), said.slice(kept)));
  }
}

class Chip {
  /** @param {number} i place in the block */
  constructor(i) {
    this.i = i;
    this.token = el("span", { class: "token", dir: "auto" });
    this.fill = el("i");
    this.mark = el("span", { class: "mark" });
    this.limit = el("span", { class: "limit" });
    this.node = el("button", { type: "button", class: "chip", "data-i": i, tabindex: "-1" }, this.token, el("span", { class: "meter" }, el("span", { class: "bar" }, this.fill), this.mark, this.limit));
  }

  /** @param {Pass} pass @param {Look} seen @param {number} kept @param {number} tau @param {boolean} current @param {boolean} pinned */
  draw(pass, seen, kept, tau, current, pinned) {
    const { state, forced, last, limit, mark, tried, mismatch } = seen;
    const guess = pass.candidates[this.i];
    const { color, ink } = shade(guess.confidence);
    const begins = this.i === 0 ? (forced ? " first forced" : " first") : "";
    setClass(this.node, "chip " + state + begins + (last ? " last" : "") + tried + (mismatch ? " mismatch" : "") + (pinned ? " pinned" : ""));
    setText(this.token, shortened(visible(guess.text), LONGEST));
    setText(this.mark, mark + short(guess.confidence));
    setText(this.limit, limit ? "≤" + short(tau) : "");
    this.fill.style.width = 100 * Math.min(1, guess.confidence) + "%";
    this.fill.style.background = color;
    this.node.style.setProperty("--shade", color);
    this.node.style.setProperty("--ink-on", ink);
    this.node.tabIndex = current ? 0 : -1; // one row's chips at a time are stops of the Tab key
    const word = state === "kept" ? words.states.kept : this.i === kept ? words.states.first : words.states.rest;
    this.node.setAttribute("aria-label", words.chip(guess.text, guess.confidence, word, notes(seen, tau)));
    this.node.setAttribute("aria-pressed", String(pinned));
  }
}
