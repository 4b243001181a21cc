/* Step 4: predict which guesses are kept. The last one thought to be kept is clicked; then the pass is revealed. */

import { button, el, setText } from "./dom.js";
import { Scene } from "./lesson-scene.js";
import { Record } from "./record.js";
import { lesson } from "./words.js";

/** @import { Pass } from "./generated.js" */
/** @import { Step } from "./lesson.js" */

/** The pass most worth a prediction: one that drops a sure guess behind an unsure one. @param {Record} record */
function trap(record) {
  const tau = record.head.config.threshold;
  const dropped = (/** @type {Pass} */ pass) => pass.candidates.slice(pass.accepted).filter((c) => c.confidence > tau).length;
  const open = record.passes.slice(0, -1).filter((p) => p.accepted > 1 && p.accepted < p.candidates.length);
  return open.reduce((best, p) => (dropped(p) > dropped(best) ? p : best), open[0] || record.passes[0]);
}

/** @type {Step} */
export const predictStep = {
  key: "predict",
  right: 1,
  suits: (record) => record.judged && record.blockSize > 1,
  recording: (all) => all.threshold,
  facts: (record) => ({ tau: record.head.config.threshold }),
  build({ record, done }) {
    const words = lesson.predict;
    const pass = { ...trap(record), index: 0, start: 0 };
    const hidden = new Record(record.head, "example", [{ ...pass, accepted: 0 }]);
    let guess = 0;
    const said = el("p", { class: "note", "aria-live": "polite", text: words.choose });
    const scene = new Scene(["passes"], (_, i) => {
      if (scene.store.state.record !== hidden) return;
      guess = i + 1;
      scene.passes.update({ ...scene.passes.view, verdict: { tau: record.head.config.threshold, kept: new Uint16Array([guess]), more: 0, agree: 0, mean: 0, agreement: 1, spans: [] } });
      setText(said, words.chosen(guess));
      reveal.disabled = false;
    });
    const reveal = button(words.reveal, words.reveal, () => {
      scene.show(new Record(record.head, "example", [pass], null));
      setText(said, words.revealed(guess, pass.accepted, record.head.config.threshold));
      reveal.disabled = true;
      again.hidden = false;
      done();
    }, { disabled: true });
    const again = button(words.again, words.again, () => {
      guess = 0;
      again.hidden = true;
      setText(said, words.choose);
      scene.show(hidden);
    }, { hidden: true });
    scene.show(hidden);
    return el("div", { class: "scene" }, scene.node, said, el("div", { class: "buttons" }, reveal, again));
  },
};
