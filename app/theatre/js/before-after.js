/* On the card: a guess's distribution before and after temperature, top-p and top-k. Moving them judges the recorded
   tokens again, as τ does; the next run is decoded with them. */

import { el, setText } from "./dom.js";
import { slider } from "./fields.js";
import { beforeAndAfter, canRefilter, sameFilters } from "./filters.js";
import { DEFAULTS, LIMITS } from "./generated.js";
import { short } from "./numbers.js";
import { shade } from "./scale.js";
import { shortened, visible } from "./text.js";
import { beforeAfter as words, compose as settings } from "./words.js";

/** @import { Share } from "./filters.js" */
/** @import { Filters } from "./links.js" */
/** @import { State } from "./state.js" */

const LONGEST = 40; // characters of a token
const SAME = 0.0015; // ends of a range that read as one number

export class BeforeAfter {
  /** @param {(filters: Filters) => void} tried */
  constructor(tried) {
    const moved = () => tried({ temperature: this.temperature.value, top_p: this.topP.value, top_k: this.topK.value });
    this.temperature = slider(settings.temperature, LIMITS.temperature, 0.1, DEFAULTS.temperature, { moved });
    this.topP = slider(settings.topP, LIMITS.top_p, 0.05, DEFAULTS.top_p, { format: settings.topPValue, moved });
    this.topK = slider(settings.topK, LIMITS.top_k, 1, DEFAULTS.top_k, { format: settings.topKValue, moved });
    this.fields = el("div", { class: "fields" }, this.temperature.node, this.topP.node, this.topK.node);
    this.list = el("ol", { class: "alternatives", "aria-label": words.label });
    this.note = el("p", { class: "note", "aria-live": "polite" });
    this.node = el("details", { class: "before-after" }, el("summary", { text: words.label }), this.fields, this.list, this.note);
    this.key = "";
  }

  /** @param {State} state */
  render({ record, pinned, filters, verdict }) {
    if (!record || !pinned) return;
    const { config } = record.head, now = filters || config;
    const key = [record.key, pinned, now.temperature, now.top_p, now.top_k, verdict ? verdict.tau : ""].join();
    if (key === this.key) return;
    this.key = key;
    if (filters) this.node.open = true;
    this.temperature.set(now.temperature);
    this.topP.set(now.top_p);
    this.topK.set(now.top_k);
    const possible = canRefilter(config);
    this.fields.hidden = this.list.hidden = !possible;
    if (!possible) return setText(this.note, words.impossible);
    const guess = record.passes[pinned[0]].candidates[pinned[1]];
    const rows = beforeAndAfter(guess, config, now);
    this.list.replaceChildren(
      el("li", { class: "heads", "aria-hidden": "true" }, el("span"), el("span"), el("span", { text: words.before }), el("span", { text: words.after })),
      ...rows.map(({ id, text, before, after }) => line(shortened(visible(text), LONGEST), id === guess.token_id, before, after)));
    const own = rows.find((row) => row.id === guess.token_id);
    const tau = verdict ? verdict.tau : config.threshold;
    const notes = [];
    if (!sameFilters(now, config)) notes.push(own ? again(own.after, config.algorithm, tau) : words.beyond);
    if (rows.some((row) => ranges(row.after) || row.after.kept === null)) notes.push(words.range);
    setText(this.note, notes.join(" "));
  }
}

/** @param {string} text @param {boolean} chosen @param {Share} before @param {Share} after */
function line(text, chosen, before, after) {
  const bar = el("i"), mark = el("b");
  bar.style.width = 100 * after.high + "%";
  bar.style.background = shade(after.high).color;
  mark.style.insetInlineStart = 100 * before.high + "%";
  const out = after.kept === false;
  return el("li", { class: (chosen ? "same" : "") + (out ? " excluded" : "") },
    el(out ? "s" : "span", { class: "alt-text", dir: "auto", text }), el("span", { class: "alt-bar" }, bar, mark),
    el("span", { class: "alt-p", text: written(before) }), el("span", { class: "alt-p after", text: out ? words.excluded : written(after) }));
}

/** @param {Share} share */
const ranges = ({ low, high }) => high - low > SAME;

/** A probability, or the ends between which it lies. @param {Share} share */
function written(share) {
  const { low, high, kept } = share;
  if (kept === null) return words.orExcluded(short(high));
  return ranges(share) ? (low < 0.005 ? "≤" + short(high) : `${short(low)}–${short(high)}`) : short((low + high) / 2, 3);
}

/** What the guess's confidence would be, where it is its probability. @param {Share} after @param {string} algorithm @param {number} tau */
function again(after, algorithm, tau) {
  if (after.kept === false) return words.guessExcluded;
  if (algorithm !== "prob_conf") return "";
  const above = after.low > tau ? true : after.high <= tau ? false : null;
  return words.again(written(after), above, tau);
}
