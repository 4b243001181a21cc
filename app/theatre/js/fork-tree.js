/* The tree of forks: a row a run, with the part of the answer that is its own; one row is shown. Only rows in view are in
   the document, so its size does not grow. */

import { button, el } from "./dom.js";
import { indexIn, ordered, shownForks } from "./forks.js";
import { isBusy } from "./state.js";
import { readable } from "./text.js";
import { forks as words } from "./words.js";

/** @import { Fork } from "./forks.js" */
/** @import { State } from "./state.js" */
/** order: indices and depths of the rows. at: index of the shown run, other: of the one compared with. @typedef {{forks: Fork[], order: [number, number][], at: number, other: number, busy: boolean}} View */

const MAX_NAME = 60;
const DEEPEST = 20; // that is told from others by how far it is indented
const SPARE = 4; // rows drawn beyond the view, above and below

export class ForkTree {
  /** @param {{choose: (index: number) => void, against: (index: number) => void, rename: (index: number, name: string) => void}} on */
  constructor(on) {
    this.on = on;
    this.list = el("ol", { class: "fork-list", tabindex: "0", "aria-label": words.label });
    this.probe = el("div", { class: "fork-height", "aria-hidden": "true" });
    this.node = el("section", { class: "forks", "aria-label": words.label, hidden: true }, this.probe, this.list);
    /** @type {View} */
    this.view = { forks: [], order: [], at: -1, other: -1, busy: false };
    this.key = "";
    this.span = "";
    this.list.addEventListener("click", (event) => this._click(event));
    this.list.addEventListener("scroll", () => this.draw(), { passive: true });
  }

  /** @param {State} state */
  render(state) {
    const forks = shownForks(state), { record, live, kept, against } = state;
    this.node.hidden = forks.length < 2;
    if (this.node.hidden) return;
    const at = indexIn(forks, record), busy = isBusy(state);
    const other = indexIn(forks, !record || record.origin !== "live" ? against : at >= 0 && at === indexIn(forks, live) ? kept : live);
    const key = [at, other, busy].join();
    if (forks === this.view.forks && key === this.key) return;
    const moved = at !== this.view.at || forks.length !== this.view.forks.length;
    this.view = { forks, order: forks === this.view.forks ? this.view.order : ordered(forks), at, other, busy };
    this.key = key;
    this.span = "";
    this.draw(moved);
  }

  /** Write the rows in view. @param {boolean} [show] whether the shown run is to be among them */
  draw(show = false) {
    const { forks, order, at } = this.view;
    const height = this.probe.offsetHeight || 28, tall = this.list.clientHeight || 6 * height;
    const row = show ? order.findIndex(([index]) => index === at) : -1;
    let top = this.list.scrollTop;
    if (row >= 0 && (row * height < top || (row + 1) * height > top + tall)) top = Math.max(0, (row + 1) * height - tall);
    const first = Math.max(0, Math.floor(top / height) - SPARE), last = Math.min(order.length, Math.ceil((top + Math.max(tall, 6 * height)) / height) + SPARE);
    const span = [first, last].join();
    if (span !== this.span && !this.list.querySelector("input")) {
      this.span = span;
      const held = document.activeElement instanceof HTMLElement && this.list.contains(document.activeElement) ? document.activeElement : null;
      const from = held && held.closest(".fork-row"), index = from instanceof HTMLElement ? from.dataset.index : undefined;
      const longest = forks.reduce((most, { record }) => Math.max(most, record.tokens), 1);
      const rows = order.slice(first, last).map(([i, depth], n) => this._row(i, depth, first + n, longest));
      this.list.replaceChildren(space(first * height), ...rows, space((order.length - last) * height));
      const again = held && held !== this.list ? this.list.querySelector(`[data-index="${index}"] .fork-go`) || this.list : null;
      if (again instanceof HTMLElement) again.focus({ preventScroll: true });
    }
    if (this.list.scrollTop !== top) this.list.scrollTop = top;
  }

  /** @param {number} index @param {number} depth @param {number} place in the list @param {number} longest answer, in tokens */
  _row(index, depth, place, longest) {
    const { forks, at, other, busy, order } = this.view;
    const { record, name, place: start, parent } = forks[index];
    const own = el("i");
    own.style.marginInlineStart = (100 * start) / longest + "%";
    own.style.width = (100 * Math.max(1, record.tokens - start)) / longest + "%";
    const shown = parent < 0 ? words.first : readable(name) || words.unnamed;
    const row = el("li", { class: "fork-row" + (index === at ? " shown" : "") + (index === other ? " other" : ""), "data-index": index, "aria-setsize": order.length, "aria-posinset": place + 1 },
      button(shown, words.show(shown, depth), () => {}, { class: "fork-go", dir: "auto", "aria-label": words.show(shown, depth), "aria-current": index === at ? "true" : null, disabled: busy }),
      el("span", { class: "fork-line", "aria-hidden": "true" }, own),
      el("span", { class: "fork-rate", text: record.tokensPerPass.toFixed(2), title: words.rate }),
      index !== at ? at >= 0 && button("≠", words.against, () => {}, { class: "fork-against", "aria-label": words.against, "aria-pressed": String(index === other), disabled: busy }) || null
        : parent >= 0 ? button("✎", words.rename, () => {}, { class: "fork-rename", "aria-label": words.rename }) : null);
    row.style.setProperty("--depth", String(Math.min(depth, DEEPEST)));
    return row;
  }

  /** @param {Event} event */
  _click(event) {
    const pressed = event.target instanceof Element ? event.target.closest("button") : null;
    const row = pressed && pressed.closest(".fork-row");
    if (!pressed || !(row instanceof HTMLElement)) return;
    const index = Number(row.dataset.index);
    if (pressed.matches(".fork-go")) this.on.choose(index);
    if (pressed.matches(".fork-against")) this.on.against(index);
    if (pressed.matches(".fork-rename")) this._rename(row, index);
  }

  /** Write another name in place of the button. @param {HTMLElement} row @param {number} index */
  _rename(row, index) {
    const go = row.querySelector(".fork-go");
    if (!(go instanceof HTMLElement)) return;
    const before = this.view.forks[index].name;
    const field = el("input", { class: "fork-field", value: before, maxlength: MAX_NAME, "aria-label": words.name });
    let over = false;
    const end = (/** @type {string} */ name) => {
      if (over) return;
      over = true;
      field.replaceWith(go);
      if (name.trim() && name !== before) this.on.rename(index, name.trim());
    };
    field.addEventListener("blur", () => end(field.value));
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.stopPropagation();
      end(event.key === "Enter" ? field.value : before);
      const again = this.list.querySelector(`[data-index="${index}"] .fork-go`);
      if (again instanceof HTMLElement) again.focus();
    });
    go.replaceWith(field);
    field.select();
  }
}

/** In place of rows that are not in the document. @param {number} height in px */
function space(height) {
  const node = el("li", { "aria-hidden": "true" });
  node.style.height = height + "px";
  return node;
}
