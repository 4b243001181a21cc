/* A link to this page that carries prompt and settings; behind the #, so that no server's log sees them. It touches no
   document. */

import { ALGORITHMS, GUESSES, LIMITS, MAX_PROMPT_CHARACTERS } from "./generated.js";

/** @typedef {{temperature: number, top_p: number, top_k: number}} Filters */
/** @typedef {{model?: string, algorithm?: string, block_size?: number|"auto"|null, guesses?: string|null, threshold?: number, max_new_tokens?: number} & Partial<Filters>} Settings */

/** @type {{[K in keyof Settings]-?: string}} setting → its name in a link */
const NAMES = { model: "model", algorithm: "algorithm", block_size: "d", guesses: "guesses", threshold: "tau", temperature: "temperature", top_p: "p", top_k: "k", max_new_tokens: "length" };

/**
 * Whether a setting is a number within bounds.
 * @param {keyof typeof LIMITS} name @param {unknown} value
 * @returns {value is number}
 */
export function within(name, value) {
  return typeof value === "number" && value >= LIMITS[name][0] && value <= LIMITS[name][1];
}

/**
 * What comes behind the #.
 * @param {string} prompt @param {Settings} values
 */
export function toHash(prompt, values) {
  const parts = new URLSearchParams({ prompt: prompt.slice(0, MAX_PROMPT_CHARACTERS) });
  for (const [name, short] of Object.entries(NAMES)) {
    const value = values[/** @type {keyof Settings} */ (name)];
    if (value !== null && value !== undefined) parts.set(short, String(value));
  }
  return "#" + parts;
}

/**
 * What a link says: text for the prompt, names and numbers in bounds, nothing that acts.
 * @param {string} hash
 * @returns {{prompt: string, values: Settings}}
 */
export function fromHash(hash) {
  const parts = new URLSearchParams(hash.slice(1));
  /** @type {Settings} */
  const values = {};
  const model = parts.get(NAMES.model);
  if (model) values.model = model.slice(0, MAX_PROMPT_CHARACTERS); // taken where there is such a model
  const algorithm = parts.get(NAMES.algorithm);
  if (algorithm && ALGORITHMS.includes(algorithm)) values.algorithm = algorithm;
  const guesses = parts.get(NAMES.guesses);
  if (guesses && GUESSES.includes(guesses)) values.guesses = guesses;
  if (parts.get(NAMES.block_size) === "auto") values.block_size = "auto";
  for (const name of /** @type {const} */ (["block_size", "threshold", "temperature", "top_p", "top_k", "max_new_tokens"])) {
    const said = parts.get(NAMES[name]);
    if (said !== null && said !== "" && within(name, Number(said))) values[name] = Number(said);
  }
  return { prompt: (parts.get("prompt") || "").slice(0, MAX_PROMPT_CHARACTERS), values };
}
