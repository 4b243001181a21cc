/* Parts of the stage put together for a step of the lesson, over a store of their own. */

import { Answer } from "./answer.js";
import { CacheLane } from "./cache.js";
import { Card } from "./card.js";
import { el } from "./dom.js";
import { Passes } from "./passes.js";
import { FIRST, reduce } from "./state.js";
import { createStore } from "./store.js";
import { Timeline } from "./timeline.js";
import { WhatIf } from "./whatif.js";

/** @import { Record } from "./record.js" */
/** @import { State } from "./state.js" */
/** @typedef {"answer"|"cache"|"card"|"passes"|"timeline"|"whatIf"} Part */

export class Scene {
  /**
   * @param {Part[]} parts
   * @param {(pass: number, i: number) => void} [pin] what a click on a guess does; else it opens the card
   */
  constructor(parts, pin) {
    this.store = createStore(reduce, FIRST);
    const { dispatch } = this.store;
    const has = (/** @type {Part} */ part) => parts.includes(part);
    const seek = (/** @type {number} */ pass) => dispatch({ type: "seek", cursor: pass + 1 });
    const hover = (/** @type {number|null} */ pass) => dispatch({ type: "light", pass });
    const open = (/** @type {number} */ pass, /** @type {number} */ i) => has("card") && dispatch({ type: "pin", pass, i });
    this.passes = new Passes({ hover, seek: has("timeline") ? seek : () => {}, pin: pin || open });
    this.answer = new Answer({ hover, seek: has("timeline") ? seek : undefined });
    this.cache = new CacheLane(seek);
    this.timeline = new Timeline(dispatch);
    this.whatIf = new WhatIf({ move: (tau) => dispatch({ type: "judge", tau, moving: true }), rest: () => {} }, false);
    this.card = new Card({ close: () => dispatch({ type: "unpin" }), closed: (pass, i) => this.passes.focus(pass, i), filters: (filters) => dispatch({ type: "filters", filters }) });
    const lane = el("div", { class: has("card") ? "lane tall" : "lane" });
    this.passes.mount(lane);
    if (has("card")) lane.appendChild(this.card.node);
    this.node = el("div", { class: "scene" }, has("whatIf") ? this.whatIf.node : null, has("answer") ? this.answer.node : null, has("passes") ? lane : null,
      has("cache") ? this.cache.node : null, has("timeline") ? this.timeline.node : null);
    this.store.subscribe((state) => this.render(state));
  }

  /** @param {Record} record @param {number} [at] pass */
  show(record, at = Infinity) {
    this.store.dispatch({ type: "show", record, status: "example", at });
  }

  /** @param {State} state */
  render(state) {
    const { record, cursor, verdict, lit, pinned, moves, big } = state;
    this.passes.update({ record, cursor, verdict, lit, pinned, moves, big });
    this.answer.update({ record, cursor, verdict, lit, moves, ghost: false, partsAt: -1 });
    this.cache.update({ record, cursor });
    for (const part of [this.timeline, this.whatIf, this.card]) part.render(state);
  }
}
