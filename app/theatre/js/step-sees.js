/* Step 3: who sees whom, for the rows of a real pass. */

import { el } from "./dom.js";
import { CAUSAL, attentionMask, causalRows, planRows, trainingRows } from "./lesson-masks.js";
import { Matrix } from "./lesson-matrix.js";
import { shortened, visible } from "./text.js";
import { lesson } from "./words.js";

/** @import { Record } from "./record.js" */
/** @import { MaskRow } from "./lesson-masks.js" */
/** @import { Recordings, Step } from "./lesson.js" */
/** rule: of decoding, or training's layout. pass: of the run whose known tokens are read. @typedef {{rule: string, d: number, causal: boolean, useCache: boolean}} Choice */

const RULES = ["autoregressive", "prob_conf", "self_speculative", "training"];
const PASS = 3; // of the runs: some text is known, and the pass before kept several tokens
const NEWEST = 14; // known tokens drawn at least as columns

/** The run that a rule's pass comes from. @param {Recordings} all @param {Record} record @param {string} rule */
function runOf(all, record, rule) {
  if (record.head.config.algorithm === rule) return record;
  return rule === "autoregressive" ? all.autoregressive : rule === "self_speculative" ? all.speculative : all.threshold;
}

/**
 * The rows of that pass, and those they may see.
 * @param {Record} run @param {Choice} choice
 */
export function layout(run, { rule, d, useCache }) {
  const pass = run.passes[Math.min(PASS, run.passes.length - 1)];
  const t = run.head.prompt_tokens + pass.start;
  if (rule === "training") {
    const rows = trainingRows([t - 6, t - 3, t], d);
    return { queries: rows, keys: rows, t, cached: 0 };
  }
  const width = rule === "autoregressive" ? 1 : d, cached = useCache ? pass.rows_reused : 0;
  const queries = planRows({ t, cached, draft: rule === "self_speculative" ? width - 1 : 0, width }, useCache);
  return { queries, keys: [...causalRows(0, cached), ...queries], t, cached };
}

/** What a row reads. @param {Record} run @param {MaskRow} row */
function label(run, { position, block, horizon }) {
  if (block !== CAUSAL && position > horizon) return "m";
  const place = position - run.head.prompt_tokens;
  const pass = run.passes[Math.min(PASS, run.passes.length - 1)];
  const drafted = pass.draft[place - pass.start];
  const token = place >= pass.start && drafted ? drafted : place >= 0 && place < run.tokens ? run.finalAt(place)?.candidate : null;
  return token ? shortened(visible(token.text), 12) : "…";
}

/** @type {Step} */
export const seesStep = {
  key: "sees",
  right: 0,
  suits: (record) => record.passes.length > 1 && record.head.block_size <= 8,
  recording: (all) => all.threshold,
  facts: () => ({}),
  build({ record, all, given, changed, done }) {
    const words = lesson.mask;
    const rule = menu(words.rule, RULES.map((name) => [name, words.rules[name]]), given("rule") || "prob_conf");
    const kind = menu(words.kind, [["both", words.both], ["causal", words.causal]], given("kind") || "both");
    const cached = menu(words.cache, [["1", words.withCache], ["0", words.without]], given("cache") || "1");
    const range = el("input", { type: "range", min: 1, max: 8, step: 1, value: Number(given("d")) || 4, "aria-label": words.d });
    const size = el("output", {});
    const tried = new Set();
    const matrix = new Matrix((row) => {
      changed({ row: matrix.line });
      if (row.block !== CAUSAL && row.position > row.horizon) tried.add(kind.select.value);
      if (tried.size === 2) done();
    });
    const draw = () => {
      const choice = { rule: rule.select.value, d: Number(range.value), causal: kind.select.value === "causal", useCache: cached.select.value === "1" };
      const run = runOf(all, record, choice.rule);
      const { queries, keys, t } = layout(run, choice);
      const oldest = Math.max(run.head.prompt_tokens, t - NEWEST);
      const lines = queries.findIndex((row) => row.position >= oldest || row.block !== CAUSAL);
      size.textContent = "D = " + (choice.rule === "autoregressive" ? 1 : choice.d);
      range.disabled = choice.rule === "autoregressive";
      cached.select.disabled = choice.rule === "training";
      changed({ rule: choice.rule, d: choice.d, kind: kind.select.value, cache: cached.select.value });
      matrix.show({ queries, keys, mask: attentionMask(queries, keys, choice.causal), from: [Math.max(0, lines), oldest], label: (row) => label(run, row) }, matrix.line);
    };
    matrix.line = Number(given("row")) || 0;
    for (const input of [rule.select, kind.select, cached.select, range]) input.addEventListener("input", draw);
    const node = el("div", { class: "scene mask" }, el("div", { class: "choices" }, rule.node, kind.node, cached.node, el("label", { class: "slider" }, el("span", { text: words.d }), range, size)), matrix.node,
      el("p", { class: "legend" }, el("i", { class: "written" }), el("span", { text: words.textKey }), el("i", { class: "own" }), el("span", { text: words.ownKey }), el("i", { class: "none" }), el("span", { text: words.noneKey })));
    Object.assign(node, { matrix });
    draw();
    return node;
  },
};

/** @param {string} name @param {string[][]} options @param {string} chosen */
function menu(name, options, chosen) {
  const select = el("select", {}, ...options.map(([value, text]) => el("option", { value, text, selected: value === chosen })));
  return { select, node: el("label", { class: "choice" }, el("span", { text: name }), select) };
}
