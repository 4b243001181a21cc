/* The scale with τ on it. Moving τ judges the recorded passes again; resting asks for the real run. */
(function (S) {
  "use strict";
  const { el, setText } = S;
  const REST = 900; // ms without a move

  class WhatIf {
    /** @param {{move: (tau: number) => void, rest: (tau: number) => void}} on */
    constructor(on) {
      this.on = on;
      this.range = el("input", { type: "range", min: 0, max: 1, step: 0.01, value: 0.9, class: "tau", "aria-label": "Threshold τ: guesses are kept while their confidence is above it" });
      this.value = el("output", { class: "tau-value" });
      this.note = el("p", { class: "whatif-note", "aria-live": "polite" });
      const strip = el("div", { class: "strip" });
      strip.style.background = S.gradient();
      this.node = el("section", { class: "whatif", "aria-label": "Confidence scale and threshold" },
        el("div", { class: "scale" }, el("span", { class: "end-label", text: "unsure" }), el("div", { class: "track" }, strip, this.range), el("span", { class: "end-label", text: "sure" }), this.value),
        this.note);
      this.range.addEventListener("input", () => {
        this._label();
        on.move(this.tau);
        clearTimeout(this.timer);
        this.timer = setTimeout(() => on.rest(this.tau), REST);
      });
      this._label();
    }

    get tau() {
      return Number(this.range.value);
    }

    set(tau) {
      this.forget();
      this.range.value = tau;
      this._label();
    }

    /** Ask for nothing on account of the last move. */
    forget() {
      clearTimeout(this.timer);
    }

    _label() {
      setText(this.value, "τ = " + this.tau.toFixed(2));
      this.range.style.setProperty("--at", 100 * this.tau + "%");
    }

    /** Say what the slider shows now, and what `next` comes of it. */
    say(record, verdict, next = "") {
      if (!record || !record.passes.length) return setText(this.note, "A guess is kept while its confidence is above τ, and so is every guess before it.");
      if (!record.judged) {
        return setText(this.note, record.head.config.algorithm === "autoregressive"
          ? "Autoregressive decoding guesses one token a pass, so there is nothing for τ to judge."
          : "Self-speculative decoding has no τ: a pass checks the guesses of the one before, and keeps those it would have made itself.");
      }
      if (!verdict) return setText(this.note, `Kept: the longest prefix above τ = ${S.short(record.head.config.threshold)}. Move τ to judge these passes again.`);
      const agree = verdict.more ? ` Of ${S.plural(verdict.more, "guess", "guesses")} it would keep beyond the record, ${verdict.agree} ${verdict.agree === 1 ? "is" : "are"} what the run wrote in the end; ≠ marks the others.` : "";
      setText(this.note, `The recorded run judged again, not decoded again: ${verdict.mean.toFixed(2)} kept a pass instead of ${record.tokensPerPass.toFixed(2)}.${agree}${next}`);
    }
  }

  S.WhatIf = WhatIf;
})(globalThis.SDLM);
