/* The exported file: a stage with one trace and no model. */

import { setText } from "./dom.js";
import { fromSaved } from "./forks.js";
import { language, languageMenu, speak } from "./language.js";
import { Stage } from "./stage.js";
import { shortName } from "./text.js";
import { stage as words } from "./words.js";
import * as chinese from "./words-zh.js";

if (language() === "zh-Hans") speak(chinese);

/** @param {HTMLElement & {stage?: Stage}} element @param {string} trace as JSON */
function mountPlayer(element, trace) {
  if (matchMedia("(prefers-color-scheme: dark)").matches) document.body.classList.add("dark");
  const stage = new Stage(element, null);
  element.stage = stage;
  document.documentElement.lang = language();
  const tools = stage.node.querySelector(".tools");
  if (tools) tools.prepend(languageMenu());
  try {
    const loaded = fromSaved(JSON.parse(trace), "replay"), { record } = loaded[0];
    stage.dispatch({ type: "show", record, status: "replay", loaded });
    if (stage.model) setText(stage.model.node, shortName(record.head.model));
  } catch {
    stage.dispatch({ type: "status", status: "failed", detail: { message: words.noTrace } });
  }
}

const element = document.getElementById("player"), trace = document.getElementById("trace");
if (element && trace) mountPlayer(element, trace.textContent || "");
