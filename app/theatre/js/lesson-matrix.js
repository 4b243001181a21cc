/* The picture of a mask: a row of the pass a line, a row it may see a column. One line is chosen, by pointer or keys. */

import { el, setText } from "./dom.js";
import { CAUSAL } from "./lesson-masks.js";
import { lesson } from "./words.js";

/** @import { MaskRow } from "./lesson-masks.js" */
/** mask: of all rows; from: lines and columns before these are not drawn. @typedef {{queries: MaskRow[], keys: MaskRow[], mask: boolean[][], from: [number, number], label: (row: MaskRow) => string}} MaskView */

const LARGEST = 24, SMALLEST = 4; // px of a cell

export class Matrix {
  /** @param {(row: MaskRow) => void} chosen */
  constructor(chosen) {
    this.chosen = chosen;
    this.canvas = el("canvas", { class: "matrix", role: "img" });
    this.range = el("input", { type: "range", min: 0, step: 1, value: 0, "aria-label": lesson.mask.row, on: { input: () => this.choose(Number(this.range.value)) } });
    this.said = el("output", { class: "matrix-said" });
    this.tokens = el("div", { class: "seen", "aria-hidden": "true" });
    this.node = el("div", { class: "matrix-box" }, this.canvas, el("label", { class: "matrix-row" }, el("span", { text: lesson.mask.row }), this.range), this.said, this.tokens);
    /** @type {MaskView|null} */
    this.view = null;
    this.line = 0; // chosen, of those drawn
    this.cell = LARGEST;
    const point = (/** @type {PointerEvent} */ event) => {
      const line = Math.floor((event.clientY - this.canvas.getBoundingClientRect().top) / this.cell);
      if (this.view && line >= 0 && line < this.lines) this.choose(line);
    };
    this.canvas.addEventListener("pointermove", point);
    this.canvas.addEventListener("pointerdown", point);
    new ResizeObserver(() => this.draw()).observe(this.node);
    new MutationObserver(() => this.draw()).observe(document.body, { attributeFilter: ["class"] });
  }

  get lines() {
    return this.view ? this.view.queries.length - this.view.from[0] : 0;
  }

  /** @param {MaskView} view @param {number} line to choose */
  show(view, line) {
    this.view = view;
    this.range.max = String(this.lines - 1);
    const folded = view.from[1] ? [el("span", { class: "folded", text: lesson.mask.folded(view.from[1]) })] : [];
    this.tokens.replaceChildren(...folded, ...view.keys.slice(view.from[1]).map((key) => el("span", { class: key.block === CAUSAL ? "text" : "own", text: view.label(key) })));
    this.choose(Math.max(0, Math.min(this.lines - 1, line)));
  }

  /** @param {number} line */
  choose(line) {
    const { view } = this;
    if (!view) return;
    this.line = line;
    const index = view.from[0] + line, row = view.queries[index], seen = view.mask[index];
    this.range.value = String(line);
    const own = seen.filter((sees, j) => sees && view.keys[j].block !== CAUSAL).length;
    setText(this.said, lesson.mask.sees(view.label(row), row.position + 1, row.block, seen.filter(Boolean).length - own, own));
    this.range.setAttribute("aria-valuetext", this.said.textContent || "");
    this.canvas.setAttribute("aria-label", lesson.mask.picture + " " + this.said.textContent);
    const first = view.from[1] ? 1 : 0;
    [...this.tokens.children].forEach((node, k) => node.classList.toggle("lit", k < first || seen[view.from[1] + k - first]));
    this.draw();
    this.chosen(row);
  }

  draw() {
    const { view, canvas } = this;
    const c = canvas.getContext("2d"), width = this.node.clientWidth;
    if (!view || !c || !width) return;
    const columns = view.keys.length - view.from[1];
    this.cell = Math.max(SMALLEST, Math.min(LARGEST, Math.floor(width / columns)));
    const ratio = Math.min(2, devicePixelRatio || 1), { cell } = this;
    canvas.width = columns * cell * ratio;
    canvas.height = this.lines * cell * ratio;
    canvas.style.width = columns * cell + "px";
    canvas.style.height = this.lines * cell + "px";
    const style = getComputedStyle(this.node);
    const [text, own, none, ink] = ["--written", "--accent", "--soft", "--ink"].map((name) => style.getPropertyValue(name));
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    const gap = cell > 7 ? 1 : 0.5;
    for (let i = 0; i < this.lines; i++) {
      for (let j = 0; j < columns; j++) {
        const sees = view.mask[view.from[0] + i][view.from[1] + j];
        c.fillStyle = !sees ? none : view.keys[view.from[1] + j].block === CAUSAL ? text : own;
        c.fillRect(j * cell, i * cell, cell - gap, cell - gap);
      }
    }
    c.strokeStyle = ink;
    c.lineWidth = 2;
    c.strokeRect(1, this.line * cell, columns * cell - 2, cell);
  }
}
