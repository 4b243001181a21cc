/* Step 8: self-speculative decoding: find the first mismatch, and compare the answer with that of τ = 1. */

import { draftHolds } from "./acceptance.js";
import { button, el, setText } from "./dom.js";
import { Scene } from "./lesson-scene.js";
import { shortened, visible } from "./text.js";
import { lesson } from "./words.js";

/** @import { Record } from "./record.js" */
/** @import { Step } from "./lesson.js" */

/** The first pass with a drafted token that does not hold; 0 where all hold. @param {Record} record */
function broken(record) {
  return Math.max(0, record.passes.findIndex((p) => p.candidates.some((_, i) => draftHolds(p, i) === false)));
}

/** @type {Step} */
export const speculativeStep = {
  key: "speculative",
  right: 1,
  suits: (record) => record.head.config.algorithm === "self_speculative" && record.passes.some((p) => p.candidates.some((_, i) => draftHolds(p, i) === false)),
  recording: (all) => all.speculative,
  facts: () => ({}),
  build({ record, all, given, changed, done }) {
    const words = lesson.speculative;
    const branches = el("ol", { class: "branches", "aria-label": words.branches });
    const said = el("p", { class: "note", "aria-live": "polite" });
    const tried = new Set();
    const tell = (/** @type {string} */ name) => tried.add(name).size === 2 && done();
    const scene = new Scene(["passes", "card", "timeline"]);
    scene.store.subscribe(({ cursor, pinned }) => {
      changed({ pass: cursor });
      const pass = record.passes[cursor - 1];
      if (pass) branches.replaceChildren(...pass.candidates.slice(0, Math.min(pass.accepted, pass.draft.length + 1)).map((guess, i) => {
        const read = pass.draft.slice(0, i).map((c) => c.text).join(""), holds = draftHolds(pass, i);
        return el("li", { class: holds === false ? "mismatch" : "", text: words.branch(i, read && shortened(visible(read), 40), visible(guess.text), holds) });
      }));
      if (pinned && draftHolds(record.passes[pinned[0]], pinned[1]) === false) tell("mismatch");
    });
    scene.show(record, Number(given("pass")) || broken(record) + 1);
    const same = all.autoregressive.head.prompt === record.head.prompt;
    const compare = button(words.compare, words.compare, () => {
      const parts = record.partsFrom(all.autoregressive);
      setText(said, same ? words.compared(record.tokens, parts) : words.notCompared);
      tell("compare");
    });
    return el("div", { class: "scene" }, scene.node, el("h4", { text: words.branches }), branches, el("div", { class: "buttons" }, compare), said);
  },
};
