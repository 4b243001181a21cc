/* On the card of a guess: decode on from another token at its place, or from a text of one's own. */

import { el, setText } from "./dom.js";
import { canFork } from "./forks.js";
import { MAX_FORK_CHARACTERS } from "./generated.js";
import { visible } from "./text.js";
import { forks as words } from "./words.js";

/** @import { Card } from "./card.js" */
/** @import { State } from "./state.js" */

export class ForkForm {
  /**
   * @param {Card} card whose lists of likeliest tokens hold items with data-id
   * @param {(place: number, put: number|string, text: string) => void} onfork text: what the token or text is called
   */
  constructor(card, onfork) {
    this.card = card;
    this.onfork = onfork;
    this.place = 0;
    this.field = el("input", { maxlength: MAX_FORK_CHARACTERS, placeholder: words.placeholder, "aria-label": words.own });
    this.go = el("button", { type: "submit", text: words.go, title: words.goHint });
    this.note = el("p", { class: "note" });
    this.node = el("form", { class: "fork-form", on: { submit: (/** @type {Event} */ event) => this._submit(event) } }, el("div", {}, this.field, this.go), this.note);
    card.node.appendChild(this.node);
    card.body.addEventListener("click", (event) => this._click(event));
  }

  /** @param {State} state after the card was drawn */
  render(state) {
    const { record, pinned } = state;
    const pass = record && pinned ? record.passes[pinned[0]] : null;
    this.node.hidden = !pass || !record || record.origin !== "live";
    if (!pass || !pinned || this.node.hidden) return;
    const place = pass.start + pinned[1];
    if (place !== this.place) this.field.value = "";
    this.place = place;
    const able = canFork(state, place);
    this.field.disabled = this.go.disabled = !able;
    setText(this.note, able ? words.how : state.coming ? words.whileRunning : words.beyond);
    for (const item of this.card.body.querySelectorAll("li[data-id]")) this._offer(item, able);
  }

  /** Make a likely token a button. @param {Element} item @param {boolean} able */
  _offer(item, able) {
    let name = item.querySelector("button");
    const label = item.querySelector(".alt-text");
    if (!name && label) {
      name = el("button", { type: "button", class: label.className, dir: "auto", text: label.textContent, title: words.goHint });
      label.replaceWith(name);
    }
    if (name) name.disabled = !able;
  }

  /** @param {Event} event */
  _click(event) {
    const item = event.target instanceof Element ? event.target.closest("li[data-id]") : null;
    const name = item && item.querySelector("button");
    if (item instanceof HTMLElement && name && !name.disabled) this.onfork(this.place, Number(item.dataset.id), name.textContent || "");
  }

  /** @param {Event} event */
  _submit(event) {
    event.preventDefault();
    const text = this.field.value;
    if (!text) return this.field.focus();
    this.field.value = "";
    this.onfork(this.place, text, visible(text));
  }
}
