/* The tab Learn: the lesson once its recordings are there. */

import { el } from "./dom.js";
import { language } from "./language.js";
import { Lesson } from "./lesson.js";
import { Record } from "./record.js";
import { lesson as words } from "./words.js";

/** @import { Recordings } from "./lesson.js" */

/** @param {HTMLElement & {lesson?: Lesson}} element @param {{server: {lesson: (data: null) => Promise<any>}}} gradio */
export function mountLearn(element, { server }) {
  element.replaceChildren(el("p", { class: "sdlm", text: words.loading }));
  server.lesson(null).then((data) => {
    const lesson = new Lesson(element, recordings(data));
    lesson.node.lang = language();
    element.lesson = lesson;
  }, () => element.replaceChildren(el("p", { class: "sdlm", role: "alert", text: words.failed })));
}

/** Open the tab when the page's address names a step. */
export function openLinked() {
  if (!new URLSearchParams(location.search).has("step")) return;
  const tabs = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("#tabs button[role=tab]"));
  for (const tab of tabs) if (tab.textContent?.trim() === "Learn") tab.click();
}

/** @param {any} data @returns {Recordings} */
function recordings(data) {
  const { widths, calibration, ...runs } = data;
  const records = Object.fromEntries(Object.entries(runs).map(([name, trace]) => [name, trace && Record.from(trace, "example")]));
  return /** @type {Recordings} */ ({ ...records, widths, calibration });
}
