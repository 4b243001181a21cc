/* What the learner has done and answered, kept in the browser. */

const KEY = "sdlm-lesson";

export class Progress {
  constructor() {
    /** @type {{done: string[], answers: {[step: string]: number}}} */
    this.kept = { done: [], answers: {} };
    this.changed = () => {};
    try {
      const { done, answers } = JSON.parse(localStorage.getItem(KEY) || "{}");
      if (Array.isArray(done)) this.kept.done = done.map(String);
      for (const [step, answer] of Object.entries(answers || {})) if (typeof answer === "number") this.kept.answers[step] = answer;
    } catch {
      // nothing readable is kept: begin anew
    }
  }

  /** @param {string} step */
  did(step) {
    return this.kept.done.includes(step);
  }

  /** @param {string} step @returns {number|null} */
  answered(step) {
    return this.kept.answers[step] ?? null;
  }

  /** @param {string} step */
  complete(step) {
    return this.did(step) && this.answered(step) !== null;
  }

  /** @param {string} step */
  finish(step) {
    if (this.did(step)) return;
    this.kept.done.push(step);
    this._keep();
  }

  /** @param {string} step @param {number} option */
  answer(step, option) {
    this.kept.answers[step] = option;
    this._keep();
  }

  clear() {
    this.kept = { done: [], answers: {} };
    this._keep();
  }

  _keep() {
    try {
      localStorage.setItem(KEY, JSON.stringify(this.kept));
    } catch {
      // no room, or not allowed: then it lasts as long as the page
    }
    this.changed();
  }
}
