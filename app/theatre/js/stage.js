/* The stage: a conversation on the left, the passes of its newest answer on the right, and time below. What is going on
   stands in the store; here the parts are put together, and drawn when it changes. */

import { Answer } from "./answer.js";
import { CacheLane } from "./cache.js";
import { Card } from "./card.js";
import { Comparison } from "./comparison.js";
import { Compose } from "./compose.js";
import { Conversation } from "./conversation.js";
import { button, el, iconButton, setText } from "./dom.js";
import { Files } from "./files.js";
import { ForkForm } from "./fork-form.js";
import { ForkTree } from "./fork-tree.js";
import { saved } from "./forks.js";
import { ModelSign } from "./model-sign.js";
import { OtherGuesses } from "./other-guesses.js";
import { Passes } from "./passes.js";
import { PromptTokens } from "./prompt-tokens.js";
import { Session } from "./session.js";
import { FIRST, comparedWith, isBusy, reduce } from "./state.js";
import { createStore } from "./store.js";
import { Summary } from "./summary.js";
import { TauPlot } from "./tau-plot.js";
import { Timeline } from "./timeline.js";
import { WhatIf } from "./whatif.js";
import { stage as words } from "./words.js";

/** @import { Models } from "./models.js" */
/** @import { Action, State } from "./state.js" */
/** @import { Gradio } from "./wire.js" */

const THEME = "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm0 2v10A5 5 0 0 1 8 3z"; // a sign in a box of 16 by 16

export class Stage {
  /** @param {HTMLElement} root @param {Gradio|null} gradio null in an exported file: no model, no server @param {Models|null} [models] */
  constructor(root, gradio, models = null) {
    this.store = createStore(reduce, FIRST);
    this.dispatch = this.store.dispatch;
    /** @param {number} pass */
    const seek = (pass) => this.dispatch({ type: "seek", cursor: pass + 1 });
    /** @param {number|null} pass */
    const hover = (pass) => this.dispatch({ type: "light", pass });
    this.passes = new Passes({ hover, seek, pin: (pass, i) => this.dispatch({ type: "pin", pass, i }) });
    this.answer = new Answer({ hover, seek, drawn: (end) => this.conversation.keepInView(end) });
    this.conversation = new Conversation(this.answer.node);
    this.cache = new CacheLane(seek);
    this.timeline = new Timeline(this.dispatch);
    this.whatIf = new WhatIf({ move: (tau) => this.dispatch({ type: "judge", tau, moving: true }), rest: () => this.session && this.session.rest() }, gradio !== null);
    this.tauPlot = new TauPlot();
    this.whatIf.node.append(this.tauPlot.node);
    this.card = new Card({ close: () => this.dispatch({ type: "unpin" }), closed: (pass, i) => this.passes.focus(pass, i), filters: (filters) => this.dispatch({ type: "filters", filters }) });
    this.otherGuesses = new OtherGuesses((guesses) => {
      if (this.compose) this.compose.guesses.set(guesses);
      if (this.session) this.session.again({ guesses });
    });
    this.whatIf.column.append(this.otherGuesses.node);
    this.comparison = new Comparison(() => this.dispatch({ type: "swap" }), () => this.dispatch({ type: "back" }));
    this.forks = new ForkTree({
      choose: (index) => this._choose({ type: "choose", index }), against: (index) => this._choose({ type: "against", index }),
      rename: (index, name) => this._choose({ type: "rename", index, name }),
    });
    this.forkForm = new ForkForm(this.card, (place, put, text) => this.session && this.session.fork(place, put, text));
    this.summary = new Summary();
    /** @type {Compose|null} */
    this.compose = null;
    /** @type {Session|null} */
    this.session = null;
    this.promptTokens = gradio && new PromptTokens(gradio.server);
    if (gradio && models) this._connect(gradio, models);
    this.files = new Files(gradio, {
      record: () => this.state.record,
      saved: () => saved(this.state),
      run: () => this.session && this.session.wire.run,
      loaded: (forks) => this.session && this.session.load(forks),
      refused: (message) => this.dispatch({ type: "refuse", message }),
    });
    this.node = this._build(gradio !== null);
    root.replaceChildren(this.node);
    this.store.subscribe((state) => this.render(state));
    this.render(this.state);
    document.addEventListener("keydown", (event) => this._key(event));
  }

  /** @returns {State} */
  get state() {
    return this.store.state;
  }

  /** @param {Action} action of the tree of forks, which a reload keeps */
  _choose(action) {
    this.dispatch(action);
    if (this.session) this.session.keep();
  }

  /** @param {Gradio} gradio @param {Models} models */
  _connect(gradio, models) {
    const compose = new Compose({
      send: () => session.send(), stop: () => session.stop(), retry: () => session.retry(), clear: () => session.clear(), share: () => session.share(),
      algorithm: (name) => this.dispatch({ type: "algorithm", name }),
      filters: (filters) => this.dispatch({ type: "filters", filters }),
    }, { models });
    const session = new Session(this.store, gradio, models, compose, () => {
      this.whatIf.forget(); // τ moved just before was for the record that goes
      if (document.activeElement === compose.go) this.passes.node.focus({ preventScroll: true }); // Space shall not stop the run
    });
    gradio.server.curves(null).then((measured) => {
      this.tauPlot.measured = measured;
      this.tauPlot.render(this.state);
    });
    this.compose = compose;
    this.session = session;
  }

  /** @param {boolean} connected whether there is a model */
  _build(connected) {
    this.model = new ModelSign();
    this.big = button(words.big, words.bigHint, () => this.dispatch({ type: "big" }), { class: "quiet", "aria-pressed": "false", "aria-label": words.bigLabel });
    this.explain = el("p", { class: "explain" });
    this.spoken = el("div", { class: "unseen", "aria-live": "polite" });
    const theme = iconButton(THEME, words.theme, () => document.body.classList.toggle("dark"), { class: "quiet" });
    const header = el("header", { class: "top" },
      el("div", {}, el("h1", { text: words.title }), el("p", { text: words.about })),
      el("div", { class: "tools" }, this.model.node, this.big, theme));
    const left = el("section", { class: "left", "aria-label": words.chat }, this.conversation.node, this.forks.node, this.promptTokens && this.promptTokens.node, this.compose && this.compose.node);
    const lane = el("div", { class: "lane" });
    this.passes.mount(lane);
    lane.appendChild(this.card.node);
    const right = el("section", { class: "right", "aria-label": words.stage },
      this.summary.node, this.explain, this.whatIf.node, this.comparison.node, lane, this.cache.node, this.timeline.node, this.files.node);
    return el("div", { class: "sdlm" + (connected ? "" : " replay") }, header, el("div", { class: "columns" }, left, right), this.spoken);
  }

  /** Draw a state. The card comes after the passes, to which it gives the focus back. @param {State} state */
  render(state) {
    const { record, cursor, verdict, lit, pinned, moves, big, announced } = state;
    this.node.dataset.status = state.status;
    this.node.classList.toggle("big", big);
    if (this.big) this.big.setAttribute("aria-pressed", String(big));
    this.passes.update({ record, cursor, verdict, lit, pinned, moves, big });
    const ghost = !state.following && !state.playing && !verdict;
    this.answer.update({ record, cursor, verdict, lit, moves, ghost, partsAt: comparedWith(state) === "run" ? state.partsAt : -1 });
    this.cache.update({ record, cursor });
    for (const part of [this.timeline, this.whatIf, this.tauPlot, this.otherGuesses, this.summary, this.conversation, this.comparison, this.card, this.forkForm, this.forks]) part.render(state);
    if (this.explain) setText(this.explain, record ? words.explanation(record) : "");
    if (this.spoken) setText(this.spoken, announced ? words.announcement(announced) : "");
    if (this.model && state.model) this.model.render(state.model);
    if (this.promptTokens) this.promptTokens.render(state);
    if (!this.compose) return;
    if (state.filters) this.compose.setFilters(state.filters);
    this.compose.setBusy(isBusy(state));
    if (state.status === "done") this.compose.goOn();
    else if (!isBusy(state)) this.compose.coming = [];
    this.compose.examples.hidden = state.turns.length > 0;
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    if (this.node.offsetParent === null || event.defaultPrevented) return;
    const target = event.target instanceof Element ? event.target : document.body;
    // Others have keys of their own: a slider has no use for the space bar, an empty prompt none for any of the stage's.
    const free = target.matches("input[type=range]") ? event.key === " " : this.compose && target === this.compose.text && !this.compose.text.value;
    if (!free && target.closest("input, textarea, select, .conversation")) return;
    if (target !== document.body && !this.node.contains(target)) return;
    if (event.key === " " && target.closest("button")) return;
    if (event.key === "Escape") this.dispatch({ type: "unpin" });
    else if (this.timeline.key(event)) event.preventDefault();
  }
}

/**
 * A stage with a model behind it.
 * @param {HTMLElement & {stage?: Stage}} element @param {Gradio} gradio @param {Models} models
 */
export function mountStage(element, gradio, models) {
  const stage = new Stage(element, gradio, models);
  element.stage = stage;
  if (stage.session) stage.session.open();
  return stage;
}
