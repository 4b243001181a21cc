/* Step 7: move τ, and see why a threshold works: surer guesses are right more often. */

import { el } from "./dom.js";
import { Scene } from "./lesson-scene.js";
import { shade } from "./scale.js";
import { lesson } from "./words.js";

/** @import { Calibration, Step } from "./lesson.js" */

const LOW = 0.6, HIGH = 0.99;

/** @type {Step} */
export const tauStep = {
  key: "tau",
  right: 0,
  suits: (record) => record.judged && record.blockSize > 1,
  recording: (all) => all.threshold,
  facts: () => ({}),
  build({ record, all, given, changed, done }) {
    const scene = new Scene(["whatIf", "answer", "passes"]);
    const ends = new Set();
    scene.store.subscribe(({ tau, verdict }) => {
      changed({ tau });
      if (verdict && tau <= LOW) ends.add(LOW);
      if (verdict && tau >= HIGH) ends.add(HIGH);
      if (ends.size === 2) done();
    });
    scene.show(record);
    const tau = given("tau");
    if (tau) scene.store.dispatch({ type: "judge", tau: Math.max(0, Math.min(1, Number(tau) || 0)) });
    return el("div", { class: "scene" }, scene.node, el("h4", { text: lesson.calibration.title }), bars(all.calibration), el("p", { class: "note", text: lesson.calibration.note(all.calibration.count.reduce((a, b) => a + b, 0)) }));
  },
};

/** Share of right guesses by confidence, as the sweep counted them. @param {Calibration} calibration */
function bars({ bins, count, right }) {
  return el("ol", { class: "calibration" }, ...count.map((n, bin) => {
    const share = n ? right[bin] / n : 0, fill = el("i");
    fill.style.height = 100 * share + "%";
    fill.style.background = shade((bin + 0.5) / bins).color;
    return el("li", { "aria-label": lesson.calibration.bar(bin / bins, (bin + 1) / bins, share) }, el("b", { text: Math.round(100 * share) + "%" }), el("span", {}, fill), el("small", { text: (bin / bins).toFixed(1).replace(/^0/, "") }));
  }));
}
