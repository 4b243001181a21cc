/* Who sees whom: the rule of sdlm_core.masks and the rows that sdlm_core.decoding.algorithms.plan lays out, once more.
   tests/browser/test_lesson.py compares them with Python. It touches no document. */

/** @typedef {{position: number, block: number, horizon: number}} MaskRow */
/** t: known tokens. cached: those that the KV cache holds. draft: drafted tokens that the pass checks. @typedef {{t: number, cached: number, draft: number, width: number}} Shape */

export const CAUSAL = -1;

/** @param {number} start @param {number} count @returns {MaskRow[]} */
export function causalRows(start, count) {
  return Array.from({ length: Math.max(0, count) }, (_, i) => ({ position: start + i, block: CAUSAL, horizon: start + i + 1 }));
}

/** @param {number} start @param {number} size @param {number} block @returns {MaskRow[]} */
export function blockRows(start, size, block) {
  return Array.from({ length: size }, (_, i) => ({ position: start + i, block, horizon: start }));
}

/** @param {MaskRow} query @param {MaskRow} key @param {boolean} causal whether a block looks back only */
export function visible(query, key, causal) {
  if (key.block === CAUSAL) return key.position < query.horizon;
  return key.block === query.block && (!causal || key.position <= query.position);
}

/**
 * [i][j]: whether query i sees key j.
 * @param {MaskRow[]} queries @param {MaskRow[]} keys @param {boolean} causal
 */
export function attentionMask(queries, keys, causal) {
  return queries.map((query) => keys.map((key) => visible(query, key, causal)));
}

/**
 * The rows of a pass.
 * @param {Shape} shape @param {boolean} useCache without it, `cached` is 0
 * @returns {MaskRow[]}
 */
export function planRows({ t, cached, draft, width }, useCache) {
  if (width === 1) return causalRows(cached, t - cached);
  const last = useCache || draft ? t + draft : t - 1;
  const rows = causalRows(cached, last - cached);
  for (let branch = 0; branch <= draft; branch++) rows.push(...blockRows(t - 1 + branch, width, branch));
  return rows;
}

/**
 * Training: the text up to the last block's start, then the blocks.
 * @param {number[]} starts ascending @param {number} width @returns {MaskRow[]}
 */
export function trainingRows(starts, width) {
  return [...causalRows(0, starts[starts.length - 1]), ...starts.flatMap((start, block) => blockRows(start, width, block))];
}
