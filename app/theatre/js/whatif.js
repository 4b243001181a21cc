/* The scale with τ on it. Moving τ judges the recorded passes again; resting asks for the real run. */

import { el, setText } from "./dom.js";
import { BY_CONFIDENCE, LIMITS } from "./generated.js";
import { gradient } from "./scale.js";
import { canRedo } from "./state.js";
import { whatIf as words } from "./words.js";

/** @import { State } from "./state.js" */

const REST = 900; // ms without a move

export class WhatIf {
  /**
   * @param {{move: (tau: number) => void, rest: () => void}} on
   * @param {boolean} decodes whether there is a model that τ may be chosen for
   */
  constructor(on, decodes) {
    this.on = on;
    this.decodes = decodes;
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    this.timer = undefined;
    const [min, max] = LIMITS.threshold;
    this.range = el("input", { type: "range", min, max, step: 0.01, value: 0.9, class: "tau", "aria-label": words.tau });
    this.value = el("output", { class: "tau-value" });
    this.note = el("p", { class: "whatif-note", "aria-live": "polite" });
    const strip = el("div", { class: "strip" });
    strip.style.background = gradient();
    this.column = el("div", { class: "threshold" },
      el("div", { class: "scale" }, el("span", { class: "end-label", text: words.unsure }), el("div", { class: "track" }, strip, this.range), el("span", { class: "end-label", text: words.sure }), this.value),
      this.note);
    this.node = el("section", { class: "whatif", "aria-label": words.label }, this.column);
    this.range.addEventListener("input", () => {
      on.move(Number(this.range.value));
      this.forget();
      this.timer = setTimeout(() => this.on.rest(), REST);
    });
  }

  /** Ask for nothing on account of the last move. */
  forget() {
    clearTimeout(this.timer);
  }

  /** @param {State} state */
  render(state) {
    const { record, tau } = state;
    const next = this.decodes && BY_CONFIDENCE.includes(state.algorithm);
    this.range.disabled = record ? !record.judged && !next : !next;
    if (Number(this.range.value) !== tau) this.range.value = String(tau);
    setText(this.value, "τ = " + tau.toFixed(2));
    this.range.style.setProperty("--at", 100 * tau + "%");
    setText(this.note, note(state));
  }
}

/**
 * What the slider shows now, and what comes of it.
 * @param {State} state
 */
export function note(state) {
  const { record, verdict, moving } = state;
  if (!record || !record.passes.length) return words.empty;
  if (!record.judged) return record.head.config.algorithm === "autoregressive" ? words.autoregressive : words.selfSpeculative;
  if (!verdict) return words.kept(record.head.config.threshold);
  const next = !record.tail ? words.goesOn : !canRedo(state) ? "" : moving ? words.whenResting : words.onceMore;
  return words.judged(verdict, record.tokensPerPass) + next;
}
