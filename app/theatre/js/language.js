/* The page's language: English, or Simplified Chinese laid over it. The choice is kept in the browser. The Chinese words
   are not imported here: the page loads them for those who read them, and a file that asks nobody holds them. */

import { el } from "./dom.js";
import * as english from "./words.js";

/** @type {{[code: string]: string}} */
const NAMES = { en: "English", "zh-Hans": "简体中文" };
const KEY = "sdlm-language";

/** The code of the chosen language; where none was chosen, of the document's, which a replay file has from its maker. */
export function language() {
  const own = document.documentElement.lang in NAMES ? document.documentElement.lang : "en";
  try {
    const chosen = localStorage.getItem(KEY) || "";
    return chosen in NAMES ? chosen : own;
  } catch {
    return own; // storage is not allowed
  }
}

/** Before anything is drawn: put a language's words in place of the English ones. @param {{[group: string]: any}} words */
export function speak(words) {
  /** @type {{[group: string]: any}} */
  const groups = english;
  for (const [group, own] of Object.entries(words)) Object.assign(groups[group], own);
}

/** A menu of the languages. Another choice loads the page again, which keeps its conversation. */
export function languageMenu() {
  const menu = el("select", { class: "language", "aria-label": "Language / 语言", on: { change: () => choose(menu.value) } },
    ...Object.entries(NAMES).map(([code, name]) => el("option", { value: code, text: name, lang: code, selected: code === language() })));
  return menu;
}

/** @param {string} code */
function choose(code) {
  try {
    localStorage.setItem(KEY, code);
  } catch {
    return; // without storage it would be forgotten at once
  }
  location.reload();
}
