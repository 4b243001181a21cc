/* Temperature, top-p and top-k once more, on what a record holds of a distribution: its likeliest tokens. How much is
   beyond them is known, not how it is spread; so each probability is a range, which is one number where nothing hangs on
   the rest. tests/js/cases.json holds what Python makes of whole distributions. It touches no document. */

/** @import { Candidate } from "./generated.js" */
/** @import { Filters } from "./links.js" */
/** kept: null where the record does not say. @typedef {{low: number, high: number, kept: boolean|null}} Share */

export const MOST_TOKENS = 2 ** 24; // of any vocabulary: ids are carried exactly up to here
const COHERENT_TOKENS = 64; // that a coherent guess is chosen among
const RECORDED = 5; // likeliest tokens in a record; fewer only where all others have no probability at all
const ROUNDING = 1e-6; // of recorded probabilities, together
/** @type {Filters} */
export const NONE = { temperature: 0, top_p: 1, top_k: 0 };

/** @param {Filters} a @param {Filters} b */
export function sameFilters(a, b) {
  return a.temperature === b.temperature && a.top_p === b.top_p && a.top_k === b.top_k;
}

/** Whether a run's record says what other filters would make of its distributions: not where its own left tokens out. @param {Filters} ran */
export function canRefilter(ran) {
  return ran.top_p >= 1 && ran.top_k === 0;
}

/**
 * What filters leave of a distribution that was recorded after a temperature alone.
 * @param {number[]} known probabilities of its likeliest tokens, falling
 * @param {number} rest what all others have together; 0 where there are none
 * @param {number} ran the temperature that it was recorded after; 0 is as 1
 * @param {Filters} filters
 * @param {number} vocabulary most tokens there are
 * @returns {Share[]} of the known tokens
 */
export function refilter(known, rest, ran, filters, vocabulary = MOST_TOKENS) {
  const power = (ran || 1) / (filters.temperature || 1);
  const weights = known.map((p) => (p / known[0]) ** power);
  const [least, most] = tail(rest / known[0], known[known.length - 1] / known[0], power, vocabulary - known.length);
  const sums = [0];
  for (const w of weights) sums.push(sums[sums.length - 1] + w);
  const count = weights.length, sum = sums[count], last = weights[count - 1];
  const { top_p: p, top_k: k } = filters;
  // How many tokens stay: by top-p, all whose predecessors have less than p; Infinity where more than the known ones do.
  const reach = (/** @type {number} */ whole) => (p >= 1 || sum < p * whole ? (most > 0 ? Infinity : count) : sums.findIndex((before, i) => i === count || before >= p * whole));
  const limit = k || Infinity;
  const fewest = Math.min(limit, reach(sum + least)), many = Math.min(limit, reach(sum + most));
  const below = fewest <= count ? sums[fewest] : Math.max(sum, p < 1 ? p * (sum + least) : k ? 0 : sum + least);
  const above = many <= count ? sums[many] : Math.min(sum + most, k ? sum + (k - count) * last : Infinity, p < 1 ? p * (sum + most) + last : Infinity);
  return weights.map((w, i) => {
    if (i >= many) return { low: 0, high: 0, kept: false };
    return { low: i < fewest ? w / Math.max(above, below) : 0, high: Math.min(1, w / Math.max(below, sums[i + 1])), kept: i < fewest ? true : null };
  });
}

/** Least and most of what `count` tokens or fewer, of `rest` together and each at most `top`, come to when each is raised to a power. @param {number} rest @param {number} top @param {number} power @param {number} count */
function tail(rest, top, power, count) {
  if (rest <= 0 || top <= 0) return [0, 0];
  const least = Math.max(0, rest - ROUNDING), most = Math.min(rest + ROUNDING, count * top);
  if (power === 1) return [Math.min(least, most), most];
  if (power > 1) return [0, most * top ** (power - 1)];
  return [Math.min(least, most) * top ** (power - 1), count ** (1 - power) * most ** power];
}

/**
 * The recorded likeliest tokens of a guess, before all filters and after some. Only where `canRefilter`.
 * @param {Candidate} guess @param {Filters} ran what the run was decoded with @param {Filters} filters
 * @returns {{id: number, text: string, before: Share, after: Share}[]}
 */
export function beforeAndAfter(guess, ran, filters) {
  const known = guess.alternatives.map(([, , p]) => p);
  if (!known.length || known[0] <= 0) return [];
  const left = 1 - known.reduce((a, b) => a + b, 0);
  const rest = known.length < RECORDED ? 0 : Math.max(left, ROUNDING), vocabulary = guess.alone ? COHERENT_TOKENS : MOST_TOKENS;
  const before = refilter(known, rest, ran.temperature, NONE, vocabulary);
  const after = refilter(known, rest, ran.temperature, filters, vocabulary);
  return guess.alternatives.map(([id, text], i) => ({ id, text, before: before[i], after: after[i] }));
}
