/* How the page writes numbers. It touches no document. */

/**
 * .93 for 0.93, 1 for 1: the short form of a probability; rounded down, so that .899 never reads as .90.
 * @param {number} x @param {number} [digits]
 */
export function short(x, digits = 2) {
  if (x >= 1) return "1";
  const scale = 10 ** digits;
  return (Math.floor(x * scale + 1e-9) / scale).toFixed(digits).replace(/^0/, "");
}

/** @param {number} s a duration in seconds */
export function seconds(s) {
  return s < 0.9995 ? Math.round(s * 1000) + " ms" : s.toFixed(s < 100 ? 2 : 0) + " s";
}

/**
 * The least of n, 2n, 4n … that holds a value.
 * @param {number} n @param {number} value
 */
export function doubled(n, value) {
  while (n < value) n *= 2;
  return n;
}
