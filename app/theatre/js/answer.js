/* The answer as spans, one a pass. Long answers are kept in chunks: only those near the view are cut into spans, the others
   are plain text of the same size. */

import { el, everyFrame, setText } from "./dom.js";
import { shade } from "./scale.js";
import { readable } from "./text.js";
import { answer as words } from "./words.js";

/** @import { Record, Span, Verdict } from "./record.js" */
/**
 * partsAt: the place from which another answer differs, or −1. ghost: whether to show what the newest pass guessed beyond
 * what was kept. moves: changes when the end of the text should be brought into view.
 * @typedef {{record: Record|null, cursor: number, verdict: Verdict|null, lit: number|null, partsAt: number, ghost: boolean, moves: number}} View
 */
/** @typedef {{node: HTMLElement, key: string, last: number}} Chunk */

const CHUNK = 24; // passes

export class Answer {
  /** @param {{hover?: (pass: number|null) => void, seek?: (pass: number) => void, drawn?: (end: HTMLElement) => void}} on */
  constructor(on = {}) {
    this.on = on;
    this.given = el("span", { class: "given" }); // what the answer was made to begin with
    this.ghost = el("span", { class: "ghost", "aria-hidden": "true" });
    this.node = el("div", { class: "answer", role: "group", dir: "auto", "aria-label": words.label }, this.given, this.ghost);
    /** @type {Chunk[]} */
    this.chunks = [];
    /** @type {View} */
    this.view = { record: null, cursor: 0, verdict: null, lit: null, partsAt: -1, ghost: false, moves: 0 };
    /** @type {Set<Element>} chunks near the view */
    this.near = new Set();
    this.moved = false;
    this.lit = "";
    this.drawnGiven = "";
    this.watcher = new IntersectionObserver((entries) => this._seen(entries), { rootMargin: "400px 0px" });
    this.draw = everyFrame(() => this._draw());
    const { hover, seek } = on;
    if (hover) {
      this.node.addEventListener("mouseover", (event) => hover(passOf(event)));
      this.node.addEventListener("mouseleave", () => hover(null));
    }
    if (seek) {
      this.node.addEventListener("click", (event) => {
        const pass = passOf(event);
        if (pass !== null) seek(pass);
      });
    }
  }

  /** @param {Partial<View>} change */
  update(change) {
    const before = this.view;
    this.view = { ...before, ...change };
    const { record, cursor, moves } = this.view;
    if ((record ? record.key : 0) !== (before.record ? before.record.key : 0)) this._clear();
    if (cursor !== before.cursor || moves !== before.moves) this.moved = true;
    this.draw();
  }

  _clear() {
    for (const chunk of this.chunks) this.watcher.unobserve(chunk.node);
    this.chunks = [];
    this.near.clear();
    this.lit = "";
    this.node.replaceChildren(this.given, this.ghost);
  }

  /** @param {IntersectionObserverEntry[]} entries */
  _seen(entries) {
    for (const entry of entries) {
      if (entry.isIntersecting) this.near.add(entry.target);
      else this.near.delete(entry.target);
    }
    this.draw();
  }

  _draw() {
    const { record, cursor } = this.view;
    const count = record ? Math.ceil(cursor / CHUNK) : 0;
    while (this.chunks.length < count) {
      const node = el("span", { class: "chunk" });
      this.chunks.push({ node, key: "", last: 0 });
      this.node.insertBefore(node, this.ghost);
      this.watcher.observe(node);
      this.near.add(node);
    }
    this.chunks.forEach((chunk, c) => {
      const hidden = c >= count;
      if (chunk.node.hidden !== hidden) chunk.node.hidden = hidden;
      if (record && !hidden) this._drawChunk(record, chunk, c, c >= count - 2);
    });
    this._drawGiven();
    this._light();
    this._drawGhost();
    if (this.moved && this.on.drawn) this.on.drawn(this.ghost);
    this.moved = false;
  }

  /** @param {Record} record @param {Chunk} chunk @param {number} c its number @param {boolean} newest */
  _drawChunk(record, chunk, c, newest) {
    const { cursor, verdict, partsAt } = this.view;
    const first = c * CHUNK, last = Math.min(cursor, first + CHUNK);
    const cut = newest || this.near.has(chunk.node);
    const key = [cut, verdict ? verdict.tau : "", partsAt, record.endPlace].join();
    if (key === chunk.key && last === chunk.last) return;
    if (key === chunk.key && last > chunk.last && cut && !verdict) chunk.node.append(...this._spans(record, chunk.last, last));
    else chunk.node.replaceChildren(...(cut ? this._spans(record, first, last) : [document.createTextNode(readable(plain(record, first, last)))]));
    chunk.key = key;
    chunk.last = last;
  }

  _drawGiven() {
    const { record, partsAt } = this.view;
    const key = [record ? record.key : 0, partsAt].join();
    if (key === this.drawnGiven) return;
    this.drawnGiven = key;
    const given = record ? record.given : [];
    this.given.title = given.length ? words.given : "";
    this.given.replaceChildren(...given.flatMap(([, text], place) => {
      const token = el("span", { class: partsAt >= 0 && place >= partsAt ? "apart" : "", text: readable(text) });
      return place === partsAt ? [el("mark", { class: "parts", text: "≠", title: words.parts }), token] : [token];
    }));
  }

  /** Mark the spans of the pass that is pointed at. */
  _light() {
    const { lit, cursor, record } = this.view;
    const key = [lit, cursor].join();
    if (this.lit === key) return;
    this.lit = key;
    for (const span of this.node.querySelectorAll(".span.lit")) span.classList.remove("lit");
    if (lit !== null && record) for (const span of this.node.querySelectorAll(`.span[data-p="${lit}"]`)) span.classList.add("lit");
  }

  /** While time stands still: what the newest pass guessed beyond what was kept. */
  _drawGhost() {
    const { record, cursor, ghost } = this.view;
    const pass = ghost && record && cursor > 0 ? record.passes[cursor - 1] : null;
    setText(this.ghost, pass ? pass.candidates.slice(pass.accepted).map((c) => readable(c.text)).join("") : "");
  }

  /** @param {Record} record @param {number} first pass @param {number} last */
  _spans(record, first, last) {
    const { verdict } = this.view;
    const from = record.tokensAfter(first);
    const to = record.tokensAfter(last);
    /** @type {Span[]} */
    const cuts = verdict
      ? verdict.spans.filter(([start, end]) => end > from && start < to)
      : record.passes.slice(first, last).map((p) => [p.start, p.start + p.accepted, p.index, true]);
    return cuts.map(([start, end, pass, known]) => {
      const span = el("span", { class: "span" + (known ? "" : " unknown") + (pass % 2 ? " odd" : ""), "data-p": pass });
      for (let place = Math.max(start, from); place < Math.min(end, to); place++) this._write(span, record, place);
      return span;
    });
  }

  /** @param {Element} span @param {Record} record @param {number} place in the answer */
  _write(span, record, place) {
    const { partsAt } = this.view;
    if (place === partsAt) span.appendChild(el("mark", { class: "parts", text: "≠", title: words.parts }));
    if (place === record.endPlace) {
      span.appendChild(el("span", { class: "end", text: "■", title: words.end, "aria-label": words.endLabel }));
      return;
    }
    const final = record.finalAt(place);
    if (!final) return;
    const token = el("span", { class: partsAt >= 0 && place >= partsAt ? "t apart" : "t", text: readable(final.candidate.text) });
    token.style.setProperty("--shade", shade(final.candidate.confidence).color);
    span.appendChild(token);
  }
}

/** The text of some passes. @param {Record} record @param {number} first @param {number} last */
export function plain(record, first, last) {
  let text = "";
  for (const pass of record.passes.slice(first, last)) {
    for (let i = 0; i < pass.accepted; i++) if (pass.start + i !== record.endPlace) text += pass.candidates[i].text;
  }
  return text;
}

/** @param {Event} event */
function passOf(event) {
  const span = event.target instanceof Element ? event.target.closest(".span") : null;
  return span instanceof HTMLElement ? Number(span.dataset.p) : null;
}
