/* Temperature, top-p and top-k on what a record holds, against what Python makes of whole distributions. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { NONE, beforeAndAfter, canRefilter, refilter } from "../../app/theatre/js/filters.js";
import { guess, readJSON } from "./helpers.js";

/** @type {{known: number[], before: number[], after: number[], vocabulary: number, ran: number, filters: import("../../app/theatre/js/links.js").Filters}[]} */
const cases = readJSON("cases.json").filters;
const SLACK = 2e-5;

test("ranges hold what Python makes, with as many tokens as there are or any number", () => {
  assert.ok(cases.length >= 100);
  for (const made of cases) {
    const { known, before, after, vocabulary, ran, filters } = made, whole = known.length === vocabulary;
    const rest = whole ? 0 : Math.max(0, 1 - known.reduce((a, b) => a + b, 0));
    for (const size of [vocabulary, undefined]) {
      for (const [wanted, with_] of /** @type {const} */ ([[before, NONE], [after, filters]])) {
        refilter(known, rest, ran, with_, size).forEach(({ low, high, kept }, i) => {
          const said = JSON.stringify({ i, low, high, kept, wanted: wanted[i], ...made });
          assert.ok(wanted[i] >= low - SLACK && wanted[i] <= high + SLACK, said);
          if (kept !== null && !(kept && high < 1e-30)) assert.equal(wanted[i] > 0, kept && known[i] > 0, said);
        });
      }
    }
  }
});

test("where all tokens are known, or top-k keeps no others, it is Python's number", () => {
  let exact = 0;
  for (const { known, after, vocabulary, ran, filters } of cases) {
    const whole = known.length === vocabulary;
    if (!whole && !(filters.top_k && filters.top_k <= known.length && filters.top_p === 1)) continue;
    exact++;
    const rest = whole ? 0 : 1 - known.reduce((a, b) => a + b, 0);
    refilter(known, rest, ran, filters).forEach(({ low, high }, i) => {
      assert.ok(high - low < SLACK && Math.abs(high - after[i]) < SLACK, JSON.stringify({ known, after, filters, ran, i, low, high }));
    });
  }
  assert.ok(exact > 40);
});

test("a record's own settings give what it holds", () => {
  const candidate = { ...guess(1, 0.6), alternatives: /** @type {[number, string, number][]} */ ([[1, "a", 0.6], [2, "b", 0.2], [3, "c", 0.1], [4, "d", 0.03], [5, "e", 0.02]]) };
  for (const temperature of [0, 0.7]) {
    const ran = { temperature, top_p: 1, top_k: 0 };
    const rows = beforeAndAfter(candidate, ran, ran);
    rows.forEach(({ after }, i) => assert.ok(Math.abs(after.low - candidate.alternatives[i][2]) < 1e-5 && after.high - after.low < 1e-5));
    assert.equal(rows[0].before.high - rows[0].before.low < 1e-5, temperature === 0); // of the rest, how it is spread is not known
  }
  assert.deepEqual(beforeAndAfter(candidate, NONE, { ...NONE, top_p: 0.5 }).map(({ after }) => after.kept), [true, false, false, false, false]);
  assert.ok(canRefilter(NONE) && !canRefilter({ ...NONE, top_k: 4 }) && !canRefilter({ ...NONE, top_p: 0.9 }));
});
