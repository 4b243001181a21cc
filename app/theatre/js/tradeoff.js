/* Speed and quality of the shown answer as two numbers, and the measured curves they are compared with. Whoever shows
   them takes them from here. It touches no document. */

import { sameRun } from "./record.js";

/** @import { Record } from "./record.js" */
/** @import { State } from "./state.js" */
/** @typedef {[tau: number, rate: number, agreement: number]} CurvePoint */
/** @typedef {{task: string, algorithm: string, block_size: number, n: number, points: CurvePoint[]}} Curve by rising τ */
/** @typedef {{model: string, guesses: string, curves: Curve[]}} Measured */
/**
 * rate: tokens a pass. agreement: with what was written, from 0 to 1; null while that is not known. judged: by a τ that
 * is only being tried.
 * @typedef {{rate: number, agreement: number|null, judged: boolean}} Figure
 */

/** Tokens a pass of the passes shown; null before the first. @param {Pick<State, "record"|"cursor">} state */
export function shownRate({ record, cursor }) {
  return record && cursor ? record.tokensAfter(cursor) / cursor : null;
}

/**
 * The shown answer as a point: judged by the τ that is being tried, else as it was decoded. What it agrees with is the
 * record itself, or the answer from before it was decoded again.
 * @param {Pick<State, "record"|"cursor"|"verdict"|"kept">} state
 * @returns {Figure|null}
 */
export function figure(state) {
  const { record, verdict, kept } = state;
  if (!record || !record.judged) return null;
  if (verdict) return { rate: verdict.mean, agreement: verdict.agreement, judged: true };
  const rate = shownRate(state);
  if (rate === null) return null;
  const again = kept && !sameRun(record, kept);
  return { rate, agreement: !again ? 1 : record.tail ? answersAgree(record, kept) : null, judged: false };
}

/** @type {WeakMap<Record, Map<number, number>>} */
const agreements = new WeakMap();

/** @param {Record} record @param {Record} kept */
function answersAgree(record, kept) {
  const known = agreements.get(record) || new Map();
  agreements.set(record, known);
  if (!known.has(kept.key)) known.set(kept.key, agreement(tokenIds(record), tokenIds(kept)));
  return known.get(kept.key);
}

/** @param {Record} record */
const tokenIds = (record) => Array.from({ length: record.tokens }, (_, place) => record.idAt(place));

/**
 * 1 − (token edits from one answer to the other) / (tokens of the longer one), as the sweep measures it.
 * @param {number[]} answer @param {number[]} reference
 */
export function agreement(answer, reference) {
  const longer = Math.max(answer.length, reference.length);
  if (!longer) return 1;
  let line = Array.from({ length: reference.length + 1 }, (_, j) => j); // edits from the answer's first i tokens to the reference's first j
  for (let i = 1; i <= answer.length; i++) {
    const next = [i];
    for (let j = 1; j <= reference.length; j++) {
      next.push(Math.min(line[j] + 1, next[j - 1] + 1, line[j - 1] + Number(answer[i - 1] !== reference[j - 1])));
    }
    line = next;
  }
  return 1 - line[reference.length] / longer;
}

/**
 * The curves of this record's model, rule and D; none where they were not measured.
 * @param {Measured|null} measured @param {Record} record
 */
export function curvesOf(measured, record) {
  if (!measured || measured.model !== record.head.model) return [];
  return measured.curves.filter((c) => c.algorithm === record.head.config.algorithm && c.block_size === record.blockSize);
}

/**
 * The place of τ on a curve: measured, or between measured neighbours; its ends hold beyond them.
 * @param {CurvePoint[]} points @param {number} tau
 * @returns {{rate: number, agreement: number}}
 */
export function placeOn(points, tau) {
  const next = points.findIndex((p) => p[0] >= tau);
  const [t1, rate, agrees] = points[next < 0 ? points.length - 1 : next];
  if (next <= 0) return { rate, agreement: agrees };
  const [t0, rate0, agrees0] = points[next - 1], share = (tau - t0) / (t1 - t0);
  return { rate: rate0 + share * (rate - rate0), agreement: agrees0 + share * (agrees - agrees0) };
}
