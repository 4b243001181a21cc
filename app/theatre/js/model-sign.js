/* How the chosen model is doing, in words. */

import { el, setText } from "./dom.js";
import { stage as words } from "./words.js";

/** @import { Known } from "./models.js" */

export class ModelSign {
  /** @param {boolean} [whole] whether it says why a model failed, and a screen reader hears of changes: not of each second */
  constructor(whole = false) {
    this.whole = whole;
    this.state = el("span", { role: whole ? "status" : null });
    this.progress = el("span");
    this.node = el("span", { class: "model" }, this.state, this.progress);
  }

  /** @param {Known} status */
  render(status) {
    this.node.dataset.state = status.state;
    setText(this.state, (this.whole && status.message) || words.model[status.state](status));
    setText(this.progress, status.seconds === undefined ? "" : words.progress(status));
    this.node.title = status.message || status.model || "";
  }
}
