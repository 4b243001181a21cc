/* Step 2: D − 1 masks make the pass wider. The recorded model decoded the same text with each D. */

import { el, setText } from "./dom.js";
import { Scene } from "./lesson-scene.js";
import { Record } from "./record.js";
import { visible } from "./text.js";
import { lesson } from "./words.js";

/** @import { Step } from "./lesson.js" */

/** @type {Step} */
export const masksStep = {
  key: "masks",
  right: 1,
  suits: () => false, // a run has one D
  recording: (all) => all.threshold,
  facts: () => ({}),
  build({ record, all, given, changed, done }) {
    const words = lesson.masks;
    const scene = new Scene(["passes", "card"]);
    const range = el("input", { type: "range", min: 1, max: all.widths.length, step: 1, value: Number(given("d")) || 1, "aria-label": words.d });
    const value = el("output", {}), rows = el("p", { class: "note" });
    const inputs = el("ol", { class: "inputs", "aria-label": words.inputs });
    const draw = () => {
      const { block_size, known, pass, newest } = all.widths[Number(range.value) - 1];
      setText(value, "D = " + block_size);
      setText(rows, words.rows(pass.rows, pass.rows_reused));
      const read = [newest, ...(block_size > 1 ? [newest] : []), ...Array(block_size - 1).fill("m")];
      inputs.replaceChildren(...read.map((text, i) => el("li", { class: block_size > 1 && i === 0 ? "causal" : i ? "own" : "", text: text === "m" ? text : visible(text) })));
      const head = { ...record.head, block_size, config: { ...record.head.config, block_size, threshold: 1 } };
      scene.show(new Record(head, "example", [{ ...pass, index: 0, start: 0 }], null));
      setText(before, words.known(known));
      changed({ d: block_size });
      if (block_size === all.widths.length) done();
    };
    const before = el("p", { class: "note" });
    range.addEventListener("input", draw);
    const node = el("div", { class: "scene" }, el("label", { class: "slider" }, el("span", { text: words.d }), range, value), before, el("h4", { text: words.inputs }), inputs, rows, el("h4", { text: words.guesses }), scene.node);
    draw();
    return node;
  },
};
