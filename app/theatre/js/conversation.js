/* The conversation: its turns so far, and the answer that is shown. */

import { plain } from "./answer.js";
import { AnswerBubble } from "./answer-bubble.js";
import { el } from "./dom.js";
import { lastQuestion, readable } from "./text.js";
import { conversation as words } from "./words.js";

/** @import { State, Turn } from "./state.js" */

const MARGIN = 40; // px of room below the end of the text

export class Conversation {
  /** @param {HTMLElement} answer what draws the shown record's answer */
  constructor(answer) {
    this.answer = answer;
    this.node = el("div", { class: "conversation", tabindex: "0", role: "log", "aria-label": words.label, "aria-live": "off" });
    /** @type {Turn[]} */
    this.drawn = [];
    this.key = -1; // of the record whose answer is drawn; 0: none
    /** @type {((text: string) => HTMLElement)|null} where the page has it */
    this.markdown = null;
    /** @type {State|null} */
    this.state = null;
    this.newest = new AnswerBubble(answer, () => textOf(this.state), null, false);
  }

  /** @param {State} state */
  render(state) {
    const { record } = state;
    this.state = state;
    this.newest.refresh();
    const past = turnsBefore(state);
    const key = record ? record.key : 0;
    const same = past.length === this.drawn.length && past.every(({ role, content }, i) => role === this.drawn[i].role && content === this.drawn[i].content);
    if (same && key === this.key) return;
    this.drawn = past;
    this.key = key;
    const bubbles = past.map(({ role, content }) => {
      const body = el("div", { class: "words", dir: "auto", text: readable(content) });
      return role === "user" ? question(body) : new AnswerBubble(body, () => content, this.markdown, true).node;
    });
    if (record) {
      if (this.newest.markdown !== this.markdown || this.newest.formatted) this.newest = new AnswerBubble(this.answer, () => textOf(this.state), this.markdown, false);
      this.answer.hidden = false;
      bubbles.push(this.newest.node);
    }
    this.node.replaceChildren(...bubbles);
    this.node.scrollTop = this.node.scrollHeight;
  }

  /**
   * The end of the text stays in view, wherever time goes. Called when all is drawn: it costs the frame's one layout.
   * @param {HTMLElement} end
   */
  keepInView(end) {
    const box = this.node, below = end.offsetTop + end.offsetHeight;
    if (below > box.scrollTop + box.clientHeight - MARGIN / 2 || below < box.scrollTop + 60) box.scrollTop = below - box.clientHeight + MARGIN;
  }
}

/**
 * What stands before the shown answer: the conversation, or the question of a run that is not part of it.
 * @param {State} state
 * @returns {Turn[]}
 */
export function turnsBefore({ record, live, turns }) {
  if (record && record.origin !== "live") return [{ role: "user", content: lastQuestion(record.head.prompt) }];
  const answered = live && live.tail && turns.length && turns[turns.length - 1].role === "assistant";
  return answered ? turns.slice(0, -1) : turns;
}

/** @param {HTMLElement} content */
function question(content) {
  return el("div", { class: "turn user" }, el("span", { class: "who", text: words.user }), content);
}

/** The shown answer's text up to now. @param {State|null} state */
function textOf(state) {
  if (!state || !state.record) return "";
  const { record, cursor } = state;
  return record.given.map(([, text]) => text).join("") + plain(record, 0, cursor);
}
