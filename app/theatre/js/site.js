/* The static site: recorded runs on the stage, a recorded race and the lesson, without a model and without a server. */

import { el } from "./dom.js";
import { language, languageMenu, speak } from "./language.js";
import { mountLearn } from "./learn.js";
import { Models } from "./models.js";
import { mountRace } from "./race.js";
import { Record } from "./record.js";
import { Stage } from "./stage.js";
import { algorithms, site as words } from "./words.js";
import * as chinese from "./words-zh.js";

/** @type {{[algorithm: string]: string}} */
const names = algorithms;
/** @typedef {{runs: any[], race: any[], lesson: any}} Data recorded traces; the lesson's recordings by name */

if (language() === "zh-Hans") speak(chinese);

/** What a page with a model would be asked; there is none here. @param {Data} data @returns {any} */
function stub(data) {
  const server = {
    status: () => Promise.resolve({ state: "failed", message: "" }),
    race_example: () => Promise.resolve(data.race.map((trace) => JSON.stringify(trace))),
    lesson: () => Promise.resolve(data.lesson),
  };
  return { props: {}, watch: () => {}, send: () => {}, server };
}

/** A recorded run on the stage, and a menu of the others. @param {any} root @param {Data} data */
function mountRuns(root, data) {
  const place = el("div");
  const menu = el("select", { "aria-label": words.run, on: { change: () => show(Number(menu.value)) } },
    ...data.runs.map((trace, i) => el("option", { value: i, text: words.option(names[trace.config.algorithm], trace.config.threshold, trace.prompt) })));
  root.append(el("label", { class: "choice" }, el("span", { text: words.run + " " }), menu), place);
  const stage = new Stage(place, null);
  root.stage = stage;
  /** @param {number} i */
  const show = (i) => stage.dispatch({ type: "show", record: Record.from(data.runs[i], "replay"), status: "replay" });
  show(0);
}

/** @param {HTMLElement} root @param {Data} data */
function mountSite(root, data) {
  if (matchMedia("(prefers-color-scheme: dark)").matches) document.body.classList.add("dark");
  document.documentElement.lang = language();
  const gradio = stub(data);
  const panes = [mountRuns, (/** @type {any} */ node) => mountRace(node, gradio, new Models(gradio.server)), (/** @type {any} */ node) => mountLearn(node, gradio)];
  const nodes = panes.map((_, i) => el("section", { role: "tabpanel", id: `pane-${i}`, "aria-labelledby": `tab-${i}`, hidden: true }));
  const mounted = new Set();
  const tabs = words.tabs.map((text, i) => el("button", { role: "tab", type: "button", id: `tab-${i}`, "aria-controls": `pane-${i}`, text, on: { click: () => open(i) } }));
  /** @param {number} chosen */
  const open = (chosen) => {
    tabs.forEach((tab, i) => tab.setAttribute("aria-selected", String(i === chosen)));
    nodes.forEach((node, i) => (node.hidden = i !== chosen));
    if (mounted.has(chosen)) return;
    mounted.add(chosen); // drawn when first seen, since what is hidden has no size
    panes[chosen](nodes[chosen], data);
  };
  root.replaceChildren(
    el("nav", {}, el("span", { role: "tablist" }, ...tabs), el("a", { href: "lab.html", text: words.lab }), languageMenu()),
    ...nodes);
  open(0);
}

const root = document.getElementById("site"), data = document.getElementById("data");
if (root && data) mountSite(root, JSON.parse(data.textContent || ""));
