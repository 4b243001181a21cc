/* Showing tokens as text. Model text is data: nothing here makes markup of it. It touches no document. */

/* eslint-disable no-misleading-character-class -- single code points are meant */
const JOINED = /(\p{Extended_Pictographic}[\uFE0F\u{1F3FB}-\u{1F3FF}]?)\u200D(?=\p{Extended_Pictographic})/gu;
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Cn}\u00A0\u034F\u115F\u1160\u2000-\u200A\u202F\u205F\u3000\u3164\uFFA0]/gu;
/* eslint-enable no-misleading-character-class */
const BIDI = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g;
const KEEP = "\uE000"; // stands in for the joiner inside an emoji while the rest is made visible

/** @param {string} c one character */
const code = (c) => "⟨" + Number(c.codePointAt(0)).toString(16).toUpperCase().padStart(4, "0") + "⟩";

/**
 * A token with everything visible: spaces, line ends, and the characters one cannot see.
 * @param {string} text
 */
export function visible(text) {
  if (text === "") return "◌";
  return text
    .replace(/\uE000/g, "⟨E000⟩")
    .replace(JOINED, "$1" + KEEP)
    .replace(/ /g, "·")
    .replace(/\r?\n/g, "⏎")
    .replace(/\t/g, "⇥")
    .replace(UNSEEN, (c) => (c === KEEP ? "\u200D" : code(c)));
}

/**
 * At most `limit` characters, whole ones.
 * @param {string} text @param {number} limit
 */
export function shortened(text, limit) {
  if (text.length <= limit) return text;
  return Array.from(text.slice(0, 2 * limit)).slice(0, limit).join("") + "…";
}

/**
 * Text for reading: as it is, except that direction overrides are shown instead of obeyed.
 * @param {string} text
 */
export function readable(text) {
  return text.replace(BIDI, code);
}

/**
 * JSON that may stand inside a <script> element.
 * @param {string} text
 */
export function embedded(text) {
  return text.replace(/[<>&\u2028\u2029]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

/**
 * The visitor's question out of a chat prompt; the whole text where there is none.
 * @param {string} prompt
 */
export function lastQuestion(prompt) {
  const found = [...prompt.matchAll(/<\|im_start\|>user\n([\s\S]*?)<\|im_end\|>/g)].pop();
  return found ? found[1] : prompt;
}

/**
 * The last part of a model's name.
 * @param {string|undefined} name
 */
export function shortName(name) {
  return shortened(String(name || "").split("/").pop() || "the model", 40);
}
