/* The lane of the KV cache: for each pass the rows read from it, newly written to it, and thrown away. */

import { el, everyFrame, setText } from "./dom.js";
import { doubled } from "./numbers.js";
import { cache as words } from "./words.js";

/** @import { Pass } from "./generated.js" */
/** @import { Record } from "./record.js" */

const FEWEST_PLACES = 24; // for bars
const SAMPLED = 40; // passes that say how tall the lower bars get

export class CacheLane {
  /** @param {(pass: number) => void} seek */
  constructor(seek) {
    this.canvas = el("canvas", { role: "img" });
    this.numbers = { reused: el("b"), written: el("b"), thrown: el("b") };
    /** @param {"reused"|"written"|"thrown"} name */
    const part = (name) => el("span", {}, el("i", { class: name }), this.numbers[name], el("span", { text: " " + words[name] }));
    this.caption = el("p", { class: "caption" }, el("span", { text: words.caption }), part("reused"), part("written"), part("thrown"));
    this.node = el("section", { class: "cache", "aria-label": words.label }, this.canvas, this.caption);
    /** @type {{record: Record|null, cursor: number}} */
    this.view = { record: null, cursor: 0 };
    this.bars = document.createElement("canvas"); // all bars drawn so far; what is shown of them depends on the cursor
    this.drawn = { key: "", passes: 0 };
    this.width = this.height = 0;
    /** @type {string[]|null} */
    this.colors = null;
    this.draw = everyFrame(() => this._draw());
    new ResizeObserver(() => {
      this.width = this.canvas.clientWidth;
      this.height = this.canvas.clientHeight;
      this.draw();
    }).observe(this.canvas);
    new MutationObserver(() => {
      this.colors = null;
      this.draw();
    }).observe(document.body, { attributeFilter: ["class"] });
    this.canvas.addEventListener("click", (event) => {
      const { record } = this.view;
      if (!record || !record.passes.length) return;
      const box = this.canvas.getBoundingClientRect();
      seek(Math.min(record.passes.length - 1, Math.floor(((event.clientX - box.left) / box.width) * places(record))));
    });
  }

  /** @param {{record: Record|null, cursor: number}} view */
  update(view) {
    this.view = view;
    this.draw();
  }

  /** @param {Pass|null} pass */
  _say(pass) {
    setText(this.numbers.reused, pass ? String(pass.rows_reused) : "–");
    setText(this.numbers.written, pass ? String(pass.rows_written) : "–");
    setText(this.numbers.thrown, pass ? String(pass.rows - pass.rows_written) : "–");
    this.canvas.setAttribute("aria-label", this.caption.textContent || "");
  }

  _draw() {
    const { record, cursor } = this.view;
    const { width, height } = this;
    if (!width || !height) return;
    const shown = record ? Math.min(cursor, record.passes.length) : 0;
    this._say(record && shown ? record.passes[shown - 1] : null);
    const ratio = Math.min(2, devicePixelRatio || 1);
    this._fit(Math.round(width * ratio), Math.round(height * ratio));
    const c = this.canvas.getContext("2d");
    if (!c) return;
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!record || !shown) return;
    const colors = this._colors();
    const slot = width / places(record);
    this._drawBars(record, slot, ratio, colors);
    const right = Math.round(shown * slot * ratio);
    c.drawImage(this.bars, 0, 0, right, this.bars.height, 0, 0, right, this.bars.height);
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.strokeStyle = colors[3];
    c.lineWidth = 1.5;
    c.strokeRect(Math.max(0.75, (shown - 1) * slot - 0.5), 0.75, Math.max(3, slot), height - 1.5);
  }

  _colors() {
    if (!this.colors) {
      const style = getComputedStyle(this.node);
      this.colors = ["--reused", "--written", "--thrown", "--ink"].map((name) => style.getPropertyValue(name));
    }
    return this.colors;
  }

  /** @param {number} width @param {number} height of both canvases, in their own pixels */
  _fit(width, height) {
    for (const canvas of [this.canvas, this.bars]) {
      if (canvas.width === width && canvas.height === height) continue;
      canvas.width = width;
      canvas.height = height;
      this.drawn.key = "";
    }
  }

  /**
   * Above: rows read. Below, on a scale of its own: rows written and thrown away.
   * @param {Record} record @param {number} slot width of a place @param {number} ratio @param {string[]} colors
   */
  _drawBars(record, slot, ratio, colors) {
    const { passes } = record;
    const most = doubled(64, passes[passes.length - 1].rows_reused);
    const mostNew = doubled(record.blockSize + 2, Math.max(1, ...passes.slice(1, SAMPLED).map((p) => p.rows)));
    const key = [record.key, slot, most, mostNew, this.height, ratio, colors].join();
    const c = this.bars.getContext("2d");
    if (!c) return;
    if (key !== this.drawn.key) {
      this.drawn = { key, passes: 0 };
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
      c.clearRect(0, 0, this.width, this.height);
    }
    const upper = Math.round(this.height * 0.55), lower = this.height - upper - 2;
    const w = Math.max(0.6, slot - (slot > 5 ? 1 : 0));
    /** @param {string} color @param {number} x @param {number} y @param {number} h */
    const bar = (color, x, y, h) => {
      c.fillStyle = color;
      c.fillRect(x, y, w, h);
    };
    for (; this.drawn.passes < passes.length; this.drawn.passes++) {
      const p = passes[this.drawn.passes];
      const x = this.drawn.passes * slot;
      const h = (p.rows_reused / most) * (upper - 2);
      const a = Math.min(lower, (p.rows_written / mostNew) * lower); // the prompt's pass would dwarf the others
      const b = Math.min(lower - a, ((p.rows - p.rows_written) / mostNew) * lower);
      bar(colors[0], x, upper - h, h);
      bar(colors[1], x, upper + 2, a);
      bar(colors[2], x, upper + 2 + a, b);
    }
  }
}

/** Places for bars: while passes come, doubled when they are full, so that a new one seldom moves the old. @param {Record} record */
function places(record) {
  const { length } = record.passes;
  return record.tail ? Math.max(FEWEST_PLACES, length) : doubled(FEWEST_PLACES, length);
}
