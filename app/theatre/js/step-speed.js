/* Step 9: speed is not tokens a pass. The cost of a row is dragged; the recorded runs say how many rows they needed. */

import { button, el, setText } from "./dom.js";
import { breakEven, costOf, measuredCost } from "./lesson-cost.js";
import { lesson } from "./words.js";

/** @import { Record } from "./record.js" */
/** @import { Step } from "./lesson.js" */

const MOST = 20; // % of a pass that a row may cost
const LOST = 1.02; // a speed-up up to this is none

/** @type {Step} */
export const speedStep = {
  key: "speed",
  right: 1,
  suits: (record) => record.blockSize > 1 && record.head.block_size > 1,
  recording: (all) => all.speculative,
  facts: (record) => ({ rate: record.tokensPerPass }),
  build({ record, all, given, changed, done }) {
    const words = lesson.speed;
    const single = all.autoregressive.passes;
    const own = record.head.prompt === all.autoregressive.head.prompt; // else one token a pass is reckoned, from its own
    const against = own ? single : oneByOne(record);
    const runs = own && record.origin === "example" ? [all.threshold, all.speculative] : [record];
    const recorded = measuredCost([single, all.threshold.passes, all.speculative.passes]);
    const range = el("input", { type: "range", min: 0, max: MOST, step: 0.1, value: given("cost") || 0, "aria-label": words.cost });
    const value = el("output", {}), note = el("p", { class: "note", "aria-live": "polite" });
    const bars = runs.map((run) => ({ run, fill: el("i"), number: el("b"), name: words.names[run.head.config.algorithm] }));
    const draw = () => {
      const cost = Number(range.value) / 100;
      setText(value, words.percent(cost));
      let slowest = Infinity;
      for (const { run, fill, number } of bars) {
        const gain = costOf(against, cost) / costOf(run.passes, cost);
        slowest = Math.min(slowest, gain);
        fill.style.width = Math.min(100, (100 * gain) / 8) + "%";
        setText(number, words.gain(gain, run.tokensPerPass));
      }
      setText(note, runs.map((run) => words.even(words.names[run.head.config.algorithm], breakEven(run.passes, against))).join(" "));
      changed({ cost: range.value });
      if (slowest <= LOST) done();
    };
    const preset = (/** @type {string} */ text, /** @type {number} */ cost) => button(text, text, () => {
      range.value = String(100 * cost);
      draw();
    });
    range.addEventListener("input", draw);
    const presets = [preset(words.free, 0)];
    if (recorded !== null) presets.push(preset(words.here(recorded, all.autoregressive.head.device), recorded));
    draw();
    return el("div", { class: "scene" }, el("label", { class: "slider" }, el("span", { text: words.cost }), range, value), el("div", { class: "buttons" }, ...presets),
      el("dl", { class: "gains" }, ...bars.flatMap(({ name, fill, number }) => [el("dt", { text: name }), el("dd", {}, el("span", { class: "track" }, fill, el("u")), number)])), note, el("p", { class: "note", text: words.source }));
  },
};

/** The passes that plain decoding of an answer takes: the prompt, then a row for each token. @param {Record} record */
function oneByOne(record) {
  const first = record.passes[0];
  return Array.from({ length: record.tokens }, (_, i) => ({ ...first, rows: i ? 1 : record.head.prompt_tokens }));
}
