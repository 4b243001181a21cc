/* The lesson: its steps one below the other, each with a picture, something to do, and a question to answer before its
   reveal. What a step shows is in its own file; here they are laid out, linked and remembered. */

import { button, el, setText } from "./dom.js";
import { Progress } from "./lesson-progress.js";
import { sheets } from "./lesson-sheets.js";
import { lastRun, onRun } from "./runs.js";
import { cacheStep } from "./step-cache.js";
import { masksStep } from "./step-masks.js";
import { passStep } from "./step-pass.js";
import { predictStep } from "./step-predict.js";
import { prefixStep } from "./step-prefix.js";
import { seesStep } from "./step-sees.js";
import { speculativeStep } from "./step-speculative.js";
import { speedStep } from "./step-speed.js";
import { tauStep } from "./step-tau.js";
import { lesson as words } from "./words.js";

/** @import { Pass } from "./generated.js" */
/** @import { Record } from "./record.js" */
/** @typedef {{bins: number, count: number[], right: number[]}} Calibration */
/** @typedef {{block_size: number, known: string, newest: string, pass: Pass}} Width */
/** @typedef {{autoregressive: Record, threshold: Record, speculative: Record, sure: Record, coherent: Record|null, widths: Width[], calibration: Calibration}} Recordings */
/** given: the state that the page's link names. changed: what a link to this picture must name. done: the learner has done it. @typedef {{record: Record, all: Recordings, given: (name: string) => string|null, changed: (state: {[name: string]: string|number}) => void, done: () => void}} Context */
/** right: the answer to the question. suits: whether a visitor's run can be shown. facts: what the words say of the run. @typedef {{key: string, right: number, suits: (record: Record) => boolean, recording: (all: Recordings) => Record, facts: (record: Record) => any, build: (context: Context) => HTMLElement}} Step */

export const STEPS = [passStep, masksStep, seesStep, predictStep, prefixStep, cacheStep, tauStep, speculativeStep, speedStep];

/** Some words, which may tell of the run. @param {string|((facts: any) => string)} text @param {any} facts */
export function said(text, facts) {
  return typeof text === "function" ? text(facts) : text;
}

export class Lesson {
  /** @param {HTMLElement} root @param {Recordings} all */
  constructor(root, all) {
    this.all = all;
    this.progress = new Progress();
    this.live = false;
    this.current = -1;
    this.given = new URLSearchParams(location.search); // of the link, for the step that it names
    this.sections = STEPS.map((step, i) => new Section(this, step, i));
    this.links = STEPS.map((step, i) => button(String(i + 1), words.steps[step.key].title, () => this.go(i), { "data-step": step.key }));
    this.node = this._build();
    root.replaceChildren(this.node);
    this.progress.changed = () => this.render();
    this.render();
    document.addEventListener("keydown", (event) => this._key(event));
    onRun(() => this.render());
    const watcher = new IntersectionObserver((entries) => entries.forEach(({ isIntersecting, target }) => {
      const i = this.sections.findIndex(({ node }) => node === target);
      if (isIntersecting && i >= 0) this._arrive(i);
    }), { rootMargin: "-30% 0px -60% 0px" });
    const near = new IntersectionObserver((entries) => entries.forEach(({ isIntersecting, target }) => {
      const section = this.sections.find(({ node }) => node === target);
      if (isIntersecting && section) section.build();
    }), { rootMargin: "600px 0px" });
    for (const { node } of this.sections) {
      watcher.observe(node);
      near.observe(node);
    }
    const wanted = Number(this.given.get("step"));
    if (STEPS[wanted - 1]) this.go(wanted - 1);
  }

  _build() {
    this.source = el("select", { on: { change: () => this._show(this.source?.value === "live") } }, el("option", { value: "recorded", text: words.recorded }), el("option", { value: "live", text: words.live }));
    this.big = button("Aa", words.big, () => this._toggle("big", this.big), { "aria-pressed": "false", "aria-label": words.bigLabel });
    this.notes = button(words.notes, words.notesHint, () => this._toggle("with-notes", this.notes), { "aria-pressed": "false" });
    const tools = el("div", { class: "tools" }, el("label", { class: "choice" }, el("span", { text: words.source }), this.source), this.big, this.notes,
      button(words.questions, words.questionsHint, () => this._print("questions")), button(words.answers, words.answersHint, () => this._print("answers")),
      button(words.reset, words.resetHint, () => this.progress.clear()));
    const header = el("header", { class: "top" }, el("div", {}, el("h2", { class: "lesson-title", text: words.title }), el("p", { text: words.about })), tools);
    const nav = el("nav", { class: "lesson-nav", "aria-label": words.nav }, ...this.links);
    const node = el("div", { class: "sdlm learn" }, header, nav, ...this.sections.map((s) => s.node), ...sheets(STEPS, this.all));
    return node;
  }

  /** @param {string} name a class @param {HTMLElement|undefined} control */
  _toggle(name, control) {
    const on = this.node.classList.toggle(name);
    if (control) control.setAttribute("aria-pressed", String(on));
  }

  /** Print one of the sheets. @param {string} name */
  _print(name) {
    this.node.dataset.print = name;
    window.addEventListener("afterprint", () => delete this.node.dataset.print, { once: true });
    window.print();
  }

  /** @param {boolean} live whether the visitor's own run is shown where a step can */
  _show(live) {
    this.live = live;
    for (const section of this.sections) section.rebuild();
  }

  /** @param {number} i */
  go(i) {
    this.sections[i].build();
    this.sections[i].node.scrollIntoView({ block: "start" });
    this.sections[i].title.focus({ preventScroll: true });
    this._arrive(i);
  }

  /** @param {number} i */
  _arrive(i) {
    this.current = i;
    this.links.forEach((link, k) => (k === i ? link.setAttribute("aria-current", "step") : link.removeAttribute("aria-current")));
    this.address(i);
  }

  /** The address bar holds a link to this step and its picture. @param {number} i */
  address(i) {
    if (i !== this.current || this.node.offsetParent === null) return;
    const parts = new URLSearchParams({ step: String(i + 1) });
    for (const [name, value] of Object.entries(this.sections[i].state)) parts.set(name, String(value));
    const theme = new URLSearchParams(location.search).get("__theme");
    if (theme) parts.set("__theme", theme);
    history.replaceState(null, "", location.pathname + "?" + parts + location.hash);
  }

  render() {
    const run = lastRun();
    if (this.source) this.source.options[1].disabled = run === null;
    this.links.forEach((link, i) => {
      const { key } = STEPS[i], done = this.progress.complete(key);
      link.classList.toggle("done", done);
      link.setAttribute("aria-label", words.step(i + 1, words.steps[key].title, done));
    });
    for (const section of this.sections) section.render();
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    if (this.node.offsetParent === null || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.closest("input, select, textarea, [role=tab]") || (target !== document.body && !this.node.contains(target))) return;
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (by && STEPS[this.current + by]) this.go(this.current + by);
    else if (event.key === "n") this._toggle("with-notes", this.notes);
    else return;
    event.preventDefault();
  }
}

/** One step on the page. */
class Section {
  /** @param {Lesson} lesson @param {Step} step @param {number} index */
  constructor(lesson, step, index) {
    this.lesson = lesson;
    this.step = step;
    this.index = index;
    this.words = words.steps[step.key];
    /** @type {{[name: string]: string|number}} */
    this.state = {};
    this.built = false;
    this.title = el("h3", { tabindex: "-1", text: `${index + 1}. ${this.words.title}` });
    this.task = el("p", { class: "task" });
    this.body = el("div", { class: "step-words" });
    this.picture = el("div", { class: "picture" });
    this.note = el("p", { class: "note" });
    const facts = step.facts(step.recording(lesson.all));
    this.question = this._question(facts);
    const { words: own } = this;
    this.body.append(this.title, el("p", { text: said(own.text, facts) }), this.task, this.question, el("aside", { class: "notes", "aria-label": words.notesHint }, el("p", { text: own.notes })),
      el("p", { class: "buttons" }, button(words.link, words.linkHint, () => this._copy()), index + 1 < STEPS.length ? button(words.next, words.nextHint, () => lesson.go(index + 1), { class: "go" }) : null));
    this.node = el("section", { class: "step", id: "learn-" + step.key, "aria-label": words.step(index + 1, own.title, false) }, this.body, el("div", { class: "step-picture" }, this.picture, this.note));
  }

  /** @param {any} facts */
  _question(facts) {
    const { question, options, reveal } = this.words;
    this.choices = options.map((text, i) => el("input", { type: "radio", name: "learn-" + this.step.key, value: i, on: { change: () => this.lesson.progress.answer(this.step.key, i) } }));
    this.reveal = el("p", { class: "reveal", "aria-live": "polite" });
    this.revealed = said(reveal, facts);
    return el("fieldset", { class: "question" }, el("legend", { text: said(question, facts) }),
      ...options.map((text, i) => el("label", {}, this.choices?.[i], el("span", { text: said(text, facts) }))), this.reveal);
  }

  async _copy() {
    this.lesson.current = this.index;
    this.lesson.address(this.index);
    await navigator.clipboard.writeText(location.href).then(() => setText(this.note, words.copied), () => setText(this.note, words.shown));
  }

  build() {
    if (this.built) return;
    this.built = true;
    const { lesson, step, index } = this;
    const run = lesson.live ? lastRun() : null;
    const suits = run !== null && step.suits(run);
    const record = suits ? run : step.recording(lesson.all);
    setText(this.note, run && !suits ? words.unsuited : "");
    const linked = Number(lesson.given.get("step")) === index + 1;
    this.picture.replaceChildren(step.build({
      record, all: lesson.all,
      given: (name) => (linked ? lesson.given.get(name) : null),
      changed: (state) => {
        this.state = { ...this.state, ...state };
        lesson.address(index);
      },
      done: () => lesson.progress.finish(step.key),
    }));
  }

  rebuild() {
    if (!this.built) return;
    this.built = false;
    this.build();
  }

  render() {
    const { progress } = this.lesson, { key, right } = this.step;
    const did = progress.did(key), answer = progress.answered(key);
    this.task.classList.toggle("done", did);
    setText(this.task, (did ? words.done : words.todo) + " " + this.words.task);
    this.choices?.forEach((choice, i) => (choice.checked = i === answer));
    if (this.reveal) {
      this.reveal.hidden = answer === null;
      setText(this.reveal, answer === null ? "" : (answer === right ? words.right : words.wrong) + " " + this.revealed);
    }
  }
}
