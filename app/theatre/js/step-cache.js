/* Step 6: the cache. */

import { Scene } from "./lesson-scene.js";

/** @import { Record } from "./record.js" */
/** @import { Step } from "./lesson.js" */

/** The pass that keeps most tokens and has one after it. @param {Record} record */
function longest({ passes }) {
  return passes.slice(0, -1).reduce((best, p) => (p.accepted > best.accepted ? p : best), passes[0]);
}

/** @type {Step} */
export const cacheStep = {
  key: "cache",
  right: 1,
  suits: (record) => record.blockSize > 1 && record.passes.length > 2,
  recording: (all) => all.threshold,
  facts: (record) => ({ pass: longest(record).index + 1, kept: longest(record).accepted, d: record.blockSize }),
  build({ record, given, changed, done }) {
    const scene = new Scene(["passes", "cache", "timeline"]);
    const target = longest(record).index + 1;
    let reached = false;
    scene.store.subscribe(({ cursor }) => {
      changed({ pass: cursor });
      if (reached && cursor === target + 1) done();
      reached = cursor === target;
    });
    scene.show(record, Number(given("pass")) || 1);
    return scene.node;
  },
};
