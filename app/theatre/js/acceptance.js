/* The acceptance rules of sdlm_core, once more: the page judges a recorded pass again by another τ, and marks which
   drafted tokens held. tests/js/cases.json holds what Python makes of the same numbers. */

/** @import { Candidate } from "./generated.js" */

/**
 * How many guesses a threshold keeps: the longest prefix of confidences strictly above τ, at least one.
 * @param {number[]} confidences @param {number} tau
 */
export function countAccepted(confidences, tau) {
  let n = 0;
  while (n < confidences.length && confidences[n] > tau) n++;
  return Math.max(1, n);
}

/**
 * How many guesses self-speculative decoding keeps: those of the draft that the model predicts itself, and the one after.
 * @param {number[]} predicted token ids of this pass, from its start
 * @param {number[]} draft token ids that the pass before guessed for the same places
 */
export function countVerified(predicted, draft) {
  let n = 1;
  while (n <= draft.length && predicted[n - 1] === draft[n - 1]) n++;
  return n;
}

/**
 * Whether a drafted token is what the pass predicts there; null where nothing was drafted or it was not reached.
 * @param {{candidates: Candidate[], draft: Candidate[], accepted: number}} pass
 * @param {number} i place in the block
 * @returns {boolean|null}
 */
export function draftHolds(pass, i) {
  const drafted = pass.draft[i];
  return drafted && i < pass.accepted ? drafted.token_id === pass.candidates[i].token_id : null;
}
