/* What is said of the run that is shown: a badge and a sentence, and its numbers up to now. */

import { el, numberList, setBanner, setText } from "./dom.js";
import { Ends } from "./ends.js";
import { seconds } from "./numbers.js";
import { shownRate } from "./tradeoff.js";
import { stage as words, states } from "./words.js";

/** @import { State } from "./state.js" */

export class Summary {
  constructor() {
    this.badge = el("span", { class: "badge" });
    this.banner = el("p", { class: "banner", role: "status" });
    const { node, numbers } = numberList(words.numbers, "0");
    this.numbers = numbers;
    this.ends = new Ends();
    this.node = el("div", { class: "head" }, el("div", { class: "state" }, this.badge, this.banner), this.ends.node, node);
  }

  /** @param {State} state */
  render(state) {
    const { status, detail, notice, record, cursor } = state;
    this.ends.render(state);
    const [badge, sentence] = states[status](detail);
    setText(this.badge, badge);
    if (notice) setBanner(this.banner, notice.text, notice.wrong);
    else setBanner(this.banner, sentence, status === "failed");
    const tokens = record ? record.tokensAfter(cursor) - record.given.length : 0;
    setText(this.numbers.passes, String(cursor));
    setText(this.numbers.tokens, String(tokens));
    const rate = shownRate({ record, cursor });
    setText(this.numbers.rate, rate === null ? "–" : rate.toFixed(2));
    setText(this.numbers.time, record ? seconds(record.clock[cursor]) : "–");
  }
}
