/* Speed and quality of an answer, as numbers. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Record } from "../../app/theatre/js/record.js";
import { FIRST, reduce } from "../../app/theatre/js/state.js";
import { agreement, curvesOf, figure, placeOn } from "../../app/theatre/js/tradeoff.js";
import { SHORT, readJSON, trace } from "./helpers.js";

test("agreement is what Python's sweep measures", () => {
  /** @type {{answer: number[], reference: number[], agreement: number}[]} */
  const cases = readJSON("cases.json").agreements;
  assert.ok(cases.length >= 60);
  for (const { answer, reference, agreement: expected } of cases) assert.ok(Math.abs(agreement(answer, reference) - expected) < 1e-9);
});

test("while τ moves the figure is the verdict's", () => {
  const record = Record.from(SHORT, "live");
  const state = reduce({ ...FIRST, record, live: record, cursor: 3 }, { type: "judge", tau: 0.1 });
  const verdict = state.verdict;
  assert.ok(verdict);
  // Kept: 3 + 3 + 3. Of those, only the 9 is not what was written.
  assert.deepEqual(figure(state), { rate: 3, agreement: 8 / 9, judged: true });
  assert.equal(verdict.agreement, (9 - (verdict.more - verdict.agree)) / 9);
});

test("at rest it is that of the passes shown, and compared with the run before", () => {
  const record = Record.from(SHORT, "live");
  assert.deepEqual(figure({ ...FIRST, record, cursor: 2 }), { rate: 3 / 2, agreement: 1, judged: false });
  assert.equal(figure({ ...FIRST, record, cursor: 0 }), null);
  const kept = Record.from(trace([{ guesses: [[1, 0.9], [2, 0.9], [3, 0.9]], accepted: 3 }]), "live");
  const both = { ...FIRST, record, kept, cursor: 3 };
  assert.deepEqual(figure(both), { rate: 2, agreement: 0.5, judged: false });
  assert.equal(figure({ ...both, record: new Record(record.head, "live", record.passes) })?.agreement, null); // it still grows
  assert.equal(figure({ ...both, record: kept, cursor: 1 })?.agreement, 1);
});

test("without a threshold there is no figure", () => {
  const record = Record.from({ ...SHORT, config: { ...SHORT.config, algorithm: "self_speculative" } }, "live");
  assert.equal(figure({ ...FIRST, record, cursor: 3 }), null);
});

test("τ has its place on the measured curve of the same model, rule and D", () => {
  const record = Record.from(SHORT, "live");
  const curve = { task: "chat", algorithm: "prob_conf", block_size: 3, n: 9, points: /** @type {[number, number, number][]} */ ([[0.5, 3, 0.5], [0.9, 2, 0.9], [1, 1, 1]]) };
  const measured = { model: "a/model", guesses: "independent", curves: [curve, { ...curve, block_size: 8 }, { ...curve, algorithm: "entropy_conf" }] };
  assert.deepEqual(curvesOf(measured, record), [curve]);
  assert.deepEqual(curvesOf({ ...measured, model: "another" }, record), []);
  assert.deepEqual(curvesOf(null, record), []);
  assert.deepEqual([0, 0.5, 0.9, 1].map((tau) => placeOn(curve.points, tau).rate), [3, 3, 2, 1]);
  const between = placeOn(curve.points, 0.7);
  assert.ok(Math.abs(between.rate - 2.5) < 1e-9 && Math.abs(between.agreement - 0.7) < 1e-9);
});
