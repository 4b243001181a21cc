/* What a run would take if a pass of one row cost 1 and each further row a share of that. It touches no document. */

/** @import { Pass } from "./generated.js" */

/** @param {Pass[]} passes @param {number} perRow @returns {number} in passes of one row */
export function costOf(passes, perRow) {
  return passes.reduce((sum, p) => sum + 1 + perRow * (p.rows - 1), 0);
}

/**
 * The cost of a row at which two runs take the same; null where no cost does that.
 * @param {Pass[]} run @param {Pass[]} against
 */
export function breakEven(run, against) {
  const rows = (/** @type {Pass[]} */ passes) => passes.reduce((sum, p) => sum + p.rows - 1, 0);
  const cost = (against.length - run.length) / (rows(run) - rows(against));
  return Number.isFinite(cost) && cost > 0 ? cost : null;
}

/**
 * A row's cost as a share of a pass of one row, by a straight line through measured passes (least squares). The first pass
 * of a run reads the prompt and is left out. Null where all passes have the same number of rows.
 * @param {Pass[][]} runs
 */
export function measuredCost(runs) {
  const passes = runs.flatMap((run) => run.slice(1));
  const n = passes.length, mean = (/** @type {(p: Pass) => number} */ f) => passes.reduce((sum, p) => sum + f(p), 0) / n;
  const rows = mean((p) => p.rows), seconds = mean((p) => p.seconds);
  const spread = mean((p) => (p.rows - rows) ** 2);
  if (!n || spread === 0) return null;
  const slope = mean((p) => (p.rows - rows) * (p.seconds - seconds)) / spread;
  const one = seconds - slope * (rows - 1);
  return slope > 0 && one > 0 ? slope / one : null;
}
