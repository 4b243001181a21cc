/* Step 1: one token a pass. */

import { Scene } from "./lesson-scene.js";

/** @import { Step } from "./lesson.js" */

const ENOUGH = 5; // passes to look at

/** @type {Step} */
export const passStep = {
  key: "pass",
  right: 0,
  suits: (record) => record.head.config.algorithm === "autoregressive" && record.passes.length > ENOUGH,
  recording: (all) => all.autoregressive,
  facts: (record) => ({ tokens: record.tokens, passes: record.passes.length, seconds: record.seconds }),
  build({ record, given, changed, done }) {
    const scene = new Scene(["answer", "passes", "timeline"]);
    const seen = new Set();
    scene.store.subscribe(({ cursor }) => {
      changed({ pass: cursor });
      if (seen.add(cursor).size > ENOUGH) done();
    });
    scene.show(record, Number(given("pass")) || 1);
    return scene.node;
  },
};
