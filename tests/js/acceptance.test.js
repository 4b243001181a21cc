/* The acceptance rules against what Python made of the same numbers. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { countAccepted, countVerified, draftHolds } from "../../app/theatre/js/acceptance.js";
import { ALGORITHMS, RACE } from "../../app/theatre/js/generated.js";
import { readJSON, shipped } from "./helpers.js";

const RUNS = ["race/1-autoregressive", "race/2-prob_conf", "race/3-self_speculative"];

test("a threshold keeps what Python keeps", () => {
  /** @type {{confidences: number[], threshold: number, accepted: number}[]} */
  const cases = readJSON("cases.json").thresholds;
  assert.ok(cases.length > 200);
  for (const { confidences, threshold, accepted } of cases) assert.equal(countAccepted(confidences, threshold), accepted, JSON.stringify({ confidences, threshold }));
});

test("recorded runs are judged as they were decoded", () => {
  for (const record of RUNS.map((name) => shipped(name)).filter((r) => r.judged)) {
    const { kept, more } = record.rejudge(record.head.config.threshold);
    assert.deepEqual([...kept], record.passes.map((p) => p.accepted));
    assert.equal(more, 0);
  }
});

test("a recorded draft is verified as it was", () => {
  const record = shipped(RUNS[2]);
  assert.ok(record.passes.some((p) => p.draft.length && p.accepted > 1));
  record.passes.slice(0, -1).forEach((p) => {
    const ids = p.candidates.map((c) => c.token_id);
    assert.equal(countVerified(ids, p.draft.map((c) => c.token_id)), p.accepted, `pass ${p.index}`);
    const marks = ids.map((_, i) => draftHolds(p, i));
    assert.ok(marks.slice(0, p.accepted - 1).every(Boolean), "all before the last kept one were foretold");
    assert.ok(marks.slice(p.accepted).every((mark) => mark === null));
  });
});

test("the shipped race has the lanes that Python decodes", () => {
  assert.deepEqual(RUNS.map((name) => shipped(name).head.config.algorithm), RACE);
  assert.ok(RACE.every((name) => ALGORITHMS.includes(name)));
});
