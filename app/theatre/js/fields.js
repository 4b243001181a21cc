/* The fields of settings: sliders and menus. They know how a value is written and chosen, not what it does. */

import { el, setText } from "./dom.js";

/** @typedef {{node: HTMLElement, readonly value: number, set: (value: number) => void}} Slider */
/** @typedef {[value: string, text: string][]} Entries */
/** @typedef {{node: HTMLElement, menu: HTMLSelectElement, readonly value: string, set: (value: string|number|null|undefined) => void, offer: (entries: Entries) => void}} Menu set: leaves what it does not offer */

/**
 * A number.
 * @param {string} label @param {number[]} limits @param {number} step @param {number} value
 * @param {{format?: (value: number) => string, moved?: () => void}} [more] how the number is shown; called when the visitor moves it
 * @returns {Slider}
 */
export function slider(label, [min, max], step, value, { format = String, moved } = {}) {
  const range = el("input", { type: "range", min, max, step, value, "aria-label": label });
  const output = el("output", { text: format(value) });
  const show = () => {
    setText(output, format(Number(range.value)));
    range.setAttribute("aria-valuetext", format(Number(range.value)));
  };
  show();
  range.addEventListener("input", () => {
    show();
    if (moved) moved();
  });
  return {
    node: el("label", { class: "field" }, el("span", { text: label }), range, output),
    get value() {
      return Number(range.value);
    },
    set(v) {
      if (Number(range.value) === v) return;
      range.value = String(v);
      show();
    },
  };
}

/**
 * One of several.
 * @param {string} label @param {Entries} entries the first is chosen @param {(value: string) => void} [chosen]
 * @returns {Menu}
 */
export function menu(label, entries, chosen) {
  const select = el("select", { "aria-label": label, on: { change: () => chosen && chosen(select.value) } });
  /** @param {Entries} offered */
  const offer = (offered) => select.replaceChildren(...offered.map(([value, text]) => el("option", { value, text })));
  offer(entries);
  return {
    node: el("label", { class: "field" }, el("span", { text: label }), select),
    menu: select,
    offer,
    get value() {
      return select.value;
    },
    set(v) {
      const value = String(v);
      if ([...select.options].some((option) => option.value === value)) select.value = value;
    },
  };
}
