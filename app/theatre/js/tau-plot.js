/* Beside τ: speed against quality. The measured curves of this model, and on them the shown answer: judged while τ moves,
   as decoded when it rests. */

import { el, setText } from "./dom.js";
import { short } from "./numbers.js";
import { curvesOf, figure, placeOn } from "./tradeoff.js";
import { tauPlot as words } from "./words.js";

/** @import { Record } from "./record.js" */
/** @import { State } from "./state.js" */
/** @import { Curve, Figure, Measured } from "./tradeoff.js" */
/** @typedef {{rate: number, agreement: number}} Place */

const WIDE = 240, HIGH = 118, LEFT = 24, RIGHT = 8, TOP = 8, BOTTOM = 26;

/** An element of a drawing. @param {string} tag @param {{[name: string]: string|number}} [attributes] @param {string} [text] */
function draw(tag, attributes = {}, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  if (text) node.textContent = text;
  return node;
}

export class TauPlot {
  constructor() {
    /** @type {Measured|null} */
    this.measured = null;
    /** @type {Curve[]} */
    this.curves = [];
    this.key = "";
    this.least = 0; // of the axes: agreement, and below the most tokens a pass
    this.most = 1;
    this.frame = draw("g");
    this.line = draw("line", { class: "rate" });
    this.before = draw("circle", { class: "before", r: 3 });
    this.point = draw("circle", { class: "here", r: 5 });
    /** @type {SVGElement[]} */
    this.marks = [];
    this.svg = draw("svg", { class: "tau-plot", viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img" });
    this.svg.append(this.frame, this.line, this.before, this.point);
    this.caption = el("figcaption");
    this.node = el("figure", { class: "tau-figure", hidden: true }, this.svg, this.caption);
  }

  /** @param {State} state */
  render(state) {
    const { record, kept, tau } = state;
    const here = figure(state);
    this.node.hidden = !record || !here;
    if (!record || !here) return;
    const { least, most } = extent(record, here, curvesOf(this.measured, record));
    const key = [record.key, this.measured !== null, least, most].join();
    if (key !== this.key) {
      this.key = key;
      this.least = least;
      this.most = most;
      this._frame(record);
    }
    this.marks.forEach((mark, i) => this._put(mark, placeOn(this.curves[i].points, tau)));
    this.line.toggleAttribute("hidden", here.agreement !== null);
    for (const [name, value] of Object.entries({ x1: LEFT, x2: WIDE - RIGHT, y1: this._y(here.rate), y2: this._y(here.rate) })) this.line.setAttribute(name, String(value));
    this._put(this.point, { rate: here.rate, agreement: here.agreement ?? 1 });
    this.point.toggleAttribute("hidden", here.agreement === null);
    this.point.classList.toggle("judged", here.judged);
    const older = kept && kept.judged && kept !== record ? kept : null;
    this.before.toggleAttribute("hidden", !older);
    if (older) this._put(this.before, { rate: older.tokensPerPass, agreement: 1 });
    setText(this.caption, words.here(here.rate.toFixed(2), here.agreement === null ? "" : short(here.agreement), here.judged));
    const names = this.curves.map((c) => words.curve(words.tasks[c.task] || c.task, c.n, placeOn(c.points, tau)));
    this.svg.setAttribute("aria-label", [words.label, this.caption.textContent, ...names].join(" "));
  }

  /** Axes and curves: they stand still while τ moves. @param {Record} record */
  _frame(record) {
    this.curves = curvesOf(this.measured, record);
    const right = WIDE - RIGHT, low = HIGH - BOTTOM;
    const parts = [draw("path", { class: "axes", d: `M${LEFT} ${TOP}V${low}H${right}` })];
    const rates = [1, this.most], shares = [this.least, 1];
    for (const rate of rates) parts.push(draw("text", { class: "y", x: LEFT - 4, y: this._y(rate) + 4 }, String(rate)));
    for (const share of shares) parts.push(draw("text", { class: share === 1 ? "x end" : "x", x: this._x(share), y: low + 11 }, short(share, 1)));
    parts.push(draw("text", { class: "x middle", x: (LEFT + right) / 2, y: low + 11 }, words.agreement), draw("text", { class: "title", x: LEFT + 4, y: TOP + 5 }, words.rate));
    this.curves.forEach(({ task, points }, i) => {
      const path = points.map(([, rate, agrees]) => `${this._x(agrees).toFixed(1)} ${this._y(rate).toFixed(1)}`).join("L");
      parts.push(draw("path", { class: "curve c" + i, d: "M" + path }));
      parts.push(draw("text", { class: "key c" + i, x: LEFT + 4 + i * 92, y: HIGH - 3 }, (i ? "╌ " : "— ") + (words.tasks[task] || task)));
    });
    this.marks = this.curves.map(() => draw("circle", { class: "measured", r: 3.5 }));
    if (!this.curves.length) parts.push(draw("text", { class: "key", x: LEFT + 4, y: HIGH - 3 }, words.unmeasured));
    this.frame.replaceChildren(...parts, ...this.marks);
    this.svg.replaceChildren(draw("title", {}, this.curves.length ? words.title(this.measured ? this.measured.guesses : "") : words.unmeasured), this.frame, this.line, this.before, this.point);
  }

  /** @param {number} rate */
  _y(rate) {
    return HIGH - BOTTOM - ((rate - 1) / Math.max(1, this.most - 1)) * (HIGH - BOTTOM - TOP);
  }

  /** @param {number} agreement */
  _x(agreement) {
    return LEFT + ((agreement - this.least) / (1 - this.least)) * (WIDE - LEFT - RIGHT);
  }

  /** @param {SVGElement} circle @param {Place} place */
  _put(circle, { rate, agreement }) {
    circle.setAttribute("cx", this._x(agreement).toFixed(1));
    circle.setAttribute("cy", this._y(rate).toFixed(1));
  }
}

/** Axes that hold the curves, the answer and all that another τ could make of it. @param {Record} record @param {Figure} here @param {Curve[]} curves */
function extent(record, here, curves) {
  const points = curves.flatMap((c) => c.points);
  const lowest = Math.min(0.9, here.agreement ?? 1, ...points.map((p) => p[2]));
  return { least: Math.max(0, Math.floor(10 * lowest) / 10), most: Math.max(2, record.blockSize, Math.ceil(here.rate)) };
}
