/* An answer in the conversation: as text or as Markdown, by a switch, and a button that copies it. */

import { button, el, setText } from "./dom.js";
import { conversation as words } from "./words.js";

const SAID = 1500; // ms for which a button says that the text is copied

export class AnswerBubble {
  /**
   * @param {HTMLElement} plain what shows the text as it is
   * @param {() => string} text
   * @param {((text: string) => HTMLElement)|null} markdown null where there is none: then there is no switch
   * @param {boolean} formatted whether it is Markdown at first
   */
  constructor(plain, text, markdown, formatted) {
    this.plain = plain;
    this.text = text;
    this.markdown = markdown;
    this.formatted = false;
    this.shown = ""; // what was made Markdown of
    this.rich = el("div", { hidden: true });
    this.switch = button(words.markdown, words.markdownHint, () => this.format(!this.formatted), { class: "quiet", "aria-pressed": "false" });
    this.copy = button(words.copy, words.copyHint, () => this._copy(), { class: "quiet" });
    const tools = el("span", { class: "turn-tools" }, markdown ? this.switch : null, this.copy);
    this.node = el("div", { class: "turn assistant" }, el("div", { class: "turn-head" }, el("span", { class: "who", text: words.assistant }), tools), plain, this.rich);
    if (formatted) this.format(true);
  }

  /** @param {boolean} formatted */
  format(formatted) {
    this.formatted = formatted && this.markdown !== null;
    this.switch.setAttribute("aria-pressed", String(this.formatted));
    this.plain.hidden = this.formatted;
    this.rich.hidden = !this.formatted;
    this.refresh();
  }

  /** The text may have grown. */
  refresh() {
    if (!this.formatted || !this.markdown) return;
    const text = this.text();
    if (text === this.shown) return;
    this.shown = text;
    this.rich.replaceChildren(this.markdown(text));
  }

  async _copy() {
    const copied = await navigator.clipboard.writeText(this.text()).then(() => true, () => false);
    setText(this.copy, copied ? words.copied : words.notCopied);
    setTimeout(() => setText(this.copy, words.copy), SAID);
  }
}
