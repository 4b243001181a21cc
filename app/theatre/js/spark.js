/* Tokens a pass along the run, under the slider of time: a bar a pass, or the mean of several where they are many. */

import { el, everyFrame } from "./dom.js";

/** @import { Record } from "./record.js" */

const INSET = 8; // px that the slider's thumb leaves on each side

export class Spark {
  constructor() {
    this.node = el("canvas", { class: "spark", "aria-hidden": "true" });
    /** @type {{record: Record|null, cursor: number}} */
    this.view = { record: null, cursor: 0 };
    this.width = this.height = 0;
    /** @type {string[]|null} */
    this.colors = null;
    this.draw = everyFrame(() => this._draw());
    new ResizeObserver(() => {
      this.width = this.node.clientWidth;
      this.height = this.node.clientHeight;
      this.draw();
    }).observe(this.node);
    new MutationObserver(() => {
      this.colors = null;
      this.draw();
    }).observe(document.body, { attributeFilter: ["class"] });
  }

  /** @param {{record: Record|null, cursor: number}} view */
  update({ record, cursor }) {
    if (record === this.view.record && cursor === this.view.cursor) return;
    this.view = { record, cursor };
    this.draw();
  }

  _draw() {
    const { record, cursor } = this.view, { width, height } = this;
    const c = this.node.getContext("2d");
    if (!width || !height || !c) return;
    const ratio = Math.min(2, devicePixelRatio || 1);
    this.node.width = Math.round(width * ratio);
    this.node.height = Math.round(height * ratio);
    if (!record || !record.passes.length) return;
    c.scale(ratio, ratio);
    if (!this.colors) {
      const style = getComputedStyle(this.node);
      this.colors = ["--written", "--line"].map((name) => style.getPropertyValue(name));
    }
    const heights = means(record.passes.map((pass) => pass.accepted), Math.max(1, Math.floor(width - 2 * INSET)));
    const slot = (width - 2 * INSET) / heights.length, most = Math.max(2, ...heights);
    heights.forEach((value, i) => {
      const h = Math.max(1, (value / most) * height);
      c.fillStyle = (this.colors || [])[(i + 1) / heights.length <= cursor / record.passes.length + 1e-9 ? 0 : 1];
      c.fillRect(INSET + i * slot, height - h, Math.max(0.6, slot - (slot > 4 ? 1 : 0)), h);
    });
  }
}

/**
 * At most `places` numbers in the place of more: the mean of each stretch.
 * @param {number[]} values @param {number} places
 */
export function means(values, places) {
  if (values.length <= places) return values;
  return Array.from({ length: places }, (_, i) => {
    const part = values.slice(Math.floor((i * values.length) / places), Math.floor(((i + 1) * values.length) / places));
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}
