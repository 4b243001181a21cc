/* The pinned card: all that is known of one guess. */

import { draftHolds } from "./acceptance.js";
import { BeforeAfter } from "./before-after.js";
import { button, el, setText } from "./dom.js";
import { short } from "./numbers.js";
import { shade } from "./scale.js";
import { shortened, visible } from "./text.js";
import { card as words } from "./words.js";

/** @import { Alternative, Pass } from "./generated.js" */
/** @import { Filters } from "./links.js" */
/** @import { Record, Verdict } from "./record.js" */
/** @import { State } from "./state.js" */

const LONGEST = 600; // characters of the token
const LONGEST_OTHER = 40; // and of another one
const OTHERS = 5;

export class Card {
  /** @param {{close: () => void, closed: (pass: number, i: number) => void, filters: (filters: Filters) => void}} on closed: the focus was on the card and is lost */
  constructor(on) {
    this.on = on;
    this.token = el("b", { class: "token", dir: "auto" });
    this.body = el("div", { class: "body" }); // written anew while the card is open; the × keeps its focus
    this.beforeAfter = new BeforeAfter(on.filters);
    this.node = el("div", { class: "card", role: "dialog", "aria-label": words.label, tabindex: "-1", hidden: true },
      el("header", {}, this.token, button("×", words.close, on.close, { class: "close", "aria-label": words.close })), this.body, this.beforeAfter.node);
    this.node.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      on.close();
    });
    /** @type {[number, number]|null} */
    this.pinned = null;
    this.key = "";
  }

  /** @param {State} state */
  render(state) {
    const { record, pinned, verdict } = state;
    const before = this.pinned;
    this.pinned = pinned;
    if (!record || !pinned) {
      if (before) this._close(before);
      return;
    }
    // A record's pass never changes; what is known of its later places does, hence its length and end.
    const key = [record.key, record.passes.length, record.tail !== null, pinned, verdict ? verdict.tau : ""].join();
    if (key !== this.key) this._write(record, record.passes[pinned[0]], pinned[1], verdict);
    this.key = key;
    this.beforeAfter.render(state);
    this.node.hidden = false;
    if (!before || before[0] !== pinned[0] || before[1] !== pinned[1]) this.node.focus({ preventScroll: true });
  }

  /** @param {[number, number]} before */
  _close([pass, i]) {
    const focused = this.node.contains(document.activeElement);
    this.node.hidden = true;
    this.key = "";
    if (focused) this.on.closed(pass, i);
  }

  /** @param {Record} record @param {Pass} pass @param {number} i @param {Verdict|null} tried the record judged by the τ that is being tried */
  _write(record, pass, i, tried) {
    const guess = pass.candidates[i];
    const limit = record.judged ? words.limit(tried ? tried.tau : record.head.config.threshold) : "";
    const rows = [
      [words.where, words.place(pass.index, i, pass.candidates.length, pass.start + i)],
      [words.confidence, short(guess.confidence, 3) + limit],
      [words.probability, short(guess.probability, 3) + words.entropy(guess.entropy)],
    ];
    const text = visible(guess.text);
    setText(this.token, shortened(text, LONGEST));
    this.body.replaceChildren(
      el("p", { class: "verdict", text: tried ? comparison(record, pass, i, tried) : verdictOf(record, pass, i) }),
      el("dl", {}, ...rows.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: value })])),
      el("h2", { text: guess.alone ? words.knowing : words.likeliest }),
      alternatives(guess.alternatives, guess.token_id, guess.alone ? words.knowing : words.alternatives)
    );
    if (guess.alone) {
      const [p, likeliest] = guess.alone;
      this.body.append(el("h2", { text: words.alone(short(p, 3)) }), alternatives(likeliest, guess.token_id, words.alone(short(p, 3))));
    }
    if (text.length > LONGEST) this.body.appendChild(el("p", { class: "note", text: words.length(guess.text.length) }));
  }
}

/**
 * The likeliest tokens of a distribution.
 * @param {Alternative[]} likeliest @param {number} chosen the guess's token id @param {string} label
 */
function alternatives(likeliest, chosen, label) {
  const list = el("ol", { class: "alternatives", "aria-label": label });
  for (const [id, text, p] of likeliest.slice(0, OTHERS)) {
    const bar = el("i");
    bar.style.width = 100 * Math.min(1, p) + "%";
    bar.style.background = shade(p).color;
    const name = el("span", { class: "alt-text", dir: "auto", text: shortened(visible(text), LONGEST_OTHER) });
    list.appendChild(
      el("li", { class: id === chosen ? "same" : "", "data-id": id }, name, el("span", { class: "alt-bar" }, bar), el("span", { class: "alt-p", text: short(p, 3) }))
    );
  }
  return list;
}

/** What the τ that is being tried makes of a guess, and what the run made of it. @param {Record} record @param {Pass} pass @param {number} i @param {Verdict} tried */
function comparison(record, pass, i, tried) {
  return words.tried(tried.tau, i < tried.kept[pass.index], record.head.config.threshold, verdictOf(record, pass, i));
}

/**
 * What became of a guess, in a sentence or two.
 * @param {Record} record @param {Pass} pass @param {number} i
 */
export function verdictOf(record, pass, i) {
  const tau = record.head.config.threshold;
  const unsure = record.judged && pass.candidates[0].confidence <= tau; // even the first was not above τ
  const guess = pass.candidates[i];
  if (i < pass.accepted) {
    const holds = draftHolds(pass, i);
    const checked = holds === null ? "" : holds ? words.holds : words.mismatch(pass.draft[i].text);
    if (i === 0) return (unsure ? words.keptFirst(tau) : words.kept) + checked;
    return (record.judged ? words.keptSure : words.kept) + checked;
  }
  const final = record.finalAt(pass.start + i);
  const became = final
    ? words.became(final.pass, final.candidate.token_id === guess.token_id ? null : final.candidate.text)
    : record.tail ? words.endedBefore : "";
  if (!record.judged) return draftOf(record, pass, i) + became;
  if (unsure) return words.unsureFirst + became;
  if (i > pass.accepted) return words.follows + became;
  return (guess.confidence <= tau ? words.notAbove(guess.confidence, tau) : words.answerEnded) + became;
}

/** What becomes of a guess beyond those that the pass knew to hold: only drafts that stand a chance are checked. @param {Record} record @param {Pass} pass @param {number} i */
function draftOf(record, pass, i) {
  const next = record.passes[pass.index + 1];
  if (!next) return record.tail ? words.notKept : words.notYet;
  return i - pass.accepted < next.draft.length ? words.draft : words.dropped;
}
