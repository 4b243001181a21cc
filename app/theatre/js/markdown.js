/* An answer as Markdown: elements of a fixed list, made one by one. Model text is data: it becomes text nodes, links lead to
   the web alone, and nothing is fetched. */

import { el } from "./dom.js";
import { parser, parser_end, parser_write } from "./streaming-markdown.js";
import { readable } from "./text.js";

/** What the parser calls by number, as elements; what is missing here stays text. @type {{[token: number]: keyof HTMLElementTagNameMap}} */
const TAGS = {
  2: "p", 3: "h3", 4: "h4", 5: "h5", 6: "h6", 7: "h6", 8: "h6", 11: "code", 12: "em", 13: "em", 14: "strong", 15: "strong", 16: "s",
  17: "a", 18: "a", 20: "blockquote", 21: "br", 22: "hr", 23: "ul", 24: "ol", 25: "li", 27: "table", 28: "tr", 29: "td", 30: "code", 31: "code",
};
const DEEPEST = 24; // elements in one another
const CODE = [9, 10], HREF = 1, CHECKED = 8, START = 16, CHECKBOX = 26; // the parser's numbers of tokens and attributes

/**
 * @param {string} text
 * @returns {HTMLElement}
 */
export function markdown(text) {
  const root = el("div", { class: "markdown", dir: "auto" });
  /** @type {HTMLElement[]} */
  const open = [root];
  const renderer = {
    data: null,
    add_token(/** @type {null} */ _, /** @type {number} */ token) {
      if (token === 1) return; // the document
      const parent = open[open.length - 1];
      if (open.length > DEEPEST) return void open.push(parent);
      const node = el(CODE.includes(token) ? "code" : TAGS[token] || "span", token === CHECKBOX ? { text: "☐ " } : {});
      parent.appendChild(CODE.includes(token) ? el("pre", { tabindex: "0" }, node) : node);
      open.push(node);
    },
    end_token: () => open.length > 1 && open.pop(),
    add_text: (/** @type {null} */ _, /** @type {string} */ piece) => open[open.length - 1].append(readable(piece)),
    set_attr(/** @type {null} */ _, /** @type {number} */ name, /** @type {string} */ value) {
      const node = open[open.length - 1];
      if (name === HREF && node instanceof HTMLAnchorElement) lead(node, value);
      if (name === CHECKED) node.textContent = "☑ ";
      if (name === START && node instanceof HTMLOListElement && Number.isSafeInteger(Number(value))) node.start = Number(value);
    },
  };
  const parsing = parser(renderer);
  parser_write(parsing, text);
  parser_end(parsing);
  return root;
}

/** Let a link lead somewhere on the web; others stay text. @param {HTMLAnchorElement} link @param {string} value */
function lead(link, value) {
  if (!/^https?:\/\/[^\s]+$/i.test(value) || !URL.canParse(value)) return;
  link.href = value;
  link.title = value;
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
}
