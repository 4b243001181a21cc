/* The one colour scale of the theatre: viridis from its indigo to its yellow, even to the eye and safe for colour-blind
   readers. It touches no document. */

/** @typedef {{color: string, ink: string}} Shade */

const STOPS = ["#46327e", "#3f4788", "#365c8d", "#2e6e8e", "#277f8e", "#21918c", "#1fa187", "#2db27d", "#4ac16d", "#73d056", "#a0da39", "#d0e11c", "#fde725"];
const RGB = STOPS.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
const BLACK = [0, 0, 0];

/** @param {number} v from 0 to 255 */
const linear = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
/** @param {number[]} rgb */
const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);

/**
 * Colour steps: confidence is shown to the eye in 64 of them, each with the ink that reads better on it.
 * @type {Shade[]}
 */
export const shades = Array.from({ length: 65 }, (_, i) => {
  const at = (i / 64) * (RGB.length - 1);
  const k = Math.min(RGB.length - 2, Math.floor(at));
  const rgb = RGB[k].map((v, c) => Math.round(v + (at - k) * (RGB[k + 1][c] - v)));
  const l = luminance(rgb);
  const onWhite = 1.05 / (l + 0.05), onDark = (l + 0.05) / (luminance(BLACK) + 0.05);
  return { color: `rgb(${rgb.join(" ")})`, ink: onWhite > onDark ? "#fff" : "#000" };
});

/**
 * Colour and ink for a confidence from 0 to 1.
 * @param {number} confidence
 */
export function shade(confidence) {
  return shades[Math.round(64 * Math.min(1, Math.max(0, confidence)))];
}

/** The scale as a CSS gradient. */
export function gradient() {
  return `linear-gradient(to right, ${shades.filter((_, i) => i % 4 === 0).map((s) => s.color).join(", ")})`;
}
