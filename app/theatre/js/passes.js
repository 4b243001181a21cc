/* The lane of passes: a row a pass, a chip a guess. Only rows in view are in the document, so its size does not grow. */

import { el, everyFrame } from "./dom.js";
import { MAX_CANDIDATES } from "./generated.js";
import { Row } from "./row.js";
import { passes as words } from "./words.js";

/** @import { RowView } from "./row.js" */

const SPARE = 4; // rows drawn beyond the view, above and below
const GAP = 6; // px between the lines of a row that has several

export class Passes {
  /** @param {{hover: (pass: number|null) => void, seek: (pass: number) => void, pin: (pass: number, i: number) => void}} on */
  constructor(on) {
    this.on = on;
    this.content = el("div", { class: "rows", role: "presentation" });
    this.spacer = el("div", { "aria-hidden": "true" }); // what is scrolled; rows hang from a box that never changes its size
    this.probe = el("div", { class: "row-height", "aria-hidden": "true" });
    this.node = el("div", { class: "passes", role: "list", "aria-label": words.label, tabindex: "-1" }, this.probe, this.spacer, this.content);
    /** @type {Row[]} */
    this.pool = [];
    /** @type {RowView & {moves: number, big: boolean}} */
    this.view = { record: null, cursor: 0, verdict: null, lit: null, pinned: null, moves: 0, big: false };
    this.drawn = 0; // key of the record that was measured
    this.wanted = -1; // the row to bring into view, or −1
    this.scrolled = false;
    this.span = "";
    this.height = 56;
    this.tall = 0; // the lane's height, and below how far it is scrolled: kept here, since asking costs a layout
    this.top = 0;
    this.draw = everyFrame(() => this._draw());
    this.node.addEventListener("scroll", () => {
      this.top = this.node.scrollTop;
      this.draw();
    }, { passive: true });
    this.node.addEventListener("mouseover", (event) => on.hover(rowOf(event)));
    this.node.addEventListener("mouseleave", () => on.hover(null));
    this.node.addEventListener("click", (event) => this._click(event));
  }

  /**
   * Fill `lane` with whole rows, whatever its size.
   * @param {HTMLElement} lane
   */
  mount(lane) {
    lane.appendChild(this.node);
    new ResizeObserver(() => this._measure()).observe(lane);
  }

  /** @param {Passes["view"]} view what is to be seen */
  update(view) {
    const before = this.view;
    this.view = view;
    if (view.moves !== before.moves) this.wanted = view.cursor - 1;
    if (view.big !== before.big) this._measure();
    this.draw();
  }

  /**
   * Put the focus on a chip; on the lane where its row is not to be seen.
   * @param {number} index pass @param {number} i place in the block
   */
  focus(index, i) {
    const row = this.pool.find(({ node }) => !node.hidden && Number(node.dataset.p) === index);
    const chip = row && index < this.view.cursor && row.cells[i];
    (chip ? chip.node : this.node).focus({ preventScroll: true });
  }

  /** @param {Event} event */
  _click(event) {
    const pass = rowOf(event);
    if (pass === null || !(event.target instanceof Element)) return;
    const chip = event.target.closest(".chip");
    if (chip instanceof HTMLElement) this.on.pin(pass, Number(chip.dataset.i));
    else this.on.seek(pass);
  }

  _measure() {
    const height = parseFloat(getComputedStyle(this.probe).height) || 56;
    const d = this.view.record ? Math.min(MAX_CANDIDATES, this.view.record.blockSize) : 8;
    const perLine = Math.min(d, parseFloat(getComputedStyle(this.node).getPropertyValue("--per-line")) || 8);
    const lines = Math.ceil(d / perLine);
    this.node.style.setProperty("--columns", String(perLine));
    const least = height * lines + (lines > 1 ? GAP : 0);
    const room = (this.tall = this.node.clientHeight);
    this.height = room > least ? room / Math.floor(room / least) : least; // the lane holds whole rows
    this.wanted = this.view.cursor - 1; // a turned phone still shows the same pass
    this.scrolled = true; // a browser that lays the page out anew may have scrolled the lane without a word
    this.draw();
  }

  _draw() {
    this.drawRows();
    this.scroll();
  }

  /** Write the rows in view; asks for no sizes. */
  drawRows() {
    const { record, cursor } = this.view;
    const key = record ? record.key : 0;
    if (key !== this.drawn) {
      this.drawn = key;
      this._measure();
    }
    const n = record ? cursor : 0;
    this.spacer.style.height = n * this.height + "px";
    this._moveTop(n);
    const first = Math.max(0, Math.floor(this.top / this.height) - SPARE);
    const last = Math.min(n, Math.ceil((this.top + this.tall) / this.height) + SPARE);
    const need = Math.ceil(this.tall / this.height) + 2 * SPARE + 2;
    while (this.pool.length < need) {
      const row = new Row();
      this.pool.push(row);
      this.content.appendChild(row.node);
    }
    const used = this.pool.length;
    const shown = new Set();
    for (let i = first; record && i < last; i++) {
      shown.add(i % used);
      this.pool[i % used].draw(record, i, this.view, this.height);
    }
    this.pool.forEach((row, slot) => row.hide(!shown.has(slot)));
    const span = [first, last, used].join();
    if (span === this.span) return;
    this.span = span;
    const order = Array.from({ length: Math.max(0, last - first) }, (_, i) => this.pool[(first + i) % used].node.id);
    this.node.setAttribute("aria-owns", order.join(" ")); // rows are read in the passes' order
  }

  /** Where the lane is to be scrolled, so that the wanted row is in view. @param {number} n rows */
  _moveTop(n) {
    const { tall, height } = this;
    this.top = Math.max(0, Math.min(this.top, n * height - tall));
    if (this.wanted < 0) return;
    const top = this.wanted * height;
    if (top < this.top - 1 || top + height > this.top + tall + 1) {
      this.top = Math.max(0, top < this.top ? top : top + height - tall);
      this.scrolled = true;
    }
    this.wanted = -1;
  }

  scroll() {
    if (!this.scrolled) return;
    this.scrolled = false;
    this.node.scrollTop = this.top;
  }
}

/** @param {Event} event */
function rowOf(event) {
  const row = event.target instanceof Element ? event.target.closest(".row") : null;
  return row instanceof HTMLElement ? Number(row.dataset.p) : null;
}
