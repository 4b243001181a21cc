/* Where passes end: for each place in the block, how often its guess was kept; a bar for this run up to now, a line for the
   whole conversation. */

import { el } from "./dom.js";
import { MAX_CANDIDATES } from "./generated.js";
import { NONE, added, countPlaces, shares } from "./places.js";
import { shade } from "./scale.js";
import { ends as words } from "./words.js";

/** @import { State } from "./state.js" */

export class Ends {
  constructor() {
    this.bars = el("div", { class: "ends-bars", role: "img" });
    this.node = el("div", { class: "ends", hidden: true }, this.bars, el("span", { class: "ends-name", text: words.name, title: words.hint }));
    this.key = "";
  }

  /** @param {State} state */
  render(state) {
    const { record, live, cursor, verdict, coming, places } = state;
    const width = record ? Math.min(MAX_CANDIDATES, Math.max(0, ...record.passes.map((pass) => pass.candidates.length))) : 0;
    this.node.hidden = width < 2; // one guess a pass is always kept
    if (!record || this.node.hidden) return;
    const key = [record.key, cursor, verdict ? verdict.tau : "", live ? live.key : 0, live ? live.passes.length : 0, coming].join();
    if (key === this.key) return;
    this.key = key;
    const run = shares(countPlaces(record, cursor, verdict));
    const all = record.origin === "live" ? shares(added(places, coming && live ? countPlaces(live) : NONE)) : [];
    this._draw(width, run, all);
  }

  /** @param {number} width @param {(number|null)[]} run @param {(number|null)[]} all */
  _draw(width, run, all) {
    while (this.bars.children.length < width) this.bars.appendChild(el("span", {}, el("i"), el("b")));
    const said = [];
    for (let i = 0; i < this.bars.children.length; i++) {
      const column = this.bars.children[i], share = run[i] ?? null, whole = all[i] ?? null;
      const [bar, line] = column.children;
      if (!(column instanceof HTMLElement) || !(bar instanceof HTMLElement) || !(line instanceof HTMLElement)) continue;
      column.hidden = i >= width;
      bar.style.height = 100 * (share || 0) + "%";
      bar.style.background = shade(share || 0).color;
      line.hidden = whole === null;
      line.style.bottom = 100 * (whole || 0) + "%";
      if (i < width && share !== null) said.push((column.title = words.place(i, share, whole)));
    }
    this.bars.setAttribute("aria-label", words.label(said));
  }
}
