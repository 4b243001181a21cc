/* What can be kept: the trace as JSON, the stage as one file; and loading a trace back. */

import { button, el } from "./dom.js";
import { MAX_TRACE_CHARACTERS } from "./generated.js";
import { fromSaved } from "./forks.js";
import { language } from "./language.js";
import { embedded } from "./text.js";
import { files as words } from "./words.js";

/** @import { Fork, SavedTree } from "./forks.js" */
/** @import { Record } from "./record.js" */
/** @import { Gradio } from "./wire.js" */

const SLOT = "/*SDLM-" + "TRACE*/"; // in two parts, since this script stands in the player too
const REVOKE_AFTER = 10000; // ms, by which the browser has begun the download

/** @param {string} name @param {string} type @param {string} text */
function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), REVOKE_AFTER);
}

/** @param {Record} record @param {string} ending */
function fileName(record, ending) {
  const config = record.head.config;
  const rule = record.judged ? `tau-${config.threshold}` : config.algorithm;
  return `sdlm-d${record.blockSize}-${rule}-${record.passes.length}-passes.${ending}`;
}

/**
 * Read a file as the runs of a trace, the first before those that left it. The server's check is the one that counts; throws an Error with one clear sentence.
 * @param {Pick<File, "size"|"text">} file
 * @param {(text: string) => Promise<{error?: string}|null>} check
 */
export async function loadTrace(file, check) {
  if (file.size > MAX_TRACE_CHARACTERS) throw new Error(words.tooLarge(file.size / 1e6, MAX_TRACE_CHARACTERS / 1e6));
  const text = await file.text();
  const answer = await check(text);
  if (!answer || answer.error) throw new Error((answer && answer.error) || words.refused);
  let data;
  try {
    data = JSON.parse(text);
  } catch {
    throw new Error(words.notJSON); // such as NaN, which only Python reads
  }
  return fromSaved(data, "file");
}

/** The buttons below the stage. */
export class Files {
  /**
   * @param {Gradio|null} gradio null in an exported file
   * @param {{record: () => Record|null, saved: () => SavedTree|null, run: () => string|null, loaded: (forks: Fork[]) => void, refused: (message: string) => void}} on
   */
  constructor(gradio, on) {
    this.on = on;
    this.node = el("div", { class: "keep", role: "group", "aria-label": words.label }, button(words.saveTrace[0], words.saveTrace[1], () => this._saveTrace()));
    this.gradio = gradio;
    if (!gradio) return;
    const file = el("input", { type: "file", accept: ".json,application/json", class: "unseen", tabindex: "-1", "aria-hidden": "true", on: { change: () => this._load(file) } });
    this.node.append(button(words.savePage[0], words.savePage[1], () => this._savePage()), button(words.load[0], words.load[1], () => file.click()), file);
  }

  _saveTrace() {
    const record = this.on.record();
    if (record) download(fileName(record, "json"), "application/json", JSON.stringify(this.on.saved()));
  }

  async _savePage() {
    const record = this.on.record();
    if (!record || !this.gradio) return;
    const player = await this.gradio.server.player(null); // a page with a slot for the trace
    const own = player.replace('<html lang="en">', `<html lang="${language()}">`);
    download(fileName(record, "html"), "text/html", own.split(SLOT).join(embedded(JSON.stringify(this.on.saved()))));
  }

  /** @param {HTMLInputElement} input */
  async _load(input) {
    const { gradio } = this;
    const file = input.files && input.files[0], run = this.on.run();
    input.value = "";
    if (!file || !gradio) return;
    try {
      const forks = await loadTrace(file, (text) => gradio.server.check_trace(text));
      if (run === this.on.run()) this.on.loaded(forks); // else something was asked meanwhile
    } catch (error) {
      this.on.refused(error instanceof Error ? error.message : words.unreadable);
    }
  }
}
