/* Step 5: why a prefix. The same prompt, decoded by the rule and by one that keeps every sure guess. */

import { el } from "./dom.js";
import { Scene } from "./lesson-scene.js";
import { lesson } from "./words.js";

/** @import { Record } from "./record.js" */
/** @import { Step } from "./lesson.js" */

/** @type {Step} */
export const prefixStep = {
  key: "prefix",
  right: 2,
  suits: () => false, // of a visitor's run, nobody decoded the other one
  recording: (all) => all.threshold,
  facts: () => ({}),
  build({ all, given, changed, done }) {
    const words = lesson.prefix;
    /** @type {[string, Record|null][]} */
    const rules = [["prefix", all.threshold], ["sure", all.sure], ["coherent", all.coherent]];
    const scene = new Scene(["answer", "passes", "timeline"]);
    const select = el("select", {}, ...rules.filter(([, run]) => run).map(([name]) => el("option", { value: name, text: words.rules[name], selected: name === given("rule") })));
    const draw = () => {
      const run = rules.find(([name]) => name === select.value);
      if (run && run[1]) scene.show(run[1]);
      changed({ rule: select.value });
      if (select.value === "sure") done();
    };
    select.addEventListener("input", draw);
    draw();
    return el("div", { class: "scene" }, el("label", { class: "choice" }, el("span", { text: words.rule }), select), scene.node, el("p", { class: "note", text: all.coherent ? words.coherent : words.noSampler }));
  },
};
