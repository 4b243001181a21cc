/* The prompt as the model reads it: the chat template's tokens, special ones marked. Folded until someone asks. */

import { el, setText } from "./dom.js";
import { sameRun } from "./record.js";
import { visible } from "./text.js";
import { promptTokens as words } from "./words.js";

/** @import { Request, State } from "./state.js" */
/** @import { PromptToken, Server } from "./wire.js" */

export class PromptTokens {
  /** @param {Server} server */
  constructor(server) {
    this.server = server;
    this.summary = el("summary", { text: words.title });
    this.list = el("div", { class: "tokens", tabindex: "0", role: "group", "aria-label": words.title });
    this.node = el("details", { class: "prompt-tokens", hidden: true, on: { toggle: () => this._fill() } }, this.summary, this.list);
    /** @type {Request|null} */
    this.request = null;
    /** @type {Request|null} */
    this.filled = null;
  }

  /** @param {State} state */
  render({ record, live, kept, request, model }) {
    const own = sameRun(record, live) || sameRun(record, kept);
    const asked = model && (model.models || model.state === "ready"); // the server knows which of several are there
    const shown = record && record.origin === "live" && own && asked ? request : null;
    this.node.hidden = !shown;
    if (shown && record) setText(this.summary, words.count(record.head.prompt_tokens));
    if (shown === this.request) return;
    this.request = shown;
    this._fill();
  }

  async _fill() {
    const { request } = this;
    if (!request || !this.node.open || request === this.filled) return;
    this.filled = request;
    setText(this.list, words.loading);
    const { messages, system, settings } = request;
    const { tokens, error } = await this.server.read_prompt({ messages, system, model: settings.model }).catch(() => ({ error: words.lost, tokens: undefined }));
    if (request !== this.filled) return; // another prompt was asked for meanwhile
    if (tokens) this.list.replaceChildren(...tokens.map(token));
    else {
      this.filled = null;
      setText(this.list, error || words.lost);
    }
  }
}

/** @param {PromptToken} token its text, its id, whether it is special */
function token([text, id, special]) {
  const node = el(special ? "b" : "span", { class: special ? "special" : "tok", dir: "auto", title: special ? words.special(id) : words.plain(id), text: visible(text) });
  if (/\n$/.test(text)) node.append("\n");
  return node;
}
