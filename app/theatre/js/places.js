/* How often a guess is kept, by its place in the block: pure counting. */

/** @import { Record, Verdict } from "./record.js" */
/** For each place: passes that guessed there, and those that kept the guess. @typedef {{made: number[], kept: number[]}} Places */

/** @type {Places} */
export const NONE = { made: [], kept: [] };

/**
 * Counts over the first passes of a record.
 * @param {Record} record @param {number} [passes] @param {Verdict|null} [verdict] another τ's judgement in place of the run's own
 * @returns {Places}
 */
export function countPlaces(record, passes = record.passes.length, verdict = null) {
  /** @type {Places} */
  const counts = { made: [], kept: [] };
  for (const pass of record.passes.slice(0, passes)) {
    const kept = verdict ? verdict.kept[pass.index] : pass.accepted;
    pass.candidates.forEach((_, i) => {
      counts.made[i] = (counts.made[i] || 0) + 1;
      counts.kept[i] = (counts.kept[i] || 0) + (i < kept ? 1 : 0);
    });
  }
  return counts;
}

/** @param {Places} a @param {Places} b @returns {Places} */
export function added(a, b) {
  const sum = (/** @type {number[]} */ x, /** @type {number[]} */ y) => Array.from({ length: Math.max(x.length, y.length) }, (_, i) => (x[i] || 0) + (y[i] || 0));
  return { made: sum(a.made, b.made), kept: sum(a.kept, b.kept) };
}

/** Share of the guesses at each place that were kept, null where none was made. @param {Places} counts */
export function shares({ made, kept }) {
  return made.map((n, i) => (n ? kept[i] / n : null));
}
