/* Records made up for tests. */

import { readFileSync } from "node:fs";
import { Record } from "../../app/theatre/js/record.js";

/** @import { Candidate, Pass, Trace } from "../../app/theatre/js/generated.js" */

/** @param {string} path in this folder @returns {any} */
export function readJSON(path) {
  return JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
}

/**
 * A recorded run of those that ship.
 * @param {string} name @param {import("../../app/theatre/js/record.js").Origin} [origin]
 */
export function shipped(name, origin = "example") {
  return Record.from(readJSON(`../../assets/examples/${name}.json`), origin);
}

/** @param {number} id @param {number} confidence @returns {Candidate} */
export function guess(id, confidence) {
  return { token_id: id, text: ` t${id}`, confidence, probability: confidence, entropy: 0.5, alternatives: [[id, ` t${id}`, confidence]] };
}

/**
 * A trace whose passes guess [id, confidence] and keep the first `accepted`.
 * @param {{guesses: [number, number][], accepted: number, draft?: number[]}[]} made
 * @param {Partial<Trace>} [more]
 * @returns {Trace}
 */
export function trace(made, more = {}) {
  let start = 0;
  const passes = made.map(({ guesses, accepted, draft = [] }, index) => {
    /** @type {Pass} */
    const pass = {
      index, start, accepted, rows: 10, rows_reused: 5, rows_written: accepted, seconds: 0.5, width: guesses.length, branches: [0],
      candidates: guesses.map(([id, confidence]) => guess(id, confidence)), draft: draft.map((id) => guess(id, 0.5)),
    };
    start += accepted;
    return pass;
  });
  const kept = passes.flatMap((p) => p.candidates.slice(0, p.accepted));
  return {
    format: "sdlm-trace", version: 3, model: "a/model", prompt: "<|im_start|>user\nWhy?<|im_end|>\n", prompt_tokens: 5,
    config: { algorithm: "prob_conf", block_size: 3, threshold: 0.6, temperature: 0, top_k: 0, top_p: 1, max_new_tokens: 100, use_cache: true, seed: 0, guesses: null },
    block_size: 3, passes, token_ids: kept.map((c) => c.token_id), text: kept.map((c) => c.text).join(""), finish_reason: "length",
    created: "2026-01-01T00:00:00+00:00", device: "none", versions: {}, guesses: "independent", given: [], ...more,
  };
}

/** Six tokens in three passes at τ 0.6; the first two passes guess on. */
export const SHORT = trace([
  { guesses: [[1, 0.9], [2, 0.7], [3, 0.5]], accepted: 2 },
  { guesses: [[3, 0.8], [9, 0.3], [5, 0.2]], accepted: 1 },
  { guesses: [[4, 0.95], [5, 0.9], [6, 0.65]], accepted: 3 },
]);
