/* The lesson's reckoning of what rows cost. The masks are compared with Python's in tests/browser/test_lesson.py. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { breakEven, costOf, measuredCost } from "../../app/theatre/js/lesson-cost.js";
import { shipped } from "./helpers.js";

const one = shipped("race/1-autoregressive").passes, many = shipped("race/3-self_speculative").passes;

test("where a row costs its break-even, both runs take the same", () => {
  const cost = breakEven(many, one);
  assert.ok(cost !== null && cost > 0);
  assert.ok(Math.abs(costOf(one, cost) - costOf(many, cost)) < 1e-9);
  assert.equal(costOf(one, 0), one.length);
  assert.equal(breakEven(one, one), null);
});

test("the measured cost is the slope of seconds over rows", () => {
  const made = one.slice(0, 5).map((pass, i) => ({ ...pass, rows: 1 + 4 * i, seconds: 0.02 * (1 + 0.05 * 4 * i) }));
  const cost = measuredCost([made]);
  assert.ok(cost !== null && Math.abs(cost - 0.05) < 1e-9);
  assert.equal(measuredCost([one.slice(0, 3)]), null);
});
