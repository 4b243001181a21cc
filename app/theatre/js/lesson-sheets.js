/* The questions on one sheet of paper, their answers on another. Seen only in print. */

import { el } from "./dom.js";
import { lesson as words } from "./words.js";

/** @import { Recordings, Step } from "./lesson.js" */

/** @param {Step[]} steps @param {Recordings} all */
export function sheets(steps, all) {
  /** @param {string} name @param {string} title @param {(step: Step) => HTMLElement[]} write */
  const sheet = (name, title, write) => el("section", { class: "sheet " + name, "aria-hidden": "true" }, el("h2", { text: title }), ...steps.map((step, i) => el("div", { class: "sheet-step" }, el("h3", { text: `${i + 1}. ${words.steps[step.key].title}` }), ...write(step))));
  /** @param {Step} step @param {string|((facts: any) => string)} text */
  const filled = (step, text) => (typeof text === "function" ? text(step.facts(step.recording(all))) : text);
  return [
    sheet("questions", words.sheetQuestions, (step) => {
      const { question, options } = words.steps[step.key];
      return [el("p", { text: filled(step, question) }), el("ul", {}, ...options.map((text) => el("li", { text: "☐ " + filled(step, text) })))];
    }),
    sheet("answers", words.sheetAnswers, (step) => {
      const { options, reveal } = words.steps[step.key];
      return [el("p", { text: filled(step, options[step.right]) + " " }), el("p", { text: filled(step, reveal) })];
    }),
  ];
}
